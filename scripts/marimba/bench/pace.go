package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// mostAtOnce bounds the requests of an open loop that are on their way at once.
// When all of them are, the next is late, and its lateness is in its latency.
const mostAtOnce = 512

// pace says when requests are due. Without a gap the loop is closed: each of so
// many callers sends its next request when its last one is answered. With a gap it
// is open: requests are due at set times, whatever becomes of earlier ones, and
// latency counts from when a request was due. So the requests that a slow moment
// keeps from being sent in time count as slow (coordinated omission).
type pace struct {
	atOnce int
	gap    time.Duration
}

// paceOf is the pace of requests of so many votes each.
func paceOf(atOnce, batch int, rate float64) pace {
	if rate <= 0 {
		return pace{atOnce: atOnce}
	}
	return pace{atOnce: mostAtOnce, gap: time.Duration(float64(batch) / rate * float64(time.Second))}
}

// due is when request n is due, in a run that began at a time.
func (p pace) due(began time.Time, n int) time.Time { return began.Add(time.Duration(n) * p.gap) }

// call makes request n, which was due at a time.
type call func(ctx context.Context, n int, due time.Time) error

// ran is what came of a loop.
type ran struct {
	latencies *hdrhistogram.Histogram // of the requests that went well
	failed    int64
	first     error // of those that failed
	took      time.Duration
}

// run makes n requests.
func (p pace) run(ctx context.Context, n int, do call) ran {
	var (
		next  atomic.Int64
		mu    sync.Mutex
		all   sync.WaitGroup
		began = time.Now()
		out   = ran{latencies: newHistogram()}
	)
	for range min(p.atOnce, n) {
		all.Go(func() {
			own := newHistogram()
			var ownFailed int64
			var ownFirst error
			for {
				i := int(next.Add(1)) - 1
				if i >= n || ctx.Err() != nil {
					break
				}
				due := time.Now()
				if p.gap > 0 {
					due = p.due(began, i)
					if !sleepUntil(ctx, due) {
						break
					}
				}
				if err := do(ctx, i, due); err != nil {
					if ownFailed++; ownFirst == nil {
						ownFirst = err
					}
					continue
				}
				record(own, time.Since(due).Microseconds())
			}
			mu.Lock()
			defer mu.Unlock()
			out.latencies.Merge(own)
			out.failed += ownFailed
			if out.first == nil {
				out.first = ownFirst
			}
		})
	}
	all.Wait()
	if out.first == nil {
		out.first = ctx.Err()
	}
	out.took = time.Since(began)
	return out
}

// sleepUntil waits until a time, and reports whether it came before ctx ended.
func sleepUntil(ctx context.Context, at time.Time) bool {
	wait := time.Until(at)
	if wait <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
