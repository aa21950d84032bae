package counts

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"marimba/events"
	"marimba/functions/internal/counts/redistest"
)

var tona = events.Vote{Name: "La Tona", Album: "Cruzando el umbral", Rank: 100}

// Counts that nobody gave a life take nothing, and nothing of a refused try is
// left.
func TestNothingIsCountedWithoutALife(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		c := events.Contest{ID: "lifeless", Shards: 2}
		e := box("a", c.ID, tona, tona, tona, tona)
		if _, err := s.Count(t.Context(), c, e); !errors.Is(err, ErrLife) {
			t.Errorf("count: %v", err)
		}
		if _, err := s.Life(t.Context(), c); !errors.Is(err, ErrLife) {
			t.Errorf("life: %v", err)
		}
		if keys := keysOf(t, s, c); len(keys) > 0 {
			t.Errorf("left are %v", keys)
		}
		begin(t, s, c)
		if life, err := s.Life(t.Context(), c); err != nil || life != 1 {
			t.Errorf("begun: %d, %v", life, err)
		}
		pass(t, s, c, e)
	})
}

// keysOf returns all keys of a contest, sorted.
func keysOf(t *testing.T, s *Store, c events.Contest) []string {
	t.Helper()
	keys, err := s.redis.Keys(t.Context(), "marimba:{"+c.ID+":*").Result()
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(keys)
	return keys
}

// However Redis comes back, it is noticed at the first box, and before anything
// is changed: with all on its disk, with an older disk, with none, and as a
// replica that took its place.
func TestEveryRestartIsNoticed(t *testing.T) {
	copyOf := func(t *testing.T, dir string) string {
		to := filepath.Join(t.TempDir(), "copy")
		if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		return to
	}
	settings := []string{"--appendonly", "yes", "--appendfsync", "always"}
	c := events.Contest{ID: "restart", Shards: 3}
	for name, again := range map[string]func(t *testing.T, r *redistest.Server, older string) *redistest.Server{
		"same disk": func(_ *testing.T, r *redistest.Server, _ string) *redistest.Server { r.Kill(); r.Again(); return r },
		"older disk": func(_ *testing.T, r *redistest.Server, older string) *redistest.Server {
			r.Kill()
			r.Dir = older
			r.Again()
			return r
		},
		"empty disk": func(t *testing.T, r *redistest.Server, _ string) *redistest.Server {
			r.Kill()
			r.Dir = t.TempDir()
			r.Again()
			return r
		},
		"replica": func(t *testing.T, r *redistest.Server, _ string) *redistest.Server {
			replica := newServer(t, settings...)
			client := replica.Client()
			defer client.Close()
			host, port, _ := strings.Cut(r.Addr, ":")
			if err := client.ReplicaOf(t.Context(), host, port).Err(); err != nil {
				t.Fatal(err)
			}
			for client.Exists(t.Context(), base(c.ID, 0)+":life").Val() == 0 {
				time.Sleep(10 * time.Millisecond) // until it has all
			}
			r.Kill()
			if err := client.ReplicaOf(t.Context(), "NO", "ONE").Err(); err != nil {
				t.Fatal(err)
			}
			return replica
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newServer(t, settings...)
			s := open(t, r.Addr)
			pass(t, s, c, box("first", c.ID, tona, tona, tona))
			older := copyOf(t, r.Dir)
			pending := box("pending", c.ID, tona, tona, tona, tona, tona, tona)
			answer, err := s.Count(t.Context(), c, pending)
			if err != nil {
				t.Fatal(err)
			}
			r = again(t, r, older)
			s = open(t, r.Addr)
			before := keysOf(t, s, c)
			if _, err := s.Count(t.Context(), c, pending); !errors.Is(err, ErrLife) {
				t.Errorf("count what is pending: %v", err)
			}
			if _, err := s.Count(t.Context(), c, box("new", c.ID, tona, tona, tona)); !errors.Is(err, ErrLife) {
				t.Errorf("count: %v", err)
			}
			if err := s.Settle(t.Context(), c, pending, answer, answer.Attempt); !errors.Is(err, ErrLife) {
				t.Errorf("settle: %v", err)
			}
			if _, err := s.Life(t.Context(), c); !errors.Is(err, ErrLife) {
				t.Errorf("life: %v", err)
			}
			if after := keysOf(t, s, c); !slices.Equal(after, before) {
				t.Errorf("keys were %v and are %v", before, after)
			}
		})
	}
}

// The connection of a process that was there before notices too: nothing that a
// client remembers is needed.
func TestRestartIsNoticedByAnOldClient(t *testing.T) {
	r := newServer(t, "--appendonly", "yes", "--appendfsync", "always")
	s := open(t, r.Addr)
	c := events.Contest{ID: "old"}
	pass(t, s, c, box("a", c.ID, tona))
	r.Kill()
	r.Again()
	if _, err := s.Count(t.Context(), c, box("b", c.ID, tona)); !errors.Is(err, ErrLife) {
		t.Errorf("got %v", err)
	}
}

// A box that was decided in a life which has ended is not settled in the next
// one; it is counted anew there, once.
func TestSettleInTheNextLife(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		c := events.Contest{ID: "ended", Shards: 2}
		e := box("a", c.ID, tona, tona, tona)
		begin(t, s, c)
		old, err := s.Count(t.Context(), c, e)
		if err != nil {
			t.Fatal(err)
		}
		next(t, s, c, 2)
		if err := s.Settle(t.Context(), c, e, old, old.Attempt); !errors.Is(err, ErrLife) {
			t.Errorf("settle: %v", err)
		}
		again, err := s.Count(t.Context(), c, e)
		if err != nil || again.Life != 2 || again.Attempt == old.Attempt {
			t.Fatalf("counted again: %+v, %v", again, err)
		}
		// The late one settles nothing, however often it comes.
		if err := s.Settle(t.Context(), c, e, old, old.Attempt); !errors.Is(err, ErrLife) {
			t.Errorf("settle: %v", err)
		}
		if err := s.Settle(t.Context(), c, e, again, again.Attempt); err != nil {
			t.Fatal(err)
		}
		f, err := s.Figures(t.Context(), c)
		if err != nil || f.Votes[events.ByHTTP][events.Counted] != 3 {
			t.Errorf("figures %v, %v", f, err)
		}
	})
}

// next ends the life of a contest's counts and begins another, with nothing of
// the log in it.
func next(t *testing.T, s *Store, c events.Contest, life int64) {
	t.Helper()
	err := s.EndLife(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	sh, err := s.Shadow(t.Context(), c)
	if err == nil {
		err = sh.Live(t.Context(), life)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A box that the log holds and the counts do not know is proof that these are
// not what they should be: their life ends.
func TestCountsThatLackALoggedBox(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		c := events.Contest{ID: "lack"}
		e := box("a", c.ID, tona)
		begin(t, s, c)
		a, err := s.Count(t.Context(), c, e)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Settle(t.Context(), c, e, a, "1:another"); !errors.Is(err, ErrLife) {
			t.Errorf("settle: %v", err)
		}
		if _, err := s.Count(t.Context(), c, box("b", c.ID, tona)); !errors.Is(err, ErrLife) {
			t.Errorf("count: %v", err)
		}
	})
}

// While a contest is held no box is begun, but those on their way end; other
// contests go on. A hold ends when it is released, and by itself.
func TestHold(t *testing.T) {
	server := miniredis.RunT(t)
	t.Run("miniredis", func(t *testing.T) { hold(t, open(t, server.Addr()), server.FastForward) })
	t.Run("redis-server", func(t *testing.T) { hold(t, open(t, startRedis(t)), nil) })
}

func hold(t *testing.T, s *Store, forward func(time.Duration)) {
	ctx := context.Background()
	c, other := events.Contest{ID: "held", Shards: 2}, events.Contest{ID: "other"}
	begin(t, s, c)
	pending := box("pending", c.ID, tona, tona, tona)
	a, err := s.Count(ctx, c, pending)
	if err != nil {
		t.Fatal(err)
	}
	held := func() {
		t.Helper()
		if err := s.Hold(ctx, c, time.Minute); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Count(ctx, c, box("new", c.ID, tona, tona, tona)); !errors.Is(err, ErrHeld) {
			t.Errorf("a new box: %v", err)
		}
	}
	held()
	if again, err := s.Count(ctx, c, pending); err != nil || again.Attempt != a.Attempt {
		t.Errorf("a pending box: %+v, %v", again, err)
	}
	if err := s.Settle(ctx, c, pending, a, a.Attempt); err != nil {
		t.Errorf("settle: %v", err)
	}
	pass(t, s, other, box("a", other.ID, tona))
	if err := s.Release(ctx, c); err != nil {
		t.Fatal(err)
	}
	pass(t, s, c, box("released", c.ID, tona))

	held()
	if forward != nil {
		forward(time.Minute)
		pass(t, s, c, box("by itself", c.ID, tona))
	} else if left := s.redis.PTTL(ctx, base(c.ID, 1)+":held").Val(); left <= 0 || left > time.Minute {
		t.Errorf("the hold ends in %v", left)
	}
	held()
	next(t, s, c, 2)
	pass(t, s, c, box("next life", c.ID, tona))
}

// A lock that Redis brings back from its disk keeps nobody out: who had it was
// cut off with the Redis that gave it.
func TestLockOfAnotherRedis(t *testing.T) {
	r := newServer(t, "--appendonly", "yes", "--appendfsync", "always")
	s := open(t, r.Addr)
	c := events.Contest{ID: "locked"}
	if _, err := s.Lock(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	r.Kill()
	r.Again()
	if s.redis.Exists(t.Context(), base(c.ID, 0)+":mender").Val() != 1 {
		t.Fatal("Redis did not keep it")
	}
	if _, err := s.Lock(t.Context(), c); err != nil {
		t.Errorf("got %v", err)
	}
}

// One holds the lock, until it is given back or the holder is gone.
func TestLock(t *testing.T) {
	server := miniredis.RunT(t)
	s := open(t, server.Addr())
	c := events.Contest{ID: "locked"}
	lock, err := s.Lock(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Lock(t.Context(), c); !errors.Is(err, ErrLocked) {
		t.Errorf("a second time: %v", err)
	}
	if _, err := s.Lock(t.Context(), events.Contest{ID: "another"}); err != nil {
		t.Errorf("of another contest: %v", err)
	}
	held, unlock := lock.Keep(t.Context())
	if held.Err() != nil {
		t.Error("it is lost at once")
	}
	unlock()
	if held.Err() == nil {
		t.Error("it was given back, and the work goes on")
	}
	if _, err := s.Lock(t.Context(), c); err != nil {
		t.Errorf("given back: %v", err)
	}
	server.FastForward(lockKept)
	late, err := s.Lock(t.Context(), c)
	if err != nil {
		t.Fatalf("of a holder that is gone: %v", err)
	}
	// Who had it before does not take it from the new holder.
	_, unlock = lock.Keep(t.Context())
	unlock()
	if _, err := s.Lock(t.Context(), c); !errors.Is(err, ErrLocked) {
		t.Errorf("taken away: %v", err)
	}
	_, unlock = late.Keep(t.Context())
	unlock()
}
