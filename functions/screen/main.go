// Command screen applies the contest's rules to each box that was cast, and
// passes on what it admits and what it refuses.
package main

import (
	"context"

	"marimba/functions/internal/publish"
	"marimba/functions/internal/serve"
	"marimba/functions/internal/stage"
	"marimba/functions/internal/telemetry"
)

func main() { serve.Main("screen", run) }

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
	ctx, lost := context.WithCancelCause(ctx)
	defer lost(nil)
	producer, err := publish.Open(cfg.Kafka, "screen", lost)
	if err != nil {
		return err
	}
	screen := newScreen(contests, producer)
	return serve.HTTP(ctx, cfg.Server, stage.New(screen.handle), producer.Close)
}
