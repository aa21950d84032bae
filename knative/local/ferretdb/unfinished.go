package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"slices"
)

// FerretDB makes a database, and a collection in it, in several steps that are not one
// transaction. Killed between them it does not start again, or cannot make the
// collection any more, or has one that takes an _id twice. What is here brings such a
// folder in order before FerretDB opens it.

// metadata is the table in which FerretDB notes its collections: the first that it
// makes. collections finds all others, which are of one collection each.
const (
	metadata    = "_ferretdb_collections"
	collections = `SELECT name FROM sqlite_master t WHERE type = 'table' AND name <> '` + metadata + `' AND name NOT LIKE 'sqlite\_%' ESCAPE '\'`
)

// finish brings the databases of a folder in order that a process did not come to the
// end of making. It removes nothing that holds a document.
func finish(ctx context.Context, folder string) error {
	return eachDatabase(folder, func(file string) error { return finishFile(ctx, file) })
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

// finishTables brings the collections of a database in order. empty says that nothing
// was made in it.
func finishTables(ctx context.Context, db *sql.DB) (empty bool, err error) {
	made, err := column(ctx, db, "SELECT name FROM sqlite_master LIMIT 1")
	if err != nil || len(made) == 0 {
		return err == nil, err
	}
	noted, err := column(ctx, db, "SELECT table_name FROM "+metadata)
	if err != nil {
		return false, err
	}
	tables, err := column(ctx, db, collections)
	if err != nil {
		return false, err
	}
	for _, table := range tables {
		finish := dropEmpty
		if slices.Contains(noted, table) {
			finish = indexOnce
		}
		if err := finish(ctx, db, table); err != nil {
			return false, fmt.Errorf("table %s: %w", table, err)
		}
	}
	return false, nil
}

// dropEmpty drops the table of a collection that was not noted, and so never had a
// document.
func dropEmpty(ctx context.Context, db *sql.DB, table string) error {
	documents, err := column(ctx, db, "SELECT 'one' FROM "+quoted(table)+" LIMIT 1")
	if err != nil {
		return err
	}
	if len(documents) > 0 {
		return errors.New("it holds documents and is no collection")
	}
	_, err = db.ExecContext(ctx, "DROP TABLE "+quoted(table))
	return err
}

// indexOnce makes the index by which each _id is there once, if it is missing.
func indexOnce(ctx context.Context, db *sql.DB, table string) error {
	_, err := db.ExecContext(ctx, fmt.Sprintf("CREATE UNIQUE INDEX IF NOT EXISTS %s ON %s (%s)", quoted(table+uniqueID), quoted(table), byID))
	return err
}

// uniqueID ends the name of FerretDB's own index of _id.
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
