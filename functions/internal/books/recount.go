package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"slices"

	"marimba/config"
	"marimba/events"
	"marimba/functions/internal/journal"
	"marimba/functions/internal/kafka"
	"marimba/functions/internal/mend"
)

// recounted says what a recount did, and what it found.
type recounted struct {
	Contests  int                `json:"contests"`
	Boxes     int64              `json:"boxes"`
	Votes     int64              `json:"votes"`
	Different int                `json:"different"`    // contests whose counts were not what the log says
	Held      float64            `json:"seconds_held"` // the longest that a contest counted nothing
	Results   []recountOfContest `json:"results"`
	// Sent is what the log lacked of what was cast, and was sent again: it is
	// counted as it comes.
	Sent      int64 `json:"boxes_sent"`
	SentVotes int64 `json:"votes_sent"`
}

// recountOfContest is the recount of one contest.
type recountOfContest struct {
	mend.Result
	Held float64 `json:"seconds_held"`
	Took float64 `json:"seconds"`
}

type recounter interface {
	Recount(ctx context.Context, c events.Contest) (mend.Result, error)
}

// runRecount rebuilds counts from the log beside the living ones, and swaps them
// at once, while votes keep coming. From Kafka, it also sends again what the log
// lacks of what was cast: the log decides what a vote came to, so what it does not
// have goes through the house anew.
func runRecount(ctx context.Context, args, environ []string) (any, error) {
	flags := flag.NewFlagSet("recount", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	contest := flags.String("contest", "", "")
	from := flags.String("from", "log", "")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("%q is too much", flags.Args())
	}
	if *from != "log" && *from != "kafka" {
		return nil, fmt.Errorf("--from %s: is neither log nor kafka", *from)
	}
	var cfg settings
	if err := config.Load(&cfg, environ); err != nil {
		return nil, err
	}
	s, err := cfg.open()
	if err != nil {
		return nil, err
	}
	defer s.close()
	ids := []string{*contest}
	logged, err := s.journal.Contests(ctx)
	if err != nil {
		return nil, err
	}
	known := make(map[string]bool)
	for _, id := range append(s.contests.IDs(), logged...) {
		known[id] = true
	}
	if *contest == "" {
		ids = slices.Sorted(maps.Keys(known))
	} else if !known[*contest] {
		return nil, fmt.Errorf("there is no contest %q, and no vote of it in the log", *contest)
	}
	done, err := recount(ctx, s.contests, ids, mend.New(s.counts, s.journal))
	if err == nil && *from == "kafka" {
		err = done.resend(ctx, environ, s.journal, *contest)
	}
	return done, err
}

// resend sends what the log lacks of what was cast.
func (r *recounted) resend(ctx context.Context, environ []string, log *journal.Journal, contest string) error {
	var cfg struct{ config.Kafka }
	if err := config.Load(&cfg, environ); err != nil {
		return err
	}
	options, err := brokers(cfg.Kafka)
	if err != nil {
		return err
	}
	to, err := kafka.Open(cfg.Kafka, clientName)
	if err != nil {
		return err
	}
	defer to.Close(ctx) //nolint:errcheck // never fails
	r.Sent, r.SentVotes, err = sendMissing(ctx, castTopic{options}, log, to, contest)
	return err
}

// recount recounts contests one after another. One that fails does not keep the
// others from it.
func recount(ctx context.Context, contests roll, ids []string, m recounter) (recounted, error) {
	var done recounted
	var failed []error
	for _, id := range ids {
		r, err := m.Recount(ctx, contestOf(contests, id))
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", id, err))
			continue
		}
		one := recountOfContest{r, r.Held.Seconds(), r.Took.Seconds()}
		done.Results = append(done.Results, one)
		done.Contests++
		done.Boxes += r.Boxes
		done.Votes += r.Votes
		if r.Found.Difference != "" {
			done.Different++
		}
		done.Held = max(done.Held, one.Held)
	}
	return done, errors.Join(failed...)
}
