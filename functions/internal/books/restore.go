package main

import (
	"context"
	"iter"

	"marimba/config"
	"marimba/events"
	"marimba/functions/internal/journal"
	"marimba/functions/internal/mend"
)

type roll interface {
	Contest(id string) (events.Contest, bool)
}

type logged interface {
	Entries(ctx context.Context, contest string) iter.Seq2[journal.Entry, error]
}

// contestOf returns a contest; one that is no longer in the files is taken as
// tally takes it.
func contestOf(contests roll, id string) events.Contest {
	if c, ok := contests.Contest(id); ok {
		return c
	}
	return events.Contest{ID: id}
}

// runRestore rebuilds the counts that Redis has lost, before anybody asks for
// them. The tally would do it at the first vote of each contest.
func runRestore(ctx context.Context, _, environ []string) (any, error) {
	var cfg settings
	if err := config.Load(&cfg, environ); err != nil {
		return nil, err
	}
	s, err := cfg.open()
	if err != nil {
		return nil, err
	}
	defer s.close()
	var all []events.Contest
	for _, id := range s.contests.IDs() {
		all = append(all, contestOf(s.contests, id))
	}
	done, err := mend.New(s.counts, s.journal).MendAll(ctx, all)
	if err != nil {
		return nil, err
	}
	return done, nil
}
