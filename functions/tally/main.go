// Command tally counts each judged vote once, writes what became of it to the log,
// and announces what is counted.
package main

import (
	"context"
	"log/slog"
	"time"

	"marimba/functions/internal/counts"
	"marimba/functions/internal/journal"
	"marimba/functions/internal/mend"
	"marimba/functions/internal/publish"
	"marimba/functions/internal/serve"
	"marimba/functions/internal/stage"
	"marimba/functions/internal/telemetry"
)

// prepareTimeout bounds the making of indexes, which no vote waits for.
const prepareTimeout = 5 * time.Minute

func main() { serve.Main("tally", run) }

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
	ctx, lost := context.WithCancelCause(ctx)
	defer lost(nil)
	producer, err := publish.Open(cfg.Kafka, "tally", lost)
	if err != nil {
		return err
	}
	go prepare(ctx, log)
	mending := mend.NewKeeper(ctx, mend.New(store, log))
	drawing := newDrawing(ctx, store, pace)
	tally := newTally(contests, store, log, mending, producer, drawing)
	return serve.HTTP(ctx, cfg.Server, stage.New(tally.handle), mending.Close, drawing.close, producer.Close, log.Close, store.Close)
}

// prepare makes the log's indexes. Votes are counted without them, so failing
// is told and not the end.
func prepare(ctx context.Context, log *journal.Journal) {
	ctx, cancel := context.WithTimeout(ctx, prepareTimeout)
	defer cancel()
	if err := log.Prepare(ctx); err != nil && ctx.Err() == nil {
		slog.Warn("the log's indexes are not made", "error", err)
	}
}
