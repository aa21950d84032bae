package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the driver that FerretDB uses
)

// FerretDB 1.24 makes its index of _id on one expression and looks for _id with
// another of the same meaning, so that SQLite goes through all documents of a
// collection for each one that is looked for, or replaced. byID is the index that it
// looks for.
const (
	byID      = `_ferretdb_sjson->'$._id'`
	extension = ".sqlite"
)

// lookEvery is the time between two looks for new collections: as long as one may be
// without its index, when it has hardly any documents.
const lookEvery = 250 * time.Millisecond

// busyTimeout bounds the wait for FerretDB's own writes, in milliseconds.
const busyTimeout = 10_000

// indexer gives each collection an index of _id that FerretDB finds.
type indexer struct {
	folder string
	opened map[string]*indexed // by file
}

type indexed struct {
	db     *sql.DB
	schema int64 // of SQLite, when its collections were looked at last
}

func newIndexer(folder string) *indexer {
	return &indexer{folder: folder, opened: make(map[string]*indexed)}
}

// run indexes new collections until ctx ends. What went wrong is told and tried
// again: without the index all is right, only slow.
func (x *indexer) run(ctx context.Context) {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
		if err := x.index(ctx); err != nil && ctx.Err() == nil {
			slog.Warn("collections are not indexed", "error", err)
		}
	}
}

// index indexes the collections of all databases that have no index yet.
func (x *indexer) index(ctx context.Context) error {
	return eachDatabase(x.folder, func(file string) error { return x.indexFile(ctx, file) })
}

// eachDatabase does something with the file of each database of a folder, and returns
// what went wrong with any.
func eachDatabase(folder string, do func(file string) error) error {
	files, err := filepath.Glob(filepath.Join(folder, "*"+extension))
	if err != nil {
		return err
	}
	var faults []error
	for _, file := range files {
		if err := do(file); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", filepath.Base(file), err))
		}
	}
	return errors.Join(faults...)
}

func (x *indexer) indexFile(ctx context.Context, file string) error {
	one := x.opened[file]
	if one == nil {
		db, err := openFile(file)
		if err != nil {
			return err
		}
		one = &indexed{db: db, schema: -1}
		x.opened[file] = one
	}
	var schema int64
	if err := one.db.QueryRowContext(ctx, "PRAGMA schema_version").Scan(&schema); err != nil {
		return err
	}
	if schema == one.schema {
		return nil
	}
	tables, err := one.unindexed(ctx)
	if err != nil {
		return err
	}
	for _, table := range tables {
		if _, err := one.db.ExecContext(ctx, fmt.Sprintf("CREATE INDEX IF NOT EXISTS %s ON %s (%s)", quoted(table+suffix), quoted(table), byID)); err != nil {
			return err
		}
	}
	if len(tables) == 0 { // else there may be more by now
		one.schema = schema
	}
	return nil
}

// openFile opens the file of a database.
func openFile(file string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", fmt.Sprintf("file:%s?_pragma=busy_timeout(%d)", (&url.URL{Path: file}).EscapedPath(), busyTimeout))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

// unindexed returns the tables of collections without the index.
func (i *indexed) unindexed(ctx context.Context) ([]string, error) {
	return column(ctx, i.db, collections+` AND NOT EXISTS (SELECT 1 FROM sqlite_master i WHERE i.type = 'index' AND i.name = t.name || ?)`, suffix)
}

// suffix tells our index of a table from FerretDB's.
const suffix = "_marimba_by_id"

// quoted is a name as SQL has it.
func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func (x *indexer) close() {
	for _, one := range x.opened {
		one.db.Close()
	}
}
