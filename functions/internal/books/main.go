// Command books works on the books of all contests at once: what Redis counts,
// what MongoDB's log holds. The command marimba starts it; it is apart from it so
// that marimba itself is quick to build.
//
// Where Redis and MongoDB are is told by the environment, as to the functions.
// The result is one JSON object on standard output.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"strings"
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

// command is one of the things that books does. Its result is written as JSON,
// also that of one which fails with it.
type command struct {
	name, usage string
	run         func(ctx context.Context, args, environ []string) (any, error)
}

var commands = []command{
	{"audit", "holds what was cast, the log and the counts against one another", runAudit},
	{"replay", "lists the dead letters, or sends them again", runReplay},
	{"close", "follows the votes of a contest that closes to their end, and declares its result", runClose},
	{"recount", "rebuilds the counts from the log, while votes keep coming", runRecount},
	{"reseal", "rebuilds the public log's tiles from its leaves, and holds these against the votes", runReseal},
	{"annul", "sets counted votes aside, by proposal and approval, or undoes it", runAnnul},
	{"forget", "destroys the key that tells whose the votes of a final contest are", runForget},
	{"restore", "puts the log back into a Redis that has lost its counts", runRestore},
}

func run(ctx context.Context, args, environ []string) error {
	for _, c := range commands {
		if len(args) == 0 || args[0] != c.name {
			continue
		}
		result, err := c.run(ctx, args[1:], environ)
		if result != nil {
			if writing := json.NewEncoder(os.Stdout).Encode(result); err == nil {
				err = writing
			}
		}
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		return nil
	}
	var usage strings.Builder
	for _, c := range commands {
		fmt.Fprintf(&usage, "\n  books %-10s %s", c.name, c.usage)
	}
	return fmt.Errorf("usage:%s", usage.String())
}

// stores are where the books are.
type stores struct {
	contests *config.Roll
	counts   *counts.Store
	journal  *journal.Journal
}

// settings come from the environment.
type settings struct {
	config.Redis
	config.Mongo
	config.Contests
}

// open opens the stores. The caller must close them.
func (s settings) open() (stores, error) {
	contests, err := s.Contests.Load()
	if err != nil {
		return stores{}, err
	}
	store, err := counts.Open(s.Redis)
	if err != nil {
		return stores{}, err
	}
	log, err := journal.Open(s.Mongo)
	if err != nil {
		return stores{}, err
	}
	return stores{contests, store, log}, nil
}

func (s stores) close() {
	ctx := context.Background()
	_ = s.journal.Close(ctx) // nothing was appended
	_ = s.counts.Close(ctx)
}
