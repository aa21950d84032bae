// Command results shows what became of the votes: the board, live and at rest,
// its history, the log, receipts and the balance of the books. It reads Redis
// and MongoDB and changes nothing.
package main

import (
	"context"

	"marimba/functions/internal/counts"
	"marimba/functions/internal/journal"
	"marimba/functions/internal/serve"
)

func main() { serve.Main("results", run) }

func run(ctx context.Context, environ []string) error {
	cfg, err := load(environ)
	if err != nil {
		return err
	}
	contests, err := cfg.Contests.Follow(ctx)
	if err != nil {
		return err
	}
	store, err := counts.Open(cfg.Redis)
	if err != nil {
		return err
	}
	log, err := journal.Open(cfg.Mongo)
	if err != nil {
		return err
	}
	r := newResults(ctx, contests, store, log, cfg.Token)
	return serve.HTTP(ctx, cfg.Server, r.routes(), log.Close, store.Close)
}
