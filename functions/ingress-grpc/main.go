// Command ingress-grpc takes votes over gRPC and answers when Kafka has them.
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

func main() { serve.Main("ingress-grpc", run) }

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
	lis, err := serve.Socket(cfg.Server)
	if err != nil {
		return err
	}
	ctx, lost := context.WithCancelCause(ctx)
	defer lost(nil)
	producer, err := publish.Open(cfg.Kafka, "ingress-grpc", lost)
	if err != nil {
		return err
	}
	caster := publish.NewCaster(producer, "ingress-grpc", cfg.DeliveryTimeout+time.Second)
	votes := &votes{
		ctx:     ctx,
		desk:    desk.New(contests, voter.New(cfg.Voters)),
		caster:  caster,
		secrets: seal.NewSecrets([]byte(cfg.Receipts.Secret.Reveal())),
	}
	server := newServer(votes)
	told := telemetry.Open(cfg.Server)
	return serve.Until(ctx,
		func() error { return server.Serve(lis) },
		func(limit context.Context) error { return drain(limit, server) },
		producer.Close, told.Close)
}
