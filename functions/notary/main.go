// Command notary seals each counted vote in the public log of its contest.
package main

import (
	"context"

	"marimba/events/seal"
	"marimba/functions/internal/serve"
	"marimba/functions/internal/stage"
	"marimba/functions/internal/tlog"
)

func main() { serve.Main("notary", run) }

func run(ctx context.Context, environ []string) error {
	cfg, err := load(environ)
	if err != nil {
		return err
	}
	signer, err := tlog.NewSigner(cfg.Seal)
	if err != nil {
		return err
	}
	log, err := tlog.Open(cfg.Mongo)
	if err != nil {
		return err
	}
	writer := tlog.NewWriter(log, signer)
	notary := notary{seal.NewSecrets([]byte(cfg.Secret.Reveal())), writer}
	return serve.HTTP(ctx, cfg.Server, stage.New(notary.handle), writer.Close, log.Close)
}
