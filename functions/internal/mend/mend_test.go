package mend

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"marimba/events"
	"marimba/functions/internal/counts"
	"marimba/functions/internal/counts/redistest"
	"marimba/functions/internal/journal"
	"marimba/functions/internal/journal/journaltest"
)

// world is a Redis and a log.
type world struct {
	t      *testing.T
	redis  *redis.Client
	counts *counts.Store
	log    *journaltest.Log
	forget func() // makes Redis lose all
	later  func() // lets locks and holds of one who is gone end
}

// onEach runs a test on miniredis, and on redis-server if there is one.
func onEach(t *testing.T, test func(t *testing.T, w *world)) {
	make := func(t *testing.T, addr string) *world {
		client := redis.NewClient(&redis.Options{Addr: addr, Protocol: 2, DisableIdentity: true})
		t.Cleanup(func() { client.Close() })
		return &world{t: t, redis: client, counts: counts.New(client), log: journaltest.New(),
			forget: func() { client.FlushAll(context.Background()) }}
	}
	t.Run("miniredis", func(t *testing.T) {
		server := miniredis.RunT(t)
		w := make(t, server.Addr())
		w.later = func() { server.FastForward(time.Minute) }
		test(t, w)
	})
	t.Run("redis-server", func(t *testing.T) {
		w := make(t, redistest.Start(t).Addr)
		w.later = func() { w.redis.Del(context.Background(), append(w.keys(":mender"), w.keys(":held")...)...) }
		test(t, w)
	})
}

func (w *world) keys(ending string) []string {
	keys, err := w.redis.Keys(context.Background(), "*"+ending).Result()
	if err != nil {
		w.t.Fatal(err)
	}
	return keys
}

// deliver is what tally does with a box: it is there that it is tested.
func (w *world) deliver(ctx context.Context, m *Mender, c events.Contest, e counts.Entry) error {
	answer, err := w.counts.Count(ctx, c, e)
	if errors.Is(err, counts.ErrLife) {
		if _, _, err := m.Mend(ctx, c); err != nil {
			return err
		}
		answer, err = w.counts.Count(ctx, c, e)
	}
	if err != nil {
		return err
	}
	entry := journal.Entry{ID: e.ID, Box: e.Box, Attempt: answer.Attempt, States: answer.States}
	logged, err := w.log.Append(ctx, entry)
	if err != nil {
		return err
	}
	if journal.LifeOf(logged) < answer.Life {
		if stands, err := w.log.Stands(ctx, c.ID, e.ID, logged); err != nil {
			return err
		} else if !stands {
			if logged, err = w.log.Replace(ctx, entry, logged); err != nil {
				return err
			}
		}
	}
	return w.counts.Settle(ctx, c, e, answer, logged)
}

func (w *world) mustDeliver(m *Mender, c events.Contest, e counts.Entry) {
	w.t.Helper()
	if err := w.deliver(w.t.Context(), m, c, e); err != nil {
		w.t.Fatal(err)
	}
}

var limits = []events.Limit{
	{Mode: events.NoLimit}, {Mode: events.PerContest, N: 2}, {Mode: events.PerBand, N: 1}, {Mode: events.Replace},
}

func contestOf(limit events.Limit) events.Contest {
	return events.Contest{ID: strings.ReplaceAll(string(limit.Mode), "_", "-"), Limit: limit, Shards: 3}
}

// randomBox makes an entry in which ids, voters and bands repeat.
func randomBox(d *rand.Rand, c events.Contest, n int) counts.Entry {
	box := events.Box{ID: fmt.Sprint(c.ID, "-box-", n), Contest: c.ID, Channel: events.Channels[d.IntN(len(events.Channels))]}
	refused := d.IntN(6) == 0
	for i := range 1 + d.IntN(8) {
		id := d.IntN(120)
		v := events.Vote{
			ID: fmt.Sprint("id-", id), Name: fmt.Sprint("Band ", id%5), Album: []string{"", "Album"}[id%2],
			Year: 1990, Rank: int32(100 * (id % 3)), Index: i, At: noon.Add(time.Duration(id) * time.Millisecond),
		}
		if id%3 > 0 {
			v.VoterKey = bytes.Repeat([]byte{byte(1 + id%7)}, 32)
		}
		if refused {
			v.Reason = events.TooLate
		}
		box.Votes = append(box.Votes, v)
	}
	suffix := "/accepted"
	if refused {
		suffix = "/refused"
	}
	return counts.Entry{ID: box.ID + suffix, Box: box}
}

var noon = time.Now().UTC().Truncate(time.Minute)

// check holds the counts against the log, the log against what was delivered, and
// Redis against having anything left over.
func (w *world) check(c events.Contest, delivered []counts.Entry) {
	w.t.Helper()
	ctx := w.t.Context()
	recount := counts.NewRecount(c)
	logged := make(map[string]bool)
	final := make(map[string]int) // by voter and id: counted or over the limit
	for e, err := range w.log.Entries(ctx, c.ID) {
		if err != nil {
			w.t.Fatal(err)
		}
		logged[e.ID] = true
		if err := recount.Add(counts.Entry{ID: e.ID, Box: e.Box}, e.States); err != nil {
			w.t.Fatal(err)
		}
		for i, v := range e.Box.Votes {
			if e.States[i] == events.Counted || e.States[i] == events.OverLimit {
				final[fmt.Sprintf("%x %s", v.VoterKey, v.ID)]++
			}
		}
	}
	if all := w.log.All(c.ID); len(all) != len(logged) {
		w.t.Errorf("%d of %d boxes in the log are void", len(all)-len(logged), len(all))
	}
	for _, e := range delivered {
		if !logged[e.ID] {
			w.t.Errorf("%s is not in the log", e.ID)
		}
		for _, v := range e.Box.Votes {
			if id := fmt.Sprintf("%x %s", v.VoterKey, v.ID); v.Reason == "" && final[id] != 1 {
				w.t.Errorf("vote %s has %d final states that are not duplicate", id, final[id])
			}
		}
	}
	tally, err := w.counts.Tally(ctx, c)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := recount.Tally().Differ(tally); err != nil {
		w.t.Errorf("log and counts differ: %v", err)
	}
	figures, err := w.counts.Figures(ctx, c)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := recount.Figures().Differ(figures); err != nil {
		w.t.Errorf("log and figures differ: %v", err)
	}
	if pending, err := w.counts.Pending(ctx, c); err != nil || len(pending) > 0 {
		w.t.Errorf("pending are %v, %v", pending, err)
	}
	left := slices.DeleteFunc(w.keys("*"), func(key string) bool {
		return !strings.Contains(key, "{"+c.ID+":") || !strings.Contains(key, ":next") && !strings.HasSuffix(key, ":mender") && !strings.HasSuffix(key, ":held")
	})
	if len(left) > 0 {
		w.t.Errorf("left in Redis are %v", left)
	}
}

// Counts that were lost are rebuilt as the log has them, and the next votes are
// decided as if nothing had happened. A contest of which nothing was ever counted
// is nothing special.
func TestMend(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		m := New(w.counts, w.log)
		for _, limit := range limits {
			c, d := contestOf(limit), rand.New(rand.NewPCG(1, 2))
			var all []counts.Entry
			for life := range int64(3) {
				for range 30 {
					e := randomBox(d, c, len(all))
					all = append(all, e)
					w.mustDeliver(m, c, e)
				}
				for _, e := range all { // some that were there before come again
					if d.IntN(3) == 0 {
						w.mustDeliver(m, c, e)
					}
				}
				w.check(c, all)
				if got, err := w.counts.Life(t.Context(), c); err != nil || got != life+1 {
					t.Errorf("life %d, %v, want %d", got, err, life+1)
				}
				if _, mended, err := m.Mend(t.Context(), c); err != nil || mended {
					t.Errorf("counts that live were mended: %v, %v", mended, err)
				}
				w.forget()
			}
			for _, e := range all {
				w.mustDeliver(m, c, e)
			}
			w.check(c, all)
			w.forget()
		}
	})
}

// What was found, and what was done, is told; and the log keeps it.
func TestMendTells(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		m, c := New(w.counts, w.log), events.Contest{ID: "told"}
		vote := events.Vote{ID: "1", Name: "La Tona", At: noon}
		e := counts.Entry{ID: "a/accepted", Box: events.Box{ID: "a", Contest: c.ID, Channel: events.ByHTTP, Votes: []events.Vote{vote}}}
		w.mustDeliver(m, c, e)
		w.redis.HIncrBy(t.Context(), "marimba:{told:0}:tally", "La Tona\x1f\x1f0", 4)
		w.redis.Del(t.Context(), "marimba:{told:0}:life")
		r, mended, err := m.Mend(t.Context(), c)
		if err != nil || !mended {
			t.Fatal(mended, err)
		}
		if r.Life != 2 || r.Boxes != 1 || r.Votes != 1 || r.Cause != "Redis has no counts of it" || r.Found.Votes != 5 ||
			!strings.HasPrefix(r.Found.Difference, "La Tona, : ranks map[0:1] and map[0:5]") {
			t.Errorf("got %+v", r)
		}
		lives, err := w.log.Lives(t.Context(), c.ID)
		if err != nil || len(lives) != 2 || lives[1].Found != r.Found.String() || lives[1].Votes != 1 {
			t.Errorf("lives %+v, %v", lives, err)
		}
		if r, err := m.Recount(t.Context(), c); err != nil || r.Life != 3 || r.Found != (Found{Votes: 1}) || r.Cause != "recount" || r.Void != 0 {
			t.Errorf("recount of good counts: %+v, %v", r, err)
		}
	})
}

// dying is a process that is killed: from its step at on, nothing that it does
// happens any more. Steps are before and behind each round trip to Redis and
// each call of the log.
type dying struct {
	*journaltest.Log
	mu       sync.Mutex
	at, step int
}

var errKilled = errors.New("killed")

func (d *dying) dies() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.step++
	return d.step >= d.at
}

func (d *dying) do(step func() error) error {
	if d.dies() {
		return errKilled
	}
	err := step()
	if d.dies() {
		return errKilled
	}
	return err
}

func (d *dying) DialHook(next redis.DialHook) redis.DialHook { return next }
func (d *dying) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := d.do(func() error { return next(ctx, cmd) })
		cmd.SetErr(err)
		return err
	}
}
func (d *dying) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := d.do(func() error { return next(ctx, cmds) })
		if errors.Is(err, errKilled) {
			for _, cmd := range cmds {
				cmd.SetErr(err)
			}
		}
		return err
	}
}

func (d *dying) Latest(ctx context.Context, contest string) (n int64, err error) {
	err = d.do(func() (err error) { n, err = d.Log.Latest(ctx, contest); return err })
	return n, err
}

func (d *dying) Begin(ctx context.Context, l journal.Life, stands []journal.Mark) error {
	return d.do(func() error { return d.Log.Begin(ctx, l, stands) })
}

func (d *dying) Entries(ctx context.Context, contest string) iter.Seq2[journal.Entry, error] {
	return func(yield func(journal.Entry, error) bool) {
		read := 0
		for e, err := range d.Log.Entries(ctx, contest) {
			if read++; read == 5 && d.dies() {
				yield(journal.Entry{}, errKilled)
				return
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// mortal returns a mender that is killed at a step of it.
func (w *world) mortal(at int) (*Mender, *dying) {
	d := &dying{Log: w.log, at: at}
	client := redis.NewClient(w.redis.Options())
	w.t.Cleanup(func() { client.Close() })
	client.AddHook(d)
	m := New(counts.New(client), d)
	m.drain = 0
	return m, d
}

// Wherever a mender is killed, and the one after it at another step: boxes that
// were on their way when the counts were lost, or came in between, end as they
// should, each vote once. So of a recount.
func TestMenderIsKilledAnywhere(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		c := events.Contest{ID: "killed", Limit: events.Limit{Mode: events.PerContest, N: 2}, Shards: 2}
		d := rand.New(rand.NewPCG(3, 4))
		healthy := New(w.counts, w.log)
		var all []counts.Entry
		box := func() counts.Entry {
			all = append(all, randomBox(d, c, len(all)))
			return all[len(all)-1]
		}
		for range 12 {
			w.mustDeliver(healthy, c, box())
		}
		// kill has a mender do something until it is killed at a step, and returns
		// whether it came so far.
		kill := func(at int, work func(m *Mender) error) bool {
			m, dying := w.mortal(at)
			err := work(m)
			if err != nil && !errors.Is(err, errKilled) {
				t.Fatalf("killed at step %d: %v", at, err)
			}
			dying.mu.Lock()
			defer dying.mu.Unlock()
			w.later()
			return dying.step >= at
		}
		mend := func(m *Mender) error { _, _, err := m.Mend(t.Context(), c); return err }
		recount := func(m *Mender) error { _, err := m.Recount(t.Context(), c); return err }
		for name, work := range map[string]func(m *Mender) error{"mend": mend, "recount": recount} {
			// Each step takes a while, so a run looks at one of four; chance says at which,
			// and -v tells.
			const stride = 4
			first := 1 + rand.IntN(stride)
			t.Logf("%s: from step %d on, each %dth", name, first, stride)
			for at := first; ; at += stride {
				// A box that was decided, and one that was decided and logged, when it
				// happens.
				decided, logged := box(), box()
				var answers []counts.Answer
				for _, e := range []counts.Entry{decided, logged} {
					a, err := w.counts.Count(t.Context(), c, e)
					if err != nil {
						t.Fatal(err)
					}
					answers = append(answers, a)
				}
				late := journal.Entry{ID: logged.ID, Box: logged.Box, Attempt: answers[1].Attempt, States: answers[1].States}
				if d.IntN(2) == 0 {
					if _, err := w.log.Append(t.Context(), late); err != nil {
						t.Fatal(err)
					}
				}
				if name == "mend" {
					w.forget()
				}
				reached := kill(at, work)
				if d.IntN(2) == 0 {
					kill(1+d.IntN(20), mend)
				}
				// The one that was decided comes into the log only now, if it does.
				if _, err := w.log.Append(t.Context(), late); err != nil {
					t.Fatal(err)
				}
				w.mustDeliver(healthy, c, box())
				if err := w.counts.Settle(t.Context(), c, logged, answers[1], late.Attempt); err != nil && !errors.Is(err, counts.ErrLife) {
					t.Fatal(err)
				}
				w.mustDeliver(healthy, c, logged)
				w.mustDeliver(healthy, c, decided)
				if t.Failed() {
					t.Fatalf("%s, killed at step %d", name, at)
				}
				if !reached {
					t.Logf("%s has less than %d steps", name, at)
					break
				}
			}
			w.mustMend(healthy, c)
			w.check(c, all)
		}
	})
}

// mustMend has counts rebuilt even if they live: of a shadow that a killed mender
// left, nothing may remain.
func (w *world) mustMend(m *Mender, c events.Contest) {
	w.t.Helper()
	if err := w.counts.EndLife(w.t.Context(), c); err != nil {
		w.t.Fatal(err)
	}
	if _, _, err := m.Mend(w.t.Context(), c); err != nil {
		w.t.Fatal(err)
	}
}

// careless are counts of which a lock that somebody has is often lost.
type careless struct {
	*counts.Store
	redis *redis.Client
	until context.Context
}

func (l careless) Lock(ctx context.Context, c events.Contest) (*counts.Lock, error) {
	if l.until.Err() == nil && rand.IntN(8) == 0 {
		l.redis.Del(ctx, "marimba:{"+c.ID+":0}:mender")
	}
	return l.Store.Lock(ctx, c)
}

// Votes that come at the same time on many ways, each box more than once, while
// menders and recounters get into each other's way, and Redis forgets all: each
// vote ends once.
func TestMendersAtOnce(t *testing.T) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	onEach(t, func(t *testing.T, w *world) {
		for _, limit := range limits {
			t.Run(string(limit.Mode), func(t *testing.T) {
				w.t = t
				c := contestOf(limit)
				c.ID += "-at-once"
				const boxes, ways = 120, 4
				d := rand.New(rand.NewPCG(7, 8))
				var all []counts.Entry
				for n := range boxes {
					all = append(all, randomBox(d, c, n))
				}
				ctx, stop := context.WithTimeout(t.Context(), time.Minute)
				defer stop()
				quiet, hush := context.WithTimeout(ctx, 1500*time.Millisecond)
				defer hush()
				m := New(careless{w.counts, w.redis, quiet}, w.log)
				var delivering, disturbing sync.WaitGroup
				for way := range ways {
					delivering.Go(func() {
						d := rand.New(rand.NewPCG(9, uint64(way)))
						todo := slices.Clone(all)
						d.Shuffle(len(todo), func(i, k int) { todo[i], todo[k] = todo[k], todo[i] })
						for len(todo) > 0 && ctx.Err() == nil {
							at := d.IntN(min(len(todo), 10))
							if w.deliver(ctx, m, c, todo[at]) == nil {
								todo = slices.Delete(todo, at, at+1)
								continue
							}
							select {
							case <-time.After(5 * time.Millisecond): // a source waits longer
							case <-ctx.Done():
							}
						}
					})
				}
				for _, disturb := range []func(){
					func() { _, _ = m.Recount(quiet, c) },
					func() { _, _, _ = m.Mend(quiet, c) },
					func() { _ = w.counts.EndLife(quiet, c) },
					func() { w.redis.Del(quiet, w.keys(":tally")...); _ = w.counts.EndLife(quiet, c) },
				} {
					disturbing.Go(func() {
						for quiet.Err() == nil {
							disturb()
							select {
							case <-time.After(30 * time.Millisecond): // so that some get through
							case <-quiet.Done():
							}
						}
					})
				}
				delivering.Wait()
				hush()
				disturbing.Wait()
				if ctx.Err() != nil {
					t.Fatal("it does not come to an end")
				}
				w.redis.Del(t.Context(), w.keys(":held")...)
				w.mustMend(m, c)
				for _, e := range all {
					w.mustDeliver(m, c, e)
				}
				w.redis.Del(t.Context(), w.keys(":mender")...)
				w.check(c, all)
			})
		}
	})
}

// A log that cannot be right brings nothing to live, and leaves what is shown as
// it is.
func TestNothingLivesThatIsNotProven(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		m, c := New(w.counts, w.log), events.Contest{ID: "wrong"}
		vote := events.Vote{ID: "1", Name: "La Tona", At: noon}
		entry := func(id string) journal.Entry {
			return journal.Entry{ID: id + "/accepted", Attempt: "1:x", States: []events.State{events.Counted},
				Box: events.Box{ID: id, Contest: c.ID, Channel: events.ByHTTP, Votes: []events.Vote{vote}}}
		}
		first := entry("a")
		w.mustDeliver(m, c, counts.Entry{ID: first.ID, Box: first.Box})
		if _, err := w.log.Append(t.Context(), entry("b")); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Recount(t.Context(), c); err == nil || !strings.Contains(err.Error(), `the log of wrong counts vote "1" twice`) {
			t.Errorf("recount: %v", err)
		}
		if life, err := w.counts.Life(t.Context(), c); err != nil || life != 1 {
			t.Errorf("life %d, %v", life, err)
		}
		if tally, err := w.counts.Tally(t.Context(), c); err != nil || tally.Votes() != 1 {
			t.Errorf("tally %v, %v", tally, err)
		}
		if keys := w.keys(":next:*"); len(keys) > 1 {
			t.Errorf("left is %v", keys)
		}
	})
}

// Of all contests those that lost their counts are mended, in one reading of the
// log, also one that has no file any more; the others are left alone.
func TestMendAll(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		m := New(w.counts, w.log)
		d := rand.New(rand.NewPCG(5, 6))
		contests := []events.Contest{{ID: "rock", Shards: 2}, {ID: "jazz"}, {ID: "new"}}
		all := make(map[string][]counts.Entry)
		for n := range 40 {
			for _, c := range append([]events.Contest{{ID: "gone"}}, contests[:2]...) {
				e := randomBox(d, c, n)
				all[c.ID] = append(all[c.ID], e)
				w.mustDeliver(m, c, e)
			}
		}
		w.redis.Del(t.Context(), w.keys("{rock:1}:*")...)
		w.redis.Del(t.Context(), w.keys("{gone:0}:*")...)
		done, err := m.MendAll(t.Context(), contests)
		if err != nil {
			t.Fatal(err)
		}
		want := Restored{Contests: 3, Kept: 1, Boxes: 80}
		for _, e := range append(slices.Clone(all["rock"]), all["gone"]...) {
			want.Votes += int64(len(e.Box.Votes))
		}
		if done != want {
			t.Errorf("done is %+v, want %+v", done, want)
		}
		for _, c := range append(contests, events.Contest{ID: "gone"}) {
			w.check(c, all[c.ID])
		}
		lives := make(map[string]int64)
		for _, c := range contests {
			if lives[c.ID], err = w.counts.Life(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		if want := map[string]int64{"rock": 2, "jazz": 1, "new": 1}; !maps.Equal(lives, want) {
			t.Errorf("lives are %v, want %v", lives, want)
		}
		if done, err := m.MendAll(t.Context(), contests); err != nil || done != (Restored{Kept: 4}) {
			t.Errorf("once more: %+v, %v", done, err)
		}
	})
}
