// Command books works on the books of all contests at once: what Redis counts,
// what MongoDB's log holds. The command marimba starts it; it is apart from it so
// that marimba itself is quick to build.
//
//	books restore   puts the log back into a Redis that has lost its counts
//
// Where Redis and MongoDB are is told by the environment, as to the functions.
// It writes its result to standard output as one JSON object.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"marimba/config"
	"marimba/functions/internal/counts"
	"marimba/functions/internal/journal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := run(ctx, os.Args[1:], os.Environ())
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "books:", err)
		os.Exit(1)
	}
}

// settings come from the environment.
type settings struct {
	config.Redis
	config.Mongo
	config.Contests
}

func run(ctx context.Context, args, environ []string) error {
	if len(args) != 1 || args[0] != "restore" {
		return errors.New("usage: books restore")
	}
	var cfg settings
	if err := config.Load(&cfg, environ); err != nil {
		return err
	}
	contests, err := cfg.Contests.Load()
	if err != nil {
		return err
	}
	store, err := counts.Open(cfg.Redis)
	if err != nil {
		return err
	}
	defer store.Close(ctx) //nolint:errcheck // nothing is lost by it
	log, err := journal.Open(cfg.Mongo)
	if err != nil {
		return err
	}
	defer log.Close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing was appended
	done, err := restore(ctx, contests, store, log)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	return json.NewEncoder(os.Stdout).Encode(done)
}
