package journal

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"marimba/events"
)

func fullBox(n int) Entry {
	votes := make([]events.Vote, events.MaxBoxVotes)
	for i := range votes {
		k := n*len(votes) + i
		votes[i] = events.Vote{
			ID: fmt.Sprintf("0199c4d2-7d3e-7abc-8def-%012d", k), Name: fmt.Sprintf("Band %d", k%20), Album: fmt.Sprintf("Album %d", k%60),
			Year: 2000, Rank: int32(100 * (k % 10)), At: start.Add(time.Duration(n) * time.Millisecond),
		}
	}
	return entry(fmt.Sprintf("box-%d", n), "bench", votes...)
}

// What it costs to log full boxes, by some callers at once, and what the server
// takes for the same documents from a bare loop: the floor of the log.
func BenchmarkAppend(b *testing.B) {
	b.Run("journal", func(b *testing.B) {
		j := open(b)
		entries := make([]Entry, b.N)
		for n := range entries {
			entries[n] = fullBox(n)
		}
		var n atomic.Int64
		b.SetParallelism(8)
		b.ResetTimer()
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				mustAppend(b, j, entries[n.Add(1)-1])
			}
		})
		b.ReportMetric(float64(b.N*events.MaxBoxVotes)/b.Elapsed().Seconds(), "votes/s")
	})
	b.Run("floor", func(b *testing.B) {
		j := open(b)
		docs := make([]bson.Raw, b.N)
		for n := range docs {
			raw, err := fullBox(n).encode()
			if err != nil {
				b.Fatal(err)
			}
			docs[n] = raw
		}
		b.ResetTimer()
		for at := 0; at < len(docs); at += 16 {
			_, err := j.boxes.InsertMany(context.Background(), docs[at:min(at+16, len(docs))], options.InsertMany().SetOrdered(false))
			if err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N*events.MaxBoxVotes)/b.Elapsed().Seconds(), "votes/s")
	})
}
