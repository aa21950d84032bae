package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A closed loop makes each request once, with never more on their way than may be,
// and tells those that failed from the others.
func TestClosedLoop(t *testing.T) {
	const requests, atOnce = 200, 8
	var now, most atomic.Int64
	var mu sync.Mutex
	seen := map[int]bool{}
	broken := errors.New("broken")
	all := paceOf(atOnce, 1, 0).run(t.Context(), requests, func(_ context.Context, n int, _ time.Time) error {
		at := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); at > m && !most.CompareAndSwap(m, at); m = most.Load() {
		}
		mu.Lock()
		defer mu.Unlock()
		seen[n] = true
		if n%10 == 0 {
			return broken
		}
		return nil
	})
	if len(seen) != requests || most.Load() > atOnce {
		t.Errorf("%d requests, %d at once", len(seen), most.Load())
	}
	if all.failed != requests/10 || all.latencies.TotalCount() != requests-all.failed || !errors.Is(all.first, broken) {
		t.Errorf("%+v", all)
	}
}

// In an open loop requests are due at set times whatever becomes of others, and a
// moment in which nothing is answered is in the latency of all that were due in it.
func TestOpenLoop(t *testing.T) {
	const requests, gap, stuck = 100, time.Millisecond, 50
	p := pace{atOnce: 1, gap: gap} // one caller, so that one stuck request holds up the others
	var mu sync.Mutex
	var dues []time.Time
	all := p.run(t.Context(), requests, func(ctx context.Context, n int, due time.Time) error {
		mu.Lock()
		dues = append(dues, due)
		mu.Unlock()
		if n == 0 {
			sleepUntil(ctx, due.Add(stuck*gap))
		}
		return nil
	})
	if all.first != nil {
		t.Fatal(all.first)
	}
	for n, due := range dues {
		if want := dues[0].Add(time.Duration(n) * gap); !due.Equal(want) {
			t.Fatalf("request %d was due at %s, not %s", n, due, want)
		}
	}
	// Request n was due n gaps after the start and could not be sent before stuck gaps
	// after it: half of the requests waited, a quarter for more than half of that.
	if late := latencyOf(all.latencies).P99; late < 0.9*(stuck*gap).Seconds()*1000 {
		t.Errorf("p99 is %f ms", late)
	}
	if got := float64(all.latencies.ValueAtQuantile(70)) / 1000; got < 0.3*stuck {
		t.Errorf("p70 is %f ms", got)
	}
	if paceOf(64, 100, 1000).gap != 100*time.Millisecond {
		t.Error("100 votes a request at 1,000 a second are ten requests a second")
	}
}

// A loop ends with its context.
func TestLoopEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	all := pace{atOnce: 2, gap: time.Hour}.run(ctx, 10, func(context.Context, int, time.Time) error {
		cancel()
		return nil
	})
	if !errors.Is(all.first, context.Canceled) {
		t.Error(all.first)
	}
}
