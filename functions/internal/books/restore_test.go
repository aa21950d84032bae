package main

import (
	"context"
	"errors"
	"iter"
	"strings"
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

// What the log holds is counted again, of each contest, also one whose file is
// gone; a contest that Redis has counts of is left as it is.
func TestRestore(t *testing.T) {
	s := store(t)
	rock, jazz := events.Contest{ID: "rock", Shards: 2}, events.Contest{ID: "jazz"}
	contests := rollOf{"rock": rock, "jazz": jazz}
	first := entry("jazz", "j1", events.Counted)
	if err := s.Restore(t.Context(), jazz, counts.Entry{ID: first.ID, Box: first.Box}, first.States); err != nil {
		t.Fatal(err)
	}
	done, err := restore(t.Context(), contests, s, logOf{
		entry("rock", "r1", events.Counted, events.Counted, events.Duplicate),
		first,
		entry("rock", "r2", events.Counted),
		entry("gone", "g1", events.Counted, events.OverLimit),
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := (restored{Contests: 2, Kept: 1, Boxes: 3, Votes: 6}); done != want {
		t.Errorf("restored %+v, want %+v", done, want)
	}
	for id, want := range map[string]int64{"rock": 3, "jazz": 1, "gone": 1} {
		tally, err := s.Tally(t.Context(), contestOf(contests, id))
		if err != nil || tally.Votes() != want {
			t.Errorf("%s: %d votes, %v; want %d", id, tally.Votes(), err, want)
		}
	}
}

// A restore after which counts and log differ is an error: here the log holds
// one vote twice.
func TestRestoreIsProven(t *testing.T) {
	twice := entry("rock", "r1", events.Counted)
	again := twice
	again.ID = "r2/accepted"
	_, err := restore(t.Context(), rollOf{}, store(t), logOf{twice, again})
	if err == nil || !strings.Contains(err.Error(), "prove rock") {
		t.Errorf("got %v", err)
	}
}

// A log that breaks off, or a Redis that does, is an error and not half a
// restore.
func TestRestoreBreaksOff(t *testing.T) {
	broken := errors.New("cut")
	if _, err := restore(t.Context(), rollOf{}, store(t), cutLog{broken}); !errors.Is(err, broken) {
		t.Errorf("log: got %v", err)
	}
	if _, err := restore(t.Context(), rollOf{}, deafStore{store(t), broken}, logOf{entry("rock", "r1", events.Counted)}); !errors.Is(err, broken) {
		t.Errorf("store: got %v", err)
	}
}

type cutLog struct{ err error }

func (l cutLog) Entries(context.Context, string) iter.Seq2[journal.Entry, error] {
	return func(yield func(journal.Entry, error) bool) { yield(journal.Entry{}, l.err) }
}

type deafStore struct {
	*counts.Store
	err error
}

func (s deafStore) Restore(context.Context, events.Contest, counts.Entry, []events.State) error {
	return s.err
}
