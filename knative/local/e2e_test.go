//go:build unix

package local_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"marimba/events"
	"marimba/knative"
	"marimba/knative/local"
	"marimba/knative/local/real/realtest"
	marimbav1 "marimba/proto/marimba/v1"
)

// What is here runs Marimba's own functions by Marimba's own manifests: on the
// embedded parts, and on Apache Kafka, redis-server and FerretDB.

// window is how long a function stays without requests; that of the manifests
// would keep the tests waiting.
const window = "2s"

// manifests are those of knative/base with a shorter window.
func manifests(t testing.TB) fs.FS {
	t.Helper()
	out := fstest.MapFS{}
	names, err := fs.Glob(knative.Base, "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	shortened := 0
	for _, name := range names {
		text, err := fs.ReadFile(knative.Base, name)
		if err != nil {
			t.Fatal(err)
		}
		const old = `autoscaling.knative.dev/window: "15s"`
		shortened += bytes.Count(text, []byte(old))
		text = bytes.ReplaceAll(text, []byte(old), []byte(`autoscaling.knative.dev/window: "`+window+`"`))
		out[name] = &fstest.MapFile{Data: text}
	}
	if shortened != len(events.Routes) {
		t.Fatalf("%d services have the window that is to be shortened, want %d", shortened, len(events.Routes))
	}
	return out
}

// house is a running Marimba and how its clients reach it.
type house struct {
	*local.System
	options local.Options
	events  chan local.Event
	votes   marimbav1.VotesClient
	conn    *grpc.ClientConn
}

// parts are the grounds that the tests run on.
var parts = map[string]func(testing.TB, *local.Options){
	"embedded": func(t testing.TB, _ *local.Options) { realtest.Build(t, "knative/local/ferretdb", ".") },
	"real": func(t testing.TB, o *local.Options) {
		kafka, redis, mongo := realtest.Kafka(t), realtest.Redis(t), realtest.FerretDB(t)
		o.Kafka, o.Redis, o.RedisPassword, o.Mongo = kafka.Address, redis.Address, redis.Password, mongo.Address
	},
}

// raise builds the functions and starts a house on a ground.
func raise(t testing.TB, ground string) *house {
	t.Helper()
	return raiseWith(t, ground, func(*local.Options) {})
}

// raiseWith is raise with options that are changed.
func raiseWith(t testing.TB, ground string, change func(*local.Options)) *house {
	t.Helper()
	h := &house{events: make(chan local.Event, 10_000), options: local.Options{
		Manifests: manifests(t),
		Data:      t.TempDir(),
		Bin:       realtest.Build(t, ".", "./functions/..."),
		Listen:    "127.0.0.1:0",
		Log:       slog.New(slog.DiscardHandler),
	}}
	h.options.OnEvent = func(e local.Event) {
		select {
		case h.events <- e:
		default: // nobody reads them where they are that many
		}
	}
	parts[ground](t, &h.options)
	change(&h.options)
	h.start(t)
	t.Cleanup(func() { h.stop(t) })
	return h
}

func (h *house) start(t testing.TB) {
	t.Helper()
	var err error
	if h.System, err = local.Start(context.Background(), h.options); err != nil {
		t.Fatal(err)
	}
	h.conn, err = grpc.NewClient("passthrough:///"+strings.TrimPrefix(h.url("ingress-grpc"), "http://"),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	h.votes = marimbav1.NewVotesClient(h.conn)
}

func (h *house) stop(t testing.TB) {
	t.Helper()
	h.conn.Close()
	if err := h.Stop(context.Background()); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func (h *house) url(function string) string {
	for _, u := range h.URLs() {
		if u.Function == function {
			return u.Own
		}
	}
	return ""
}

// show reads a document of results.
func (h *house) show(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url("results")+path, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", path, res.Status, body)
	}
	return json.Unmarshal(body, into)
}

// books are the balance of the default contest.
type books struct {
	Final   int64
	States  map[string]int64
	Pending map[string]int64
}

// await waits until the books say so.
func (h *house) await(t testing.TB, ready func(books) bool) books {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		var b books
		err := h.show(ctx, "/v1/contests/default/balance", &b)
		if err == nil && ready(b) {
			return b
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("the books are %+v, %v; figures: %+v", b, err, h.Figures())
		}
	}
}

// standing is the board of the default contest.
type standing struct {
	Totals struct{ Votes, Bands, Albums int64 }
	Bands  []struct {
		Place  int
		Name   string
		Votes  int64
		Albums []struct {
			Album string
			Votes int64
		}
	}
}

func (h *house) board(t testing.TB) standing {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var s standing
	if err := h.show(ctx, "/v1/contests/default/board", &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s standing) byBand() map[string]int64 {
	votes := map[string]int64{}
	for _, b := range s.Bands {
		votes[b.Name] = b.Votes
	}
	return votes
}

// ballots makes n votes of ids from first on, three of four for one band.
func ballots(first, n int) []*marimbav1.Vote {
	votes := make([]*marimbav1.Vote, n)
	for i := range votes {
		v := &marimbav1.Vote{Name: "Alux Nahual", Album: "Conquista", Year: "1990", Rank: "2", Id: fmt.Sprintf("vote-%d", first+i)}
		if (first+i)%4 == 3 {
			v.Name, v.Album, v.Year, v.Rank = "Bohemia Suburbana", "Sub Álbum", "1995", "1"
		}
		votes[i] = v
	}
	return votes
}

// A channel casts votes once, and says whether all of them were confirmed.
type channel func(ctx context.Context, votes []*marimbav1.Vote) error

func (h *house) byGRPC(ctx context.Context, votes []*marimbav1.Vote) error {
	reply, err := h.votes.CastMany(ctx, &marimbav1.CastManyRequest{Votes: votes})
	if err != nil {
		return err
	}
	if int(reply.GetAccepted()) != len(votes) {
		return fmt.Errorf("%d of %d accepted", reply.GetAccepted(), len(votes))
	}
	return nil
}

func (h *house) byHTTP(ctx context.Context, votes []*marimbav1.Vote) error {
	rows := make([]map[string]string, len(votes))
	for i, v := range votes {
		rows[i] = row(v)
		rows[i]["id"] = v.GetId()
	}
	return h.post(ctx, "/v1/contests/default/votes", rows, nil)
}

func (h *house) byEvent(ctx context.Context, votes []*marimbav1.Vote) error {
	for _, v := range votes {
		err := h.post(ctx, "/", row(v), map[string]string{
			"Ce-Specversion": "1.0", "Ce-Id": v.GetId(), "Ce-Source": "/test", "Ce-Type": "gt.test.vote",
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func row(v *marimbav1.Vote) map[string]string {
	return map[string]string{"name": v.GetName(), "album": v.GetAlbum(), "year": v.GetYear(), "rank": v.GetRank()}
}

func (h *house) post(ctx context.Context, path string, body any, header map[string]string) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url("ingress-http")+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	for name, value := range header {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	said, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode/100 != 2 || bytes.Contains(said, []byte(`"partial"`)) {
		return fmt.Errorf("%s: %s", res.Status, said)
	}
	return nil
}

// insist casts votes until all are confirmed, with the same ids each time, as a
// client should. It returns how often that took.
func insist(ctx context.Context, cast channel, votes []*marimbav1.Vote) (tries int, err error) {
	for tries = 1; ; tries++ {
		once, cancel := context.WithTimeout(ctx, 20*time.Second)
		err = cast(once, votes)
		cancel()
		if err == nil {
			return tries, nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return tries, errors.Join(err, ctx.Err())
		}
	}
}

// Votes of every door are counted once each, though functions are killed on the
// way and clients send again, and each has its one leaf in the public log; then all go
// to sleep; and on real parts the board is the same after a restart.
func TestWholeWay(t *testing.T) {
	t.Parallel() // it waits more than it works
	for ground := range parts {
		t.Run(ground, func(t *testing.T) {
			h := raise(t, ground)
			if p := h.Processes(); len(p) != 0 {
				t.Errorf("before the first vote: %+v", p)
			}
			n := h.wakeAll(t)
			n += h.castUnderFire(t, n)
			const again = 100
			for _, cast := range []channel{h.byGRPC, h.byHTTP, h.byEvent} {
				if _, err := insist(t.Context(), cast, ballots(0, again)); err != nil {
					t.Fatal(err)
				}
			}
			b := h.await(t, func(b books) bool {
				return b.States["counted"] >= int64(n) && b.States["duplicate"] >= 3*again && sum(b.Pending) == 0
			})
			if b.States["counted"] != int64(n) || b.Final != b.States["counted"]+b.States["duplicate"] {
				t.Errorf("%d votes were confirmed; the books are %+v", n, b)
			}
			before := h.board(t)
			want := map[string]int64{"Alux Nahual": int64(n - n/4), "Bohemia Suburbana": int64(n / 4)}
			if got := before.byBand(); !maps.Equal(got, want) {
				t.Errorf("board %v, want %v", got, want)
			}
			h.awaitLeaves(t, n)
			h.awaitSleep(t)
			for name, f := range h.Figures() {
				t.Logf("%-12s starts %d, crashes %d, delivered %d, retries %d, dead %d, cold starts %v",
					name, f.Starts, f.Crashes, f.Delivered, f.Retries, f.Dead, f.ColdStarts)
				if f.Dead != 0 {
					t.Errorf("%s: %d dead letters", name, f.Dead)
				}
			}
			if h.options.Redis == "" {
				return // the embedded Redis is empty at each start; who starts it fills it
			}
			h.stop(t)
			h.start(t)
			if after := h.board(t); !reflect.DeepEqual(after, before) {
				t.Errorf("after the restart\n got %+v\nwant %+v", after, before)
			}
		})
	}
}

func sum(of map[string]int64) int64 {
	total := int64(0)
	for _, n := range of {
		total += n
	}
	return total
}

// wakeAll casts votes by each door and waits until they are counted, so that
// every function but shelve has a process.
func (h *house) wakeAll(t *testing.T) int {
	t.Helper()
	start := time.Now()
	n := 0
	for _, cast := range []channel{h.byGRPC, h.byHTTP, h.byEvent} {
		if _, err := insist(t.Context(), cast, ballots(n, 4)); err != nil {
			t.Fatal(err)
		}
		n += 4
	}
	confirmed := time.Since(start)
	h.await(t, func(b books) bool { return b.States["counted"] >= int64(n) })
	took := time.Since(start)
	h.awaitLeaves(t, n)
	one, err := h.votes.Cast(t.Context(), ballots(n, 1)[0])
	if err != nil {
		t.Fatal(err)
	}
	n++
	h.awaitLeaves(t, n)
	h.checkReceipt(t, one)
	t.Logf("from zero: first votes confirmed after %s, on the board after %s",
		confirmed.Round(time.Millisecond), took.Round(time.Millisecond))
	return n
}

// castUnderFire casts votes by all doors while functions are killed, and returns
// how many.
func (h *house) castUnderFire(t *testing.T, first int) int {
	t.Helper()
	const workers, rounds, batch = 4, 12, 20
	victims := []string{"screen", "tally", "notary", "ingress-grpc", "screen", "tally", "notary", "ingress-http"}
	var confirmed, tries atomic.Int64
	var all sync.WaitGroup
	for worker := range workers {
		all.Go(func() {
			cast := []channel{h.byGRPC, h.byHTTP, h.byEvent}[worker%3]
			for round := range rounds {
				votes := ballots(first+(worker*rounds+round)*batch, batch)
				took, err := insist(t.Context(), cast, votes)
				tries.Add(int64(took))
				if err != nil {
					t.Error(err)
					return
				}
				// Every so often whoever cast the last vote before it kills somebody.
				if c := confirmed.Add(batch); c%(workers*rounds*batch/int64(len(victims))) == 0 {
					victim := victims[(c*int64(len(victims))/(workers*rounds*batch)-1)%int64(len(victims))]
					if _, err := h.Kill(victim); err != nil {
						t.Logf("kill: %v", err) // it was just killed
					}
				}
			}
		})
	}
	all.Wait()
	t.Logf("%d batches took %d tries", workers*rounds, tries.Load())
	return workers * rounds * batch
}

// awaitSleep waits until no function has a process.
func (h *house) awaitSleep(t testing.TB) {
	t.Helper()
	limit := time.After(30 * time.Second)
	for len(h.Processes()) > 0 {
		select {
		case <-h.events:
		case <-limit:
			t.Fatalf("still there: %+v", h.Processes())
		}
	}
}
