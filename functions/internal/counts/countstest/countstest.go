// Package countstest brings counts into a state that a test needs.
package countstest

import (
	"context"
	"errors"
	"sync"

	"marimba/events"
	"marimba/functions/internal/counts"
	"marimba/functions/internal/journal"
)

// Begin gives the counts of a contest their first life, with nothing in them,
// unless they have one.
func Begin(ctx context.Context, s *counts.Store, c events.Contest) error {
	mu.Lock()
	defer mu.Unlock()
	if _, err := s.Life(ctx, c); !errors.Is(err, counts.ErrLife) {
		return err
	}
	return rebuild(ctx, s, c, 1, nil)
}

// Restore gives the counts of a contest a next life, with this entry and those of
// earlier calls: as if all of them were in the log, with these states.
func Restore(ctx context.Context, s *counts.Store, c events.Contest, e counts.Entry, states []events.State) error {
	mu.Lock()
	defer mu.Unlock()
	if restored[s] == nil {
		restored[s] = make(map[string][]journal.Entry)
	}
	entries := append(restored[s][c.ID], journal.Entry{ID: e.ID, Box: e.Box, States: states})
	restored[s][c.ID] = entries
	return rebuild(ctx, s, c, int64(len(entries)), entries)
}

// Rebuild gives the counts of all contests of a log their first life.
func Rebuild(ctx context.Context, s *counts.Store, contestOf func(id string) events.Contest, log []journal.Entry) error {
	of := make(map[string][]journal.Entry)
	for _, e := range log {
		of[e.Box.Contest] = append(of[e.Box.Contest], e)
	}
	for id, entries := range of {
		if err := rebuild(ctx, s, contestOf(id), 1, entries); err != nil {
			return err
		}
	}
	return nil
}

var (
	mu       sync.Mutex
	restored = make(map[*counts.Store]map[string][]journal.Entry) // by contest
)

func rebuild(ctx context.Context, s *counts.Store, c events.Contest, life int64, log []journal.Entry) error {
	if err := s.EndLife(ctx, c); err != nil {
		return err
	}
	shadow, err := s.Shadow(ctx, c)
	if err != nil {
		return err
	}
	for _, e := range log {
		if err := shadow.Add(ctx, counts.Entry{ID: e.ID, Box: e.Box}, e.States); err != nil {
			return err
		}
	}
	return shadow.Live(ctx, life)
}
