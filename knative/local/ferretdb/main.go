// Command ferretdb is MongoDB's stand-in for one machine: FerretDB 1.24 on
// SQLite, which speaks MongoDB's wire protocol. It is a module of its own, so
// that what it needs is not built into anything else.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:27017", "address to listen on")
	data := flag.String("data", "", "folder of the databases")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := run(ctx, *listen, *data)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "ferretdb:", err)
		os.Exit(1)
	}
}

// run serves MongoDB's protocol until ctx ends. It sends nothing anywhere:
// FerretDB's telemetry is not part of its embedded form.
func run(ctx context.Context, listen, data string) error {
	if data == "" {
		return errors.New("--data is needed")
	}
	data, err := filepath.Abs(data)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(data, 0o700); err != nil {
		return fmt.Errorf("make data folder: %w", err)
	}
	if err := finish(ctx, data); err != nil {
		return fmt.Errorf("finish what was left: %w", err)
	}
	indexer := newIndexer(data)
	defer indexer.close()
	if err := indexer.index(ctx); err != nil { // of what an earlier one left without
		return fmt.Errorf("index: %w", err)
	}
	db, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{TCP: listen},
		Logger:    slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Handler:   "sqlite",
		SQLiteURL: "file:" + data + string(filepath.Separator),
	})
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	var indexing sync.WaitGroup
	indexing.Go(func() { indexer.run(ctx) })
	defer indexing.Wait()
	defer stop()
	return db.Run(ctx)
}
