package main

import (
	"context"
	"fmt"
	"iter"

	"golang.org/x/sync/errgroup"

	"marimba/events"
	"marimba/functions/internal/counts"
	"marimba/functions/internal/journal"
)

// restoring bounds the boxes that are restored at once.
const restoring = 8

type roll interface {
	Contest(id string) (events.Contest, bool)
}

type counted interface {
	Empty(ctx context.Context, c events.Contest) (bool, error)
	Restore(ctx context.Context, c events.Contest, e counts.Entry, states []events.State) error
	Tally(ctx context.Context, c events.Contest) (counts.Histogram, error)
	Figures(ctx context.Context, c events.Contest) (counts.Figures, error)
}

type logged interface {
	Entries(ctx context.Context, contest string) iter.Seq2[journal.Entry, error]
}

// restored says what a restore did.
type restored struct {
	Contests int   `json:"contests"` // that were restored
	Kept     int   `json:"kept"`     // that Redis knew, and were left alone
	Boxes    int64 `json:"boxes"`
	Votes    int64 `json:"votes"`
}

// restore puts the log back into the counts of contests that have none, and then
// holds the counts against a recount of the log: a restore that returns without
// an error is proven. No votes may be counted meanwhile.
func restore(ctx context.Context, contests roll, store counted, log logged) (restored, error) {
	var done restored
	recounts := map[string]*counts.Recount{} // nil: Redis has counts
	work, working := errgroup.WithContext(ctx)
	work.SetLimit(restoring)
	failed := func(err error) (restored, error) {
		if first := work.Wait(); first != nil {
			err = first // which ended the reading
		}
		return restored{}, err
	}
	for e, err := range log.Entries(working, "") {
		if err != nil {
			return failed(err)
		}
		c := contestOf(contests, e.Box.Contest)
		recount, met := recounts[c.ID]
		if !met {
			empty, err := store.Empty(ctx, c)
			if err != nil {
				return failed(err)
			}
			if empty {
				recount = counts.NewRecount(c)
				done.Contests++
			} else {
				done.Kept++
			}
			recounts[c.ID] = recount
		}
		if recount == nil {
			continue
		}
		entry := counts.Entry{ID: e.ID, Box: e.Box}
		if err := recount.Add(entry, e.States); err != nil {
			return failed(err)
		}
		done.Boxes++
		done.Votes += int64(len(e.Box.Votes))
		work.Go(func() error { return store.Restore(working, c, entry, e.States) })
	}
	if err := work.Wait(); err != nil {
		return restored{}, err
	}
	for id, recount := range recounts {
		if recount == nil {
			continue
		}
		if err := prove(ctx, contestOf(contests, id), store, recount); err != nil {
			return restored{}, fmt.Errorf("prove %s: %w", id, err)
		}
	}
	return done, nil
}

// contestOf returns a contest; one that is no longer in the files is taken as
// tally takes it.
func contestOf(contests roll, id string) events.Contest {
	if c, ok := contests.Contest(id); ok {
		return c
	}
	return events.Contest{ID: id}
}

// prove returns an error if the counts are not what the log says.
func prove(ctx context.Context, c events.Contest, store counted, log *counts.Recount) error {
	tally, err := store.Tally(ctx, c)
	if err != nil {
		return err
	}
	if err := log.Tally().Differ(tally); err != nil {
		return fmt.Errorf("log and counts differ: %w", err)
	}
	figures, err := store.Figures(ctx, c)
	if err != nil {
		return err
	}
	if err := log.Figures().Differ(figures); err != nil {
		return fmt.Errorf("log and figures differ: %w", err)
	}
	return nil
}
