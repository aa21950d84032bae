// Command ingress-http takes votes over HTTP, as JSON, files, CloudEvents and in
// older forms, and answers when Kafka has them.
package main

import (
	"context"
	"time"

	"marimba/events/seal"
	"marimba/functions/internal/desk"
	"marimba/functions/internal/publish"
	"marimba/functions/internal/serve"
	"marimba/functions/internal/telemetry"
	"marimba/functions/internal/voter"
)

func main() { serve.Main("ingress-http", run) }

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
	producer, err := publish.Open(cfg.Kafka, "ingress-http", lost)
	if err != nil {
		return err
	}
	votes, err := dial(cfg.Target)
	if err != nil {
		return err
	}
	h := newIngress(
		desk.New(contests, voter.New(cfg.Voters)),
		publish.NewCaster(producer, "ingress-http", cfg.DeliveryTimeout+time.Second),
		votes,
		seal.NewSecrets([]byte(cfg.Receipts.Secret.Reveal())),
	)
	h.results = cfg.Results.String()
	return serve.HTTP(ctx, cfg.Server, h.routes(), producer.Close, votes.close)
}
