//go:build unix

package publish

import (
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"marimba/events"
	"marimba/knative/local/real/realtest"
)

// What a box costs to bring to Apache Kafka: time with 16 senders, and this
// process' CPU. It is by this that glibc was chosen over a static musl; .ko.yaml
// has the figures. Both are built and run by
//
//	go test -c -o glibc.test ./functions/internal/publish
//	CC=musl-gcc go test -c -o musl.test -tags musl -ldflags '-linkmode external -extldflags -static' ./functions/internal/publish
//	./glibc.test -test.run '^$' -test.bench Send -test.benchtime 20000x
func BenchmarkSend(b *testing.B) {
	broker := realtest.Kafka(b).Address
	makeTopics(b, broker)
	for _, votes := range []int{1, 20, events.MaxBoxVotes} {
		b.Run(fmt.Sprint(votes, " votes a box"), func(b *testing.B) {
			p := openProducer(b, broker)
			like := boxOf("rock")
			for len(like.Votes) < votes {
				like.Votes = append(like.Votes, like.Votes[0])
			}
			if err := p.Send(b.Context(), like.Event(events.TypeCast, "ingress")); err != nil { // it is connected then
				b.Fatal(err)
			}
			var number atomic.Int64
			before := cpu(b)
			b.ResetTimer()
			b.SetParallelism(8)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					box := like
					box.ID = fmt.Sprint(b.N, number.Add(1))
					if err := p.Send(b.Context(), box.Event(events.TypeCast, "ingress")); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-µs/box")
			b.ReportMetric(float64(b.N*votes)/b.Elapsed().Seconds(), "votes/s")
		})
	}
}

// cpu is how much time this process has had, in the kernel too.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
