package counts

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"marimba/events"
)

// twice is a connection on which each script is run twice, as when the first
// answer is lost and it is sent again.
type twice struct{}

func (twice) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (twice) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (twice) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		_ = next(ctx, cmds)
		for _, cmd := range cmds {
			cmd.SetErr(nil)
		}
		return next(ctx, cmds)
	}
}

// A rebuild leaves in Redis what counting left there, key by key and nothing
// else, whatever was there before; also if each of its steps is sent twice.
func TestRebuildIsAllThatCountingLeaves(t *testing.T) {
	limits := []events.Limit{
		{Mode: events.NoLimit}, {Mode: events.PerContest, N: 2}, {Mode: events.PerBand, N: 1}, {Mode: events.Replace},
	}
	onEach(t, func(t *testing.T, s *Store) {
		again := New(s.redis)
		if client, ok := s.redis.(*redis.Client); ok {
			doubled := redis.NewClient(client.Options())
			t.Cleanup(func() { doubled.Close() })
			doubled.AddHook(twice{})
			again = New(doubled)
		}
		for i, limit := range limits {
			name, shards := strings.ReplaceAll(string(limit.Mode), "_", "-"), 1+3*(i%2)
			t.Run(name, func(t *testing.T) {
				d := dice{rand.New(rand.NewPCG(uint64(shards), 5))}
				c := events.Contest{ID: name, Limit: limit, Shards: shards}
				log := played(t, s, c, d, 30)
				want := contentOf(t, s, c)

				rebuilt(t, again, c, 2, log)
				same(t, contentOf(t, s, c), want)

				// Counts of other votes, of another mode, and boxes on their way are gone.
				other := c
				other.Limit = limits[(slices.Index(limits, limit)+1)%len(limits)]
				for n := range 40 {
					e := d.entry(other, 500+n)
					for i := range e.Box.Votes {
						e.Box.Votes[i].ID = fmt.Sprint("other-", n, "-", i)
					}
					if n%3 > 0 {
						pass(t, s, other, e)
					} else if _, err := s.Count(t.Context(), other, e); err != nil {
						t.Fatal(err)
					}
				}
				d.Shuffle(len(log), func(i, k int) { log[i], log[k] = log[k], log[i] })
				rebuilt(t, again, c, 3, log)
				same(t, contentOf(t, s, c), want)
			})
		}
	})
}

// A shadow is one mender's. When another begins one, nothing of the first comes
// to live, and nothing of it is left.
func TestShadowOfAnother(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		c := events.Contest{ID: "another", Shards: 3}
		log := played(t, s, c, dice{rand.New(rand.NewPCG(1, 6))}, 20)
		want := contentOf(t, s, c)
		if err := s.EndLife(ctx, c); err != nil {
			t.Fatal(err)
		}
		first, err := s.Shadow(ctx, c)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range log[:10] {
			if err := first.Add(ctx, l.entry, l.states); err != nil {
				t.Fatal(err)
			}
		}
		if err := first.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		second, err := s.Shadow(ctx, c)
		if err != nil {
			t.Fatal(err)
		}
		if err := first.Add(ctx, log[10].entry, log[10].states); err != nil {
			t.Fatal(err) // it is not sent yet
		}
		if err := first.Flush(ctx); !errors.Is(err, ErrStale) {
			t.Errorf("add: %v", err)
		}
		for _, l := range log {
			if err := second.Add(ctx, l.entry, l.states); err != nil {
				t.Fatal(err)
			}
		}
		if err := second.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		for _, one := range first.shards {
			one.begin()
		}
		if err := first.Live(ctx, 2); !errors.Is(err, ErrStale) {
			t.Errorf("live: %v", err)
		}
		if err := first.Discard(ctx); !errors.Is(err, ErrStale) {
			t.Errorf("discard: %v", err)
		}
		if _, err := s.Life(ctx, c); !errors.Is(err, ErrLife) {
			t.Errorf("life: %v", err)
		}
		if err := second.Live(ctx, 3); err != nil {
			t.Fatal(err)
		}
		same(t, contentOf(t, s, c), want)

		// A shadow does not take the place of counts that live.
		third, err := s.Shadow(ctx, c)
		if err != nil {
			t.Fatal(err)
		}
		if err := third.Add(ctx, log[0].entry, log[0].states); err != nil {
			t.Fatal(err)
		}
		if err := third.Live(ctx, 4); !errors.Is(err, ErrStale) {
			t.Errorf("live beside the living: %v", err)
		}
		if err := third.Discard(ctx); err != nil {
			t.Fatal(err)
		}
		got := contentOf(t, s, c)
		maps.DeleteFunc(got, func(key, _ string) bool { return strings.HasSuffix(key, ":next:shadow") })
		same(t, got, want)
		if life, err := s.Life(ctx, c); err != nil || life != 3 {
			t.Errorf("life %d, %v", life, err)
		}
	})
}

// A shadow of which a Redis lost something, however little, does not come to
// live.
func TestShadowThatLostSomething(t *testing.T) {
	r := newServer(t, "--appendonly", "yes", "--appendfsync", "always")
	s := open(t, r.Addr)
	ctx := t.Context()
	c := events.Contest{ID: "lost"}
	e := box("a", c.ID, tona)
	sh, err := s.Shadow(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	step := s.redis.Get(ctx, base(c.ID, 0)+":next:shadow").Val()
	if err := sh.Add(ctx, e, []events.State{events.Counted}); err != nil {
		t.Fatal(err)
	}
	if err := sh.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	s.redis.Set(ctx, base(c.ID, 0)+":next:shadow", step, 0) // as it was before the last step
	if err := sh.Live(ctx, 1); !errors.Is(err, ErrStale) {
		t.Errorf("a step back: %v", err)
	}
	// One that lost nothing is as good on a Redis that was restarted.
	sh, err = s.Shadow(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	if err := sh.Add(ctx, e, []events.State{events.Counted}); err != nil {
		t.Fatal(err)
	}
	if err := sh.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	r.Kill()
	r.Again()
	if err := sh.Live(ctx, 2); err != nil {
		t.Fatal(err)
	}
	if life, err := s.Life(ctx, c); err != nil || life != 2 {
		t.Errorf("life %d, %v", life, err)
	}
}

// A vote that the log calls a duplicate, of a vote which the log does not have
// yet, is none that was counted: whoever has the other one counts it, and the
// box that is in the log, when it comes again, does not.
func TestDuplicateOfWhatIsNotLogged(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		for _, limit := range []events.Limit{{Mode: events.NoLimit}, {Mode: events.PerContest, N: 1}, {Mode: events.Replace}} {
			c := events.Contest{ID: "owed-" + strings.ReplaceAll(string(limit.Mode), "_", "-"), Limit: limit}
			vote := events.Vote{ID: "the vote", Name: "La Tona", VoterKey: []byte("voter")}
			inLog, again, other := box("a", c.ID, vote), box("b", c.ID, vote), box("c", c.ID, vote)
			states := []events.State{events.Duplicate}
			rebuilt(t, s, c, 1, []logged{{inLog, states}, {again, states}})
			for _, step := range []struct {
				entry Entry
				want  events.State
			}{{inLog, events.Duplicate}, {other, events.Counted}, {again, events.Duplicate}, {inLog, events.Duplicate}} {
				if got := pass(t, s, c, step.entry); got[0] != step.want {
					t.Errorf("%s: %s is %s, want %s", limit.Mode, step.entry.ID, got[0], step.want)
				}
			}
			if tally, err := s.Tally(t.Context(), c); err != nil || tally.Votes() != 1 {
				t.Errorf("%s: tally %v, %v", limit.Mode, tally, err)
			}
			// In the log the one that was counted may come after its duplicate.
			rebuilt(t, s, c, 2, []logged{{inLog, states}, {other, []events.State{events.Counted}}})
			if keys := keysOf(t, s, c); slices.ContainsFunc(keys, func(k string) bool { return strings.HasSuffix(k, ":owed") }) {
				t.Errorf("owed is what the log has: %v", keys)
			}
		}
	})
}

// A log that counts one vote twice is an error that names the vote.
func TestLogThatCountsTwice(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		c := events.Contest{ID: "twice", Shards: 2}
		sh, err := s.Shadow(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		vote := events.Vote{ID: "the vote", Name: "La Tona"}
		for _, id := range []string{"a", "b"} {
			err = errors.Join(err, sh.Add(t.Context(), box(id, c.ID, tona, vote), []events.State{events.Counted, events.Counted}))
		}
		if err = errors.Join(err, sh.Flush(t.Context())); err == nil || !strings.Contains(err.Error(), `"the vote" twice`) {
			t.Errorf("got %v", err)
		}
	})
}

// The newest votes are those that were received last, in whatever order the log
// has them.
func TestNewestOfARebuild(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		c := events.Contest{ID: "newest", Shards: 2}
		var log []logged
		for n := range 3 * MaxNewest {
			e := box(fmt.Sprint("box-", n), c.ID, tona)
			e.Box.Votes[0].At = start.Add(time.Duration(n) * time.Millisecond)
			log = append(log, logged{e, []events.State{events.Counted}})
		}
		rand.New(rand.NewPCG(1, 7)).Shuffle(len(log), func(i, k int) { log[i], log[k] = log[k], log[i] })
		rebuilt(t, s, c, 1, log)
		got, err := s.Newest(t.Context(), MaxNewest, c)
		if err != nil || len(got) != MaxNewest {
			t.Fatalf("%d, %v", len(got), err)
		}
		for i, r := range got {
			if want := fmt.Sprintf("box-%d.0", 3*MaxNewest-1-i); r.Receipt != want {
				t.Fatalf("newest %d is %s, want %s", i, r.Receipt, want)
			}
		}
	})
}

// A Redis without room for two sets of counts keeps the ones that live. Those
// that have no life make room for the shadow.
func TestRebuildWithoutRoom(t *testing.T) {
	s := open(t, startRedis(t))
	ctx := t.Context()
	c := events.Contest{ID: "room"}
	var log []logged
	for n := range 60 {
		e := boxOfBench(c.ID, n)
		log = append(log, logged{e, pass(t, s, c, e)})
	}
	want := contentOf(t, s, c)
	info, err := s.redis.InfoMap(ctx, "memory").Result()
	if err != nil {
		t.Fatal(err)
	}
	var used int64
	fmt.Sscan(info["Memory"]["used_memory"], &used)
	if err := s.redis.ConfigSet(ctx, "maxmemory", fmt.Sprint(used+300_000)).Err(); err != nil {
		t.Fatal(err)
	}
	rebuild := func() error {
		sh, err := s.Shadow(ctx, c)
		if err != nil {
			return err
		}
		for _, l := range log {
			if err := sh.Add(ctx, l.entry, l.states); err != nil {
				return errors.Join(err, sh.Discard(ctx))
			}
		}
		if err := s.EndLife(ctx, c); err != nil {
			return err
		}
		return sh.Live(ctx, 2)
	}
	if err := rebuild(); err == nil || !strings.Contains(err.Error(), "OOM") {
		t.Errorf("beside the living: %v", err)
	}
	got := contentOf(t, s, c)
	maps.DeleteFunc(got, func(key, _ string) bool { return strings.HasSuffix(key, ":next:shadow") })
	same(t, got, want)
	if err := s.EndLife(ctx, c); err != nil {
		t.Fatal(err)
	}
	if err := rebuild(); err != nil {
		t.Errorf("in the place of the dead: %v", err)
	}
	got, newest := contentOf(t, s, c), "marimba:{*:0}:newest"
	delete(got, newest)
	delete(want, newest) // fewer are kept
	same(t, got, want)
}
