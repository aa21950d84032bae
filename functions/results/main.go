// Command results shows what became of the votes: the board, live and at rest,
// its history, the log, receipts and the balance of the books. It reads Redis,
// MongoDB and Kafka's offsets, and changes nothing, unless an organiser has it send
// dead letters again, or Redis lost counts that somebody looks at: these it rebuilds.
package main

import (
	"context"

	"marimba/functions/internal/counts"
	"marimba/functions/internal/journal"
	"marimba/functions/internal/kafka"
	"marimba/functions/internal/mend"
	"marimba/functions/internal/serve"
	"marimba/functions/internal/telemetry"
	"marimba/functions/internal/tlog"
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
	telemetry.Contests(contests)
	store, err := counts.Open(cfg.Redis)
	if err != nil {
		return err
	}
	log, err := journal.Open(cfg.Mongo)
	if err != nil {
		return err
	}
	public, err := tlog.Open(cfg.Mongo)
	if err != nil {
		return err
	}
	topics, err := kafka.Open(cfg.Kafka, "marimba-results")
	if err != nil {
		return err
	}
	keeper := mend.NewKeeper(ctx, mend.New(store, log))
	r := newResults(ctx, contests, store, log, topics, publicLog{public}, keeper, keys{cfg.Token, cfg.Receipts.Secret})
	r.door = cfg.Door.String()
	return serve.HTTP(ctx, cfg.Server, r.routes(), keeper.Close, topics.Close, public.Close, log.Close, store.Close)
}
