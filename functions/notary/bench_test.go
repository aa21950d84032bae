package main

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"marimba/events"
	"marimba/knative/local/real/realtest"
)

// What the notary itself costs, as a process of its own that a source posts boxes
// to, and how fast it seals them on FerretDB.
func BenchmarkNotary(b *testing.B) {
	for _, votes := range []int{events.MaxBoxVotes, 20, 1} {
		b.Run(fmt.Sprintf("boxes of %d", votes), func(b *testing.B) {
			p := start(b, mongo(realtest.FerretDB(b).Address))
			boxes := make([]events.Box, b.N)
			for n := range boxes {
				boxes[n] = counted(n, votes)
			}
			const senders = 64 // as many as a source has on their way
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: senders}}
			var next atomic.Int64
			var sending sync.WaitGroup
			b.ResetTimer()
			for range senders {
				sending.Go(func() {
					for n := next.Add(1) - 1; n < int64(len(boxes)); n = next.Add(1) - 1 {
						for took := false; !took; {
							var err error
							if took, err = deliver(b, client, p.url, boxes[n]); err != nil {
								b.Error(err)
								return
							}
						}
					}
				})
			}
			sending.Wait()
			b.StopTimer()
			sealed := float64(b.N * votes)
			b.ReportMetric(sealed/b.Elapsed().Seconds(), "votes/s")
			_ = p.Process.Signal(syscall.SIGTERM)
			_ = p.Wait()
			cpu := p.ProcessState.UserTime() + p.ProcessState.SystemTime()
			b.ReportMetric(float64(cpu.Microseconds())/sealed, "cpu-µs/vote")
		})
	}
}
