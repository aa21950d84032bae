package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"marimba/config"
	"marimba/events"
	"marimba/events/seal"
	"marimba/functions/internal/journal"
	"marimba/functions/internal/tlog"
	"marimba/knative/local/real/realtest"
)

// asNotary has the test's own program be the notary.
const asNotary = "NOTARY_TEST_PROCESS"

func TestMain(m *testing.M) {
	if os.Getenv(asNotary) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// process is a notary that runs.
type process struct {
	*exec.Cmd
	url string
}

func mongo(address string) config.Mongo {
	return config.Mongo{URL: config.Secret("mongodb://" + address + "/"), Database: "notary"}
}

func start(t testing.TB, db config.Mongo) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(os.Args[0])}
	p.Env = append(os.Environ(), asNotary+"=1", "MONGO_URL="+db.URL.Reveal(), "MONGO_DATABASE="+db.Database,
		"RECEIPT_SECRET="+secret, "SEAL_KEY=seal key for tests", "SEAL_ORIGIN=marimba.example", "HOST=127.0.0.1", "PORT=0", "LOG_LEVEL=info")
	logs, err := p.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(logs)
	for p.url == "" {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			t.Fatalf("it ends and does not listen: %v", err)
		}
		var entry struct{ Msg, Address string }
		if err := json.Unmarshal(line, &entry); err != nil {
			t.Fatalf("%q is not JSON: %v", line, err)
		}
		if entry.Msg == "listening" {
			p.url = "http://" + entry.Address + "/"
		}
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	return p
}

// kill ends the process as a power failure does.
func (p *process) kill() {
	_ = p.Process.Kill()
	_ = p.Wait()
}

// source delivers boxes until they are taken, and some of them again.
type source struct {
	mu    sync.Mutex
	moved *sync.Cond
	urls  []string // of the notaries that run
	todo  []events.Box
	work  int
	taken int
}

func newSource(todo []events.Box) *source {
	s := &source{todo: todo}
	s.moved = sync.NewCond(&s.mu)
	return s
}

func (s *source) at(urls ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.urls = urls
}

// next takes a delivery from among the first few. ok is false when all is done.
func (s *source) next() (b events.Box, url string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.todo) == 0 && s.work > 0 {
		s.moved.Wait()
	}
	if len(s.todo) == 0 {
		return events.Box{}, "", false
	}
	at := rand.IntN(min(len(s.todo), 20))
	b = s.todo[at]
	s.todo = append(s.todo[:at:at], s.todo[at+1:]...)
	s.work++
	return b, s.urls[rand.IntN(len(s.urls))], true
}

func (s *source) end(b events.Box, took bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.work--
	if took {
		s.taken++
	}
	if !took || rand.IntN(4) == 0 { // or it was not noted that it was taken
		s.todo = append(s.todo, b)
	}
	s.moved.Broadcast()
}

// await waits until so many were taken, or all.
func (s *source) await(taken int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.taken < taken && (len(s.todo) > 0 || s.work > 0) {
		s.moved.Wait()
	}
}

// deliver posts a box, and reports whether it was taken.
func deliver(t testing.TB, client *http.Client, url string, b events.Box) (bool, error) {
	answer, err := client.Do(post(t, url, eventOf(b)))
	if err != nil {
		return false, nil // it was killed
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusAccepted:
		return true, nil
	case http.StatusServiceUnavailable:
		return false, nil
	}
	return false, fmt.Errorf("box %s: %s", b.ID, answer.Status)
}

// Boxes keep coming, some of them more than once, to two notaries at a time that
// are killed with SIGKILL again and again, and so is the database. In the end each
// vote has one leaf, and the public log is that of the votes: nothing else knows what
// was sealed.
func TestKilledAgainAndAgain(t *testing.T) {
	const rounds, each, senders = 24, 12, 12
	ferret := realtest.FerretDB(t)
	db := mongo(ferret.Address)
	var all []events.Box
	for n := range rounds * each {
		all = append(all, counted(n, 1+n%7*n%40))
	}
	source := newSource(append([]events.Box(nil), all...))
	running := []*process{start(t, db), start(t, db)}
	defer func() {
		for _, p := range running {
			p.kill()
		}
	}()
	source.at(running[0].url, running[1].url)
	var sending sync.WaitGroup
	for range senders {
		sending.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for {
				b, url, ok := source.next()
				if !ok {
					return
				}
				took, err := deliver(t, client, url, b)
				if err != nil {
					t.Error(err)
				}
				if !took {
					time.Sleep(5 * time.Millisecond) // a source waits longer
				}
				source.end(b, took)
			}
		})
	}
	for round := range rounds {
		source.await(each * (round + 1))
		if round%4 == 3 {
			ferret.Kill()
			if err := ferret.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			continue
		}
		running[round%2].kill()
		running[round%2] = start(t, db)
		source.at(running[0].url, running[1].url)
	}
	sending.Wait()
	log, err := tlog.Open(db)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close(context.Background()) }()
	check(t, log, all)
	rebuilt, err := log.Rebuild(t.Context(), "feria")
	if err != nil {
		t.Fatal(err)
	}
	if head, _, err := log.Head(t.Context(), "feria"); err != nil || rebuilt.Root != head.Root || rebuilt.Leaves != head.Size {
		t.Errorf("rebuilt to %+v, and the head is %+v: %v", rebuilt, head, err)
	}
}

// check holds the public log against the votes that were counted.
func check(t testing.TB, log *tlog.Log, all []events.Box) {
	t.Helper()
	votes, leaves := 0, make(map[string]int)
	for _, b := range all {
		votes += len(b.Votes)
	}
	for b, err := range log.Batches(t.Context(), "feria") {
		if err != nil {
			t.Fatal(err)
		}
		for leaf := range b.Leaves() {
			leaves[events.Receipt(leaf.Box, leaf.Index)]++
		}
	}
	for _, b := range all {
		for _, v := range b.Votes {
			if n := leaves[events.Receipt(b.ID, v.Index)]; n != 1 {
				t.Errorf("vote %d of box %s has %d leaves", v.Index, b.ID, n)
			}
		}
	}
	c, err := log.Compare(t.Context(), "feria", seal.NewSecrets([]byte(secret)), entries(all))
	if err != nil {
		t.Fatal(err)
	}
	if !c.Same() || c.Behind || c.Leaves != uint64(votes) || len(leaves) != votes {
		t.Errorf("%d votes were counted: %+v", votes, c)
	}
	t.Logf("%d votes in %d batches", votes, c.Batches)
}

// entries are the boxes as the log of votes has them.
func entries(all []events.Box) iter.Seq2[journal.Entry, error] {
	return func(yield func(journal.Entry, error) bool) {
		for _, b := range all {
			e := journal.Entry{ID: b.ID + "/accepted", Box: b}
			for range b.Votes {
				e.States = append(e.States, events.Counted)
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// A notary that is told to end seals what it was given, and then is gone.
func TestEndsWhenAllIsSealed(t *testing.T) {
	db := mongo(realtest.FerretDB(t).Address)
	p := start(t, db)
	all := []events.Box{counted(0, 500), counted(1, 500), counted(2, 1)}
	for _, b := range all {
		if took, err := deliver(t, http.DefaultClient, p.url, b); !took {
			t.Fatalf("not taken: %v", err)
		}
	}
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	var failed *exec.ExitError
	if err := p.Wait(); errors.As(err, &failed) {
		t.Errorf("it ends with %v", err)
	}
	log, err := tlog.Open(db)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close(context.Background()) }()
	check(t, log, all)
}
