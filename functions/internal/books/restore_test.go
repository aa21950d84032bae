package main

import (
	"context"
	"iter"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"marimba/events"
	"marimba/functions/internal/counts"
	"marimba/functions/internal/journal"
)

// logOf is a log in memory.
type logOf []journal.Entry

func (l logOf) Entries(context.Context, string) iter.Seq2[journal.Entry, error] {
	return func(yield func(journal.Entry, error) bool) {
		for _, e := range l {
			if !yield(e, nil) {
				return
			}
		}
	}
}

type rollOf map[string]events.Contest

func (r rollOf) Contest(id string) (events.Contest, bool) { c, ok := r[id]; return c, ok }

func store(t *testing.T) *counts.Store {
	t.Helper()
	server := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), Protocol: 2, DisableIdentity: true})
	t.Cleanup(func() { client.Close() })
	return counts.New(client)
}

func entry(contest, id string, states ...events.State) journal.Entry {
	e := journal.Entry{ID: id + "/accepted", Box: events.Box{ID: id, Contest: contest, Channel: events.ByGRPC}, States: states}
	for i := range states {
		e.Box.Votes = append(e.Box.Votes, events.Vote{
			ID: id + "-" + string(rune('a'+i)), Name: "Alux Nahual", Album: "Conquista", Year: 1982, Rank: 100,
			At: time.Now(), Index: i,
		})
	}
	return e
}
