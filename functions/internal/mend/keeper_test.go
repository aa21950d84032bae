package mend

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"marimba/events"
	"marimba/functions/internal/counts"
)

// healer mends a contest in so much time, or fails.
type healer struct {
	mu    sync.Mutex
	takes map[string]time.Duration
	fails error
	began []string
}

func (h *healer) Mend(ctx context.Context, c events.Contest) (Result, bool, error) {
	h.mu.Lock()
	h.began = append(h.began, c.ID)
	takes, fails := h.takes[c.ID], h.fails
	h.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return Result{}, false, ctx.Err()
	}
	return Result{Contest: c.ID, Life: 2, Boxes: 7, Votes: 70, Cause: "lost", Took: takes}, fails == nil, fails
}

// logged catches what is logged until the test ends.
func logged(t *testing.T) func() []string {
	var out bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&out, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	return func() []string {
		return strings.FieldsFunc(out.String(), func(r rune) bool { return r == '\n' })
	}
}

// However many boxes find counts lost, these are mended once, and one line tells
// of it. Boxes wait for it, but not long: then they are to come again, and those
// that follow at once. One box at a time keeps vigil, so that the function is not
// put to sleep before the mending has ended. Another contest is mended meanwhile.
func TestMendingTakesItsTime(t *testing.T) {
	lines := logged(t)
	synctest.Test(t, func(t *testing.T) {
		h := &healer{takes: map[string]time.Duration{"large": time.Minute, "small": 100 * time.Millisecond}}
		k := newKeeper(t.Context(), h)
		large, small := events.Contest{ID: "large"}, events.Contest{ID: "small"}
		began := time.Now()
		var waiting sync.WaitGroup
		var vigils atomic.Int32
		for range 20 {
			waiting.Go(func() {
				err := k.Wait(t.Context(), large)
				if time.Since(began) == patience+vigil {
					vigils.Add(1)
				} else if time.Since(began) != patience {
					t.Errorf("after %v: %v", time.Since(began), err)
				}
				if !errors.Is(err, ErrMending) {
					t.Errorf("after %v: %v", time.Since(began), err)
				}
			})
		}
		time.Sleep(time.Millisecond)
		if err := k.Wait(t.Context(), small); err != nil || time.Since(began) > 200*time.Millisecond {
			t.Errorf("another contest, after %v: %v", time.Since(began), err)
		}
		time.Sleep(patience)
		if err := k.Wait(t.Context(), large); !errors.Is(err, ErrMending) || time.Since(began) > 2*patience {
			t.Errorf("late, after %v: %v", time.Since(began), err)
		}
		waiting.Wait()
		if n := vigils.Load(); n != 1 {
			t.Errorf("%d boxes kept vigil", n)
		}
		var last sync.WaitGroup
		last.Go(func() { // who comes after the first vigil keeps the next
			if err := k.Wait(t.Context(), large); !errors.Is(err, ErrMending) || time.Since(began) < patience+2*vigil {
				t.Errorf("second vigil, after %v: %v", time.Since(began), err)
			}
		})
		last.Wait()
		if err := k.Wait(t.Context(), large); err != nil || time.Since(began) < time.Minute {
			t.Errorf("third vigil, after %v: %v", time.Since(began), err)
		}
		gone, leave := context.WithCancel(t.Context())
		leave()
		if err := k.Wait(gone, small); !errors.Is(err, context.Canceled) {
			t.Errorf("one who left: %v", err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := strings.Join(h.began, " "); got != "large small small" {
			t.Errorf("mended were %s", got)
		}
		if err := k.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
	got := lines()
	if len(got) != 3 || !strings.Contains(got[0], "contest=small") || !strings.Contains(got[1], "contest=large") ||
		!strings.Contains(got[1], "level=INFO") || !strings.Contains(got[1], `cause=lost found="the same" boxes=7 votes=70 seconds=60`) {
		t.Errorf("logged are\n%s", strings.Join(got, "\n"))
	}
}

// A mending that failed is told once, and not tried again by each box that comes;
// one that another process is at is not worth a line.
func TestMendingFails(t *testing.T) {
	lines := logged(t)
	synctest.Test(t, func(t *testing.T) {
		away := errors.New("the log is away")
		h := &healer{fails: away}
		k := newKeeper(t.Context(), h)
		c := events.Contest{ID: "rock"}
		for range 10 {
			if err := k.Wait(t.Context(), c); !errors.Is(err, away) {
				t.Errorf("got %v", err)
			}
		}
		if len(h.began) != 1 {
			t.Errorf("it was tried %d times", len(h.began))
		}
		time.Sleep(pause)
		h.fails = counts.ErrLocked
		if err := k.Wait(t.Context(), c); !errors.Is(err, ErrMending) || len(h.began) != 2 {
			t.Errorf("tried %d times, %v", len(h.began), err)
		}
		time.Sleep(pause)
		h.fails = nil
		if err := k.Wait(t.Context(), c); err != nil {
			t.Error(err)
		}
		k.all.Wait()
		if len(k.turns) != 0 {
			t.Errorf("kept are %v", k.turns)
		}
	})
	if got := lines(); len(got) != 2 || !strings.Contains(got[0], "level=WARN") || !strings.Contains(got[0], "the log is away") {
		t.Errorf("logged are\n%s", strings.Join(got, "\n"))
	}
}

// A process that ends stops mending, and waits for it.
func TestMendingEndsWithTheProcess(t *testing.T) {
	lines := logged(t)
	synctest.Test(t, func(t *testing.T) {
		process, end := context.WithCancel(t.Context())
		k := newKeeper(process, &healer{takes: map[string]time.Duration{"rock": time.Hour}})
		if err := k.Wait(t.Context(), events.Contest{ID: "rock"}); !errors.Is(err, ErrMending) {
			t.Errorf("got %v", err)
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := k.Close(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("while it goes on: %v", err)
		}
		end()
		if err := k.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
	if got := lines(); len(got) != 0 {
		t.Errorf("logged are\n%s", strings.Join(got, "\n"))
	}
}
