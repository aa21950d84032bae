package mend

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"marimba/events"
	"marimba/functions/internal/counts"
	"marimba/functions/internal/journal"
	"marimba/functions/internal/journal/journaltest"
)

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
