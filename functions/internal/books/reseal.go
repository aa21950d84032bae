package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"

	"marimba/config"
	"marimba/events/seal"
	"marimba/functions/internal/journal"
	"marimba/functions/internal/tlog"
)

// resealed says what the public logs were rebuilt to.
type resealed struct {
	Contests  int               `json:"contests"`
	Batches   int64             `json:"batches"`
	Leaves    uint64            `json:"leaves"`
	Different int               `json:"different"` // contests whose leaves are not what the log of votes makes
	Results   []resealOfContest `json:"results"`
}

// resealOfContest is the public log of one contest.
type resealOfContest struct {
	tlog.Rebuilt
	// Compared holds the leaves against the log of votes; nil if the secret was not
	// given that they were made with.
	Compared *tlog.Comparison `json:"compared,omitempty"`
}

type resealer interface {
	Rebuild(ctx context.Context, contest string) (tlog.Rebuilt, error)
	Compare(ctx context.Context, contest string, secrets *seal.Secrets, entries iter.Seq2[journal.Entry, error]) (tlog.Comparison, error)
}

type entries interface {
	Entries(ctx context.Context, contest string) iter.Seq2[journal.Entry, error]
}

// runReseal makes again all of the public logs that follows from their batches. With
// RECEIPT_SECRET it also makes each commitment again from the log of votes, and says
// whether the leaves are these.
func runReseal(ctx context.Context, args, environ []string) (any, error) {
	flags := flag.NewFlagSet("reseal", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	contest := flags.String("contest", "", "")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("%q is too much", flags.Args())
	}
	var cfg struct {
		config.Mongo
		config.Contests
		Secret config.Secret `env:"RECEIPT_SECRET"`
	}
	if err := config.Load(&cfg, environ); err != nil {
		return nil, err
	}
	contests, err := cfg.Contests.Load()
	if err != nil {
		return nil, err
	}
	log, err := journal.Open(cfg.Mongo)
	if err != nil {
		return nil, err
	}
	defer log.Close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing was appended
	public, err := tlog.Open(cfg.Mongo)
	if err != nil {
		return nil, err
	}
	defer public.Close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing waits
	logged, err := log.Contests(ctx)
	if err != nil {
		return nil, err
	}
	known := make(map[string]bool)
	for _, id := range append(contests.IDs(), logged...) {
		known[id] = true
	}
	ids := slices.Sorted(maps.Keys(known))
	if *contest != "" {
		if !known[*contest] {
			return nil, fmt.Errorf("there is no contest %q, and no vote of it in the log", *contest)
		}
		ids = []string{*contest}
	}
	var secrets *seal.Secrets
	if cfg.Secret != "" {
		secrets = seal.NewSecrets([]byte(cfg.Secret.Reveal()))
	}
	return reseal(ctx, ids, public, log, secrets)
}

// reseal rebuilds the public logs of contests; one that fails does not keep the
// others from it.
func reseal(ctx context.Context, ids []string, public resealer, log entries, secrets *seal.Secrets) (resealed, error) {
	done := resealed{Results: []resealOfContest{}}
	var failed []error
	for _, id := range ids {
		r := resealOfContest{}
		var err error
		if r.Rebuilt, err = public.Rebuild(ctx, id); err != nil {
			failed = append(failed, err)
			continue
		}
		if secrets != nil {
			c, err := public.Compare(ctx, id, secrets, log.Entries(ctx, id))
			if err != nil {
				failed = append(failed, err)
				continue
			}
			r.Compared = &c
			if !c.Same() {
				done.Different++
			}
		}
		done.Contests++
		done.Batches += r.Batches
		done.Leaves += r.Leaves
		done.Results = append(done.Results, r)
	}
	return done, errors.Join(failed...)
}
