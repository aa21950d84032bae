// Command shelve keeps the events that a source gave up on, with their cause,
// until someone sends them again.
package main

import (
	"context"

	"marimba/functions/internal/journal"
	"marimba/functions/internal/serve"
)

func main() { serve.Main("shelve", run) }

func run(ctx context.Context, environ []string) error {
	cfg, err := load(environ)
	if err != nil {
		return err
	}
	log, err := journal.Open(cfg.Mongo)
	if err != nil {
		return err
	}
	return serve.HTTP(ctx, cfg.Server, newShelf(log), log.Close)
}
