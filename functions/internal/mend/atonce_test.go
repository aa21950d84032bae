package mend

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"marimba/events"
	"marimba/functions/internal/counts"
)

// careless are counts of which a lock that somebody has is often lost.
type careless struct {
	*counts.Store
	redis *redis.Client
	until context.Context
}

func (l careless) Lock(ctx context.Context, c events.Contest) (*counts.Lock, error) {
	if l.until.Err() == nil && rand.IntN(8) == 0 {
		l.redis.Del(ctx, "marimba:{"+c.ID+":0}:mender")
	}
	return l.Store.Lock(ctx, c)
}

// Votes that come at the same time on many ways, each box more than once, while
// menders and recounters get into each other's way, and Redis forgets all: each
// vote ends once.
func TestMendersAtOnce(t *testing.T) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	onEach(t, func(t *testing.T, w *world) {
		for _, limit := range limits {
			t.Run(string(limit.Mode), func(t *testing.T) {
				w.t = t
				c := contestOf(limit)
				c.ID += "-at-once"
				const boxes, ways = 80, 4
				d := rand.New(rand.NewPCG(7, 8))
				var all []counts.Entry
				for n := range boxes {
					all = append(all, randomBox(d, c, n))
				}
				ctx, stop := context.WithTimeout(t.Context(), time.Minute)
				defer stop()
				quiet, hush := context.WithTimeout(ctx, 700*time.Millisecond)
				defer hush()
				m := New(careless{w.counts, w.redis, quiet}, w.log)
				var delivering, disturbing sync.WaitGroup
				for way := range ways {
					delivering.Go(func() {
						d := rand.New(rand.NewPCG(9, uint64(way)))
						todo := slices.Clone(all)
						d.Shuffle(len(todo), func(i, k int) { todo[i], todo[k] = todo[k], todo[i] })
						for len(todo) > 0 && ctx.Err() == nil {
							at := d.IntN(min(len(todo), 10))
							if w.deliver(ctx, m, c, todo[at]) == nil {
								todo = slices.Delete(todo, at, at+1)
								continue
							}
							select {
							case <-time.After(5 * time.Millisecond): // a source waits longer
							case <-ctx.Done():
							}
						}
					})
				}
				for _, disturb := range []func(){
					func() { _, _ = m.Recount(quiet, c) },
					func() { _, _, _ = m.Mend(quiet, c) },
					func() { _ = w.counts.EndLife(quiet, c) },
					func() { w.redis.Del(quiet, w.keys(":tally")...); _ = w.counts.EndLife(quiet, c) },
				} {
					disturbing.Go(func() {
						for quiet.Err() == nil {
							disturb()
							select {
							case <-time.After(30 * time.Millisecond): // so that some get through
							case <-quiet.Done():
							}
						}
					})
				}
				delivering.Wait()
				hush()
				disturbing.Wait()
				if ctx.Err() != nil {
					t.Fatal("it does not come to an end")
				}
				w.redis.Del(t.Context(), w.keys(":held")...)
				w.mustMend(m, c)
				for _, e := range all {
					w.mustDeliver(m, c, e)
				}
				w.redis.Del(t.Context(), w.keys(":mender")...)
				w.check(c, all)
			})
		}
	})
}
