//go:build unix

package local_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"marimba/knative/local"
)

// How long a function takes from the start of its process to its first answer,
// which for those that cast is after Kafka's report, and how much memory it has
// when nothing asks for it. One iteration is one vote from zero, and back to
// zero.
func BenchmarkFromZero(b *testing.B) {
	for ground := range parts {
		b.Run(ground, func(b *testing.B) {
			h := raise(b, ground)
			n := 0
			memory, whole := map[string]float64{}, []time.Duration{}
			for b.Loop() {
				start := time.Now()
				for _, cast := range []channel{h.byGRPC, h.byHTTP} {
					if _, err := insist(b.Context(), cast, ballots(n, 1)); err != nil {
						b.Fatal(err)
					}
					n++
				}
				h.await(b, func(books books) bool { return books.States["counted"] >= int64(n) })
				whole = append(whole, time.Since(start))
				for _, p := range h.Processes() {
					memory[p.Function] = max(memory[p.Function], resident(b, p))
				}
				h.awaitSleep(b)
			}
			b.ReportMetric(0, "ns/op") // most of it is the wait for sleep
			b.ReportMetric(millis(whole), "ms-to-board")
			var slowest time.Duration
			for name, f := range h.Figures() {
				if len(f.ColdStarts) > 0 {
					b.ReportMetric(millis(f.ColdStarts), "ms-"+name)
					slowest = max(slowest, slices.Max(f.ColdStarts))
				}
			}
			b.ReportMetric(millis([]time.Duration{slowest}), "ms-slowest")
			for name, m := range memory {
				b.ReportMetric(m, "MiB-"+name)
			}
		})
	}
}

// How many votes a second go the whole way, from CastMany to the board and the
// log. One iteration is 20,000 votes.
func BenchmarkWholeWay(b *testing.B) {
	const votes, batch, clients = 20_000, 1_000, 4
	for ground := range parts {
		b.Run(ground, func(b *testing.B) {
			h := raise(b, ground)
			if _, err := insist(b.Context(), h.byGRPC, ballots(0, batch)); err != nil {
				b.Fatal(err)
			}
			n := batch
			h.await(b, func(books books) bool { return books.States["counted"] >= int64(n) })
			b.ResetTimer()
			var confirmed time.Duration
			for b.Loop() {
				start := time.Now()
				next := make(chan int, votes/batch)
				for at := n; at < n+votes; at += batch {
					next <- at
				}
				close(next)
				var all sync.WaitGroup
				for range clients {
					all.Go(func() {
						for at := range next {
							if _, err := insist(b.Context(), h.byGRPC, ballots(at, batch)); err != nil {
								b.Error(err)
							}
						}
					})
				}
				all.Wait()
				confirmed += time.Since(start)
				n += votes
				h.await(b, func(books books) bool { return books.States["counted"] >= int64(n) })
			}
			b.ReportMetric(float64(b.N)*votes/b.Elapsed().Seconds(), "votes/s")
			b.ReportMetric(float64(b.N)*votes/confirmed.Seconds(), "confirmed/s")
		})
	}
}

// millis is the median.
func millis(of []time.Duration) float64 {
	sorted := slices.Sorted(slices.Values(of))
	return float64(sorted[len(sorted)/2].Microseconds()) / 1000
}

// resident is the memory of a process in MiB, where the system tells it.
func resident(b *testing.B, p local.Process) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	var kib float64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		b.Fatal(err)
	}
	return kib / 1024
}
