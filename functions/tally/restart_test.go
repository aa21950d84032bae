package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"marimba/config"
	"marimba/events"
	"marimba/functions/internal/counts"
	"marimba/functions/internal/counts/redistest"
	"marimba/functions/internal/journal"
	"marimba/functions/internal/journal/journaltest"
	"marimba/functions/internal/mend"
)

// chance is dice that several may throw.
type chance struct {
	mu sync.Mutex
	d  *rand.Rand
}

func (c *chance) one(in int) bool { return c.n(in) == 0 }

func (c *chance) n(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.d.IntN(n)
}

// frail is a process: now and then it dies before or behind a step, or stands
// still for so long that Redis may have been lost and mended meanwhile.
type frail struct {
	counter
	log
	sender
	*chance
}

func (f frail) step(do func() error) error {
	if f.one(40) {
		return errKilled
	}
	if f.one(60) {
		time.Sleep(time.Duration(f.n(700)) * time.Millisecond)
	}
	err := do()
	if f.one(40) {
		return errKilled
	}
	return err
}

func (f frail) Count(ctx context.Context, c events.Contest, e counts.Entry) (a counts.Answer, err error) {
	err = f.step(func() (err error) { a, err = f.counter.Count(ctx, c, e); return err })
	return a, err
}

func (f frail) Settle(ctx context.Context, c events.Contest, e counts.Entry, a counts.Answer, logged string) error {
	return f.step(func() error { return f.counter.Settle(ctx, c, e, a, logged) })
}

func (f frail) Send(ctx context.Context, evs ...event.Event) error {
	return f.step(func() error { return f.sender.Send(ctx, evs...) })
}

func (f frail) Append(ctx context.Context, e journal.Entry) (attempt string, err error) {
	err = f.step(func() (err error) { attempt, err = f.log.Append(ctx, e); return err })
	return attempt, err
}

func (f frail) Replace(ctx context.Context, e journal.Entry, void string) (attempt string, err error) {
	err = f.step(func() (err error) { attempt, err = f.log.Replace(ctx, e, void); return err })
	return attempt, err
}

// stream is a source: boxes that are delivered until they are taken, and some of
// them again.
type stream struct {
	mu    sync.Mutex
	moved *sync.Cond // taken has grown
	todo  []event.Event
	work  int // deliveries that run
	taken int
	*chance
}

func newStream(c *chance, todo []event.Event) *stream {
	s := &stream{todo: todo, chance: c}
	s.moved = sync.NewCond(&s.mu)
	return s
}

// next takes a delivery, from among the first few. ok is false when all is done.
func (s *stream) next() (e event.Event, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.todo) == 0 && s.work > 0 {
		s.moved.Wait()
	}
	if len(s.todo) == 0 {
		return event.Event{}, false
	}
	at := s.n(min(len(s.todo), 20))
	e = s.todo[at]
	s.todo = slices.Delete(s.todo, at, at+1)
	s.work++
	return e, true
}

func (s *stream) end(e event.Event, err error) {
	if err != nil {
		time.Sleep(5 * time.Millisecond) // a source waits longer
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.work--
	switch {
	case err != nil:
		s.todo = append(s.todo, e)
	default:
		s.taken++
		if s.one(4) { // it was not noted that it was taken
			s.todo = append(s.todo, e)
		}
	}
	s.moved.Broadcast()
}

// await waits until so many were taken, or all.
func (s *stream) await(taken int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.taken < taken && (len(s.todo) > 0 || s.work > 0) {
		s.moved.Wait()
	}
}

// cast makes boxes as voters make them who send a vote again when they got no
// answer: the same vote, with the same id, is in several boxes.
func cast(d *rand.Rand, c events.Contest, boxes int) (out []event.Event, votes map[string]events.Vote) {
	votes = make(map[string]events.Vote)
	for n := range boxes {
		box := events.Box{ID: fmt.Sprint("box-", n), Contest: c.ID, Channel: events.Channels[d.IntN(len(events.Channels))]}
		kind := events.TypeAccepted
		refused := d.IntN(8) == 0
		for i := range 1 + d.IntN(6) {
			id := max(0, n*3+d.IntN(30)-15) // mostly one that was not there long ago
			v := events.Vote{
				ID: fmt.Sprint("id-", id), Name: fmt.Sprint("Band ", id%6), Album: []string{"", "Album"}[id%2], Year: 2000,
				Rank: int32(100 * (id % 3)), Index: i, At: received.Add(time.Duration(id) * time.Millisecond),
			}
			if id%4 > 0 {
				v.VoterKey = bytes.Repeat([]byte{byte(1 + id%97)}, 32)
			}
			if refused {
				kind, v.Reason = events.TypeRefused, events.TooLate
			} else {
				votes[fmt.Sprintf("%x %s", v.VoterKey, v.ID)] = v
			}
			box.Votes = append(box.Votes, v)
		}
		out = append(out, box.Event(kind, "screen"))
	}
	return out, votes
}

// Boxes keep coming, each of them now and then more than once, to three processes
// that die and stand still, while redis-server is killed and comes back: with what
// it had on its disk, which may lack the last second, with an older disk, or with
// none; and while counts are recounted. Nobody lends a hand. In the end each vote
// has counted once: counts = log = what voters cast; and what was announced at any
// time are these votes.
func TestRedisIsLostAgainAndAgain(t *testing.T) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	for i, limit := range []events.Limit{
		{Mode: events.NoLimit}, {Mode: events.PerContest, N: 2}, {Mode: events.PerBand, N: 1}, {Mode: events.Replace},
	} {
		t.Run(string(limit.Mode), func(t *testing.T) {
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			loseRedis(t, events.Contest{ID: "final", Shards: 1 + i, Limit: limit}, seed)
		})
	}
}

func loseRedis(t *testing.T, c events.Contest, seed uint64) {
	const boxes, processes, ways, each = 300, 3, 6, 45
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	server := redistest.Start(t, "--appendonly", "yes")
	luck := &chance{d: rand.New(rand.NewPCG(seed, 0))}
	all, votes := cast(rand.New(rand.NewPCG(seed, 1)), c, boxes)
	log, crier := journaltest.New(), newCrier()
	source := newStream(luck, slices.Clone(all))

	var tallies []tally
	var stores []*counts.Store
	for range processes {
		store, err := counts.Open(config.Redis{URL: "redis://" + server.Addr})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = store.Close(context.Background()) })
		f := frail{store, log, crier, luck}
		tallies = append(tallies, newTally(roll{c.ID: c}, f, f, mend.NewKeeper(ctx, mend.New(store, log)), f, uncharted{}))
		stores = append(stores, store)
	}
	var delivering, breaking sync.WaitGroup
	for i := range processes * ways {
		delivering.Go(func() {
			for {
				e, ok := source.next()
				if !ok {
					return
				}
				source.end(e, tallies[i%processes].handle(ctx, e))
			}
		})
	}
	did := make(map[string]int)
	breaking.Go(func() {
		older := t.TempDir()
		for taken := each; taken < boxes; taken += each {
			source.await(taken)
			switch what := luck.n(5); what {
			case 0:
				did["recounted"]++
				if _, err := mend.New(stores[0], log).Recount(ctx, c); err != nil && !errors.Is(err, counts.ErrLocked) {
					did["not recounted"]++
				}
			case 1:
				did["older disk"]++
				server.Kill()
				server.Dir = older
				server.Again()
			case 2:
				did["empty disk"]++
				server.Kill()
				server.Dir = t.TempDir()
				server.Again()
			default:
				did["same disk"]++
				server.Kill()
				server.Again()
			}
			older = filepath.Join(t.TempDir(), "copy")
			if err := os.CopyFS(older, os.DirFS(server.Dir)); err != nil {
				t.Errorf("copy the disk: %v", err)
			}
		}
	})
	delivering.Wait()
	breaking.Wait()
	if ctx.Err() != nil {
		t.Fatal("it does not come to an end")
	}
	t.Log(did)

	// One more box is all that it takes to notice what Redis lost last.
	well := newTally(roll{c.ID: c}, stores[0], log, mend.NewKeeper(ctx, mend.New(stores[0], log)), crier, uncharted{})
	last := events.Vote{ID: "last", Name: "Band 0", Year: 2000, At: received}
	votes[" last"] = last
	all = append(all, events.Box{ID: "last", Contest: c.ID, Channel: events.ByGRPC, Votes: []events.Vote{last}}.Event(events.TypeAccepted, "screen"))
	for err := well.handle(ctx, all[boxes]); err != nil; err = well.handle(ctx, all[boxes]) {
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
	audit(t, c, stores[0], log, crier, all, votes)

	// And if all comes once more, nothing changes.
	for _, e := range all {
		if err := well.handle(ctx, e); err != nil {
			t.Fatal(err)
		}
	}
	audit(t, c, stores[0], log, crier, all, votes)
}

// audit holds counts, log and what was cast against each other.
func audit(t *testing.T, c events.Contest, store *counts.Store, log *journaltest.Log, crier *crier, all []event.Event, votes map[string]events.Vote) {
	t.Helper()
	recount := counts.NewRecount(c)
	final := make(map[string][]events.State) // by voter and id, but duplicates
	boxes := 0
	for e, err := range log.Entries(t.Context(), c.ID) {
		if err != nil {
			t.Fatal(err)
		}
		boxes++
		if err := recount.Add(counts.Entry{ID: e.ID, Box: e.Box}, e.States); err != nil {
			t.Fatal(err)
		}
		for i, v := range e.Box.Votes {
			if state := e.States[i]; state == events.Counted || state == events.OverLimit {
				id := fmt.Sprintf("%x %s", v.VoterKey, v.ID)
				final[id] = append(final[id], state)
			}
		}
	}
	if boxes != len(all) || len(log.All(c.ID)) != boxes {
		t.Errorf("%d boxes were cast, %d are in the log, of which %d stand", len(all), len(log.All(c.ID)), boxes)
	}
	if told, counted := crier.receipts(t), countedIn(t, log); !maps.Equal(told, counted) {
		t.Errorf("%d votes were announced, %d are counted, and they are not the same", len(told), len(counted))
	}
	type limited struct{ voter, band string } // what the limit counts by
	counted, distinct := make(map[limited]int64), make(map[limited]int64)
	for id, v := range votes {
		if len(final[id]) != 1 {
			t.Errorf("vote %s ended as %v", id, final[id])
			continue
		}
		by := limited{voter: string(v.VoterKey)}
		if c.Limit.Mode == events.PerBand {
			by.band = v.Name
		}
		distinct[by]++
		if final[id][0] == events.Counted {
			counted[by]++
		}
	}
	for by, n := range distinct {
		want := n
		if by.voter != "" && (c.Limit.Mode == events.PerContest || c.Limit.Mode == events.PerBand) {
			want = min(n, c.Limit.N)
		}
		if c.Limit.Mode != events.Replace && counted[by] != want {
			t.Errorf("%x has %d votes counted of %d, want %d", by, counted[by], n, want)
		}
	}
	tally, err := store.Tally(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := recount.Tally().Differ(tally); err != nil {
		t.Errorf("log and counts differ: %v", err)
	}
	figures, err := store.Figures(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := recount.Figures().Differ(figures); err != nil {
		t.Errorf("log and figures differ: %v", err)
	}
	if pending, err := store.Pending(t.Context(), c); err != nil || len(pending) > 0 {
		t.Errorf("pending are %v, %v", pending, err)
	}
	if c.Limit.Mode == events.NoLimit || c.Limit.Mode == events.Replace {
		want := counts.NewRecount(c)
		box := events.Box{ID: "all", Contest: c.ID, Channel: events.ByGRPC}
		for _, v := range votes {
			box.Votes = append(box.Votes, v)
		}
		if err := want.Add(counts.Entry{ID: "all", Box: box}, slices.Repeat([]events.State{events.Counted}, len(votes))); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(want.Tally(), tally) {
			t.Errorf("the board is not what was cast: %v", want.Tally().Differ(tally))
		}
	}
	for id, v := range votes {
		if state, ok, err := store.StateOf(t.Context(), c, v.VoterKey, v.ID); err != nil || !ok || len(final[id]) != 1 || state != final[id][0] {
			t.Errorf("of vote %s Redis says %s %v, the log %v", id, state, ok, final[id])
		}
	}
}
