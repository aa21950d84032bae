package counts

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"marimba/events"
)

// boxOfBench makes a full box as a contest of many bands has them.
func boxOfBench(contest string, n int) Entry {
	votes := make([]events.Vote, events.MaxBoxVotes)
	for i := range votes {
		k := n*len(votes) + i
		votes[i] = events.Vote{
			ID: uuid.NewString(), Name: fmt.Sprintf("Band %d", k%20), Album: fmt.Sprintf("Album %d", k%60),
			Year: 2000, Rank: int32(100 * rand.IntN(10)),
		}
	}
	return box("box-"+strconv.Itoa(n), contest, votes...)
}

// What counting costs on redis-server, with the file that it appends to and
// without: full boxes of fresh votes, counted and settled, by some callers at once.
func BenchmarkCount(b *testing.B) {
	for _, kept := range []string{"yes", "no"} {
		b.Run("appendonly="+kept, func(b *testing.B) {
			server := newServer(b, "--appendonly", kept, "--appendfsync", "everysec", "--no-appendfsync-on-rewrite", "yes")
			s := open(b, server.Addr)
			c := events.Contest{ID: "bench"}
			begin(b, s, c)
			b.SetParallelism(4)
			entries := make([]Entry, b.N)
			for n := range entries {
				entries[n] = boxOfBench(c.ID, n)
			}
			var n atomic.Int64
			before := cpuOf(b, s)
			b.ResetTimer()
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					pass(b, s, c, entries[n.Add(1)-1])
				}
			})
			votes := float64(b.N * events.MaxBoxVotes)
			b.ReportMetric(votes/b.Elapsed().Seconds(), "votes/s")
			b.ReportMetric((cpuOf(b, s)-before)*1e6/votes, "redis-us/vote")
		})
	}
}

// cpuOf returns how many seconds of CPU a redis-server has used.
func cpuOf(b *testing.B, s *Store) float64 {
	b.Helper()
	info, err := s.redis.Info(b.Context(), "cpu").Result()
	if err != nil {
		b.Fatal(err)
	}
	var used float64
	for line := range strings.Lines(info) {
		name, text, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name == "used_cpu_sys" || name == "used_cpu_user" {
			n, err := strconv.ParseFloat(text, 64)
			if err != nil {
				b.Fatal(err)
			}
			used += n
		}
	}
	return used
}

// What the ids of 2 million votes of one contest weigh in redis-server, and what
// all of its keys do.
func BenchmarkMemory(b *testing.B) {
	const boxes = 2_000_000 / events.MaxBoxVotes
	for _, shards := range []int{1, 4} {
		b.Run(fmt.Sprintf("shards=%d", shards), func(b *testing.B) {
			for b.Loop() {
				s := open(b, startRedis(b))
				c := events.Contest{ID: "memory", Shards: shards}
				begin(b, s, c)
				before := used(b, s)
				var n atomic.Int64
				var callers sync.WaitGroup
				for range 4 {
					callers.Go(func() {
						for at := n.Add(1); at <= boxes; at = n.Add(1) {
							pass(b, s, c, boxOfBench(c.ID, int(at)))
						}
					})
				}
				callers.Wait()
				all := used(b, s) - before
				b.ReportMetric(float64(all)/(boxes*events.MaxBoxVotes), "B/vote")
				b.ReportMetric(idBytes(b, s, c)/(boxes*events.MaxBoxVotes), "B/id")
			}
		})
	}
}

// used is Redis's used_memory.
func used(b *testing.B, s *Store) int64 {
	info, err := s.redis.InfoMap(b.Context(), "memory").Result()
	if err != nil {
		b.Fatal(err)
	}
	n, err := strconv.ParseInt(info["Memory"]["used_memory"], 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// idBytes adds up what Redis says that the sets of ids take.
func idBytes(b *testing.B, s *Store, c events.Contest) float64 {
	var total int64
	for shard := range c.Shards {
		keys := s.redis.Scan(b.Context(), 0, base(c.ID, shard)+":ids:*", 1000).Iterator()
		for keys.Next(b.Context()) {
			n, err := s.redis.MemoryUsage(b.Context(), keys.Val(), 0).Result()
			if err != nil {
				b.Fatal(err)
			}
			total += n
		}
		if err := keys.Err(); err != nil {
			b.Fatal(err)
		}
	}
	return float64(total)
}
