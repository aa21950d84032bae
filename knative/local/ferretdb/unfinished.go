package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// FerretDB makes a database, and a collection in it, in several steps that are not one
// transaction. Killed between them it does not start again, or cannot make the
// collection any more, or has one that takes an _id twice. What is here brings such a
// folder in order before FerretDB opens it.

// metadata is the table in which FerretDB notes its collections: the first that it makes.
const metadata = "_ferretdb_collections"

// finish brings the databases of a folder in order that a process did not come to the
// end of making. It removes nothing that holds a document.
func finish(ctx context.Context, folder string) error {
	files, err := filepath.Glob(filepath.Join(folder, "*"+extension))
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := finishFile(ctx, file); err != nil {
			return fmt.Errorf("finish %s: %w", filepath.Base(file), err)
		}
	}
	return nil
}

func finishFile(ctx context.Context, file string) error {
	db, err := openFile(file)
	if err != nil {
		return err
	}
	empty, err := finishTables(ctx, db)
	if err = errors.Join(err, db.Close()); err != nil || !empty {
		return err
	}
	// FerretDB takes a file for a database that has its metadata.
	var faults []error
	for _, end := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(file + end); err != nil && !errors.Is(err, os.ErrNotExist) {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

// finishTables brings the collections of a database in order. empty says that it holds
// no table at all.
func finishTables(ctx context.Context, db *sql.DB) (empty bool, err error) {
	tables, err := column(ctx, db, `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\'`)
	if err != nil || len(tables) == 0 {
		return err == nil, err
	}
	noted, err := column(ctx, db, "SELECT table_name FROM "+metadata)
	if err != nil {
		return false, err
	}
	known := map[string]bool{metadata: true}
	for _, table := range noted {
		known[table] = true
	}
	for _, table := range tables {
		step := "DROP TABLE " + quoted(table) // of a collection that was not noted, and so never had a document
		if known[table] {
			if table == metadata {
				continue
			}
			step = fmt.Sprintf("CREATE UNIQUE INDEX IF NOT EXISTS %s ON %s (%s)", quoted(table+uniqueID), quoted(table), byID)
		} else if documents, err := column(ctx, db, "SELECT 'one' FROM "+quoted(table)+" LIMIT 1"); err != nil || len(documents) > 0 {
			return false, errors.Join(err, fmt.Errorf("table %s holds documents and is no collection", table))
		}
		if _, err := db.ExecContext(ctx, step); err != nil {
			return false, fmt.Errorf("table %s: %w", table, err)
		}
	}
	return false, nil
}

// uniqueID ends the name of FerretDB's own index of _id, by which each is there once.
const uniqueID = "__id_"

// column returns the first column of what a query finds.
func column(ctx context.Context, db *sql.DB, query string, args ...any) ([]string, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		out = append(out, text)
	}
	return out, rows.Err()
}
