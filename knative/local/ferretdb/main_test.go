package main

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// start runs the server in this process on a folder, and returns a database of
// it, and a function that ends it and waits until it is gone.
func start(t *testing.T, data string) (*mongo.Database, func()) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := lis.Addr().String()
	lis.Close()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, address, data) }()
	client, err := mongo.Connect(options.Client().ApplyURI("mongodb://" + address + "/").
		SetServerSelectionTimeout(20 * time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Ping(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	stop := func() {
		_ = client.Disconnect(context.Background())
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("end: %v", err)
		}
	}
	return client.Database("marimba"), stop
}

// What the log needs of MongoDB is there: inserts by _id of which only the
// duplicates fail, look-up by _id, sorted pages and indexes; and what was
// written is still there after a restart.
func TestJournalsNeeds(t *testing.T) {
	data := t.TempDir()
	db, stop := start(t, data)
	boxes := db.Collection("boxes")
	ctx := t.Context()

	first := []any{
		bson.M{"_id": "a", "contest": "default", "at": time.Unix(1, 0)},
		bson.M{"_id": "b", "contest": "default", "at": time.Unix(3, 0)},
	}
	if _, err := boxes.InsertMany(ctx, first, options.InsertMany().SetOrdered(false)); err != nil {
		t.Fatal(err)
	}
	again := []any{
		bson.M{"_id": "a", "contest": "other"},
		bson.M{"_id": "c", "contest": "default", "at": time.Unix(2, 0)},
	}
	_, err := boxes.InsertMany(ctx, again, options.InsertMany().SetOrdered(false))
	if !mongo.IsDuplicateKeyError(err) {
		t.Fatalf("insert of a document that is there: %v, want a duplicate key", err)
	}
	var bulk mongo.BulkWriteException
	if !errors.As(err, &bulk) || len(bulk.WriteErrors) != 1 || bulk.WriteErrors[0].Index != 0 {
		t.Fatalf("insert of a document that is there: %+v, want one error, of document 0", err)
	}
	if _, err := boxes.Indexes().CreateOne(ctx, mongo.IndexModel{Keys: bson.D{{Key: "contest", Value: 1}, {Key: "at", Value: -1}}}); err != nil {
		t.Fatal(err)
	}
	stop()

	db, stop = start(t, data)
	defer stop()
	boxes = db.Collection("boxes")
	var one struct{ Contest string }
	if err := boxes.FindOne(ctx, bson.M{"_id": "a"}).Decode(&one); err != nil || one.Contest != "default" {
		t.Fatalf("document a after a restart: %+v, %v; want the first one", one, err)
	}
	cursor, err := boxes.Find(ctx, bson.M{"contest": "default"}, options.Find().SetSort(bson.D{{Key: "at", Value: -1}}).SetLimit(2))
	if err != nil {
		t.Fatal(err)
	}
	var page []struct {
		ID string `bson:"_id"`
	}
	if err := cursor.All(ctx, &page); err != nil {
		t.Fatal(err)
	}
	if len(page) != 2 || page[0].ID != "b" || page[1].ID != "c" {
		t.Fatalf("newest two: %v, want b, c", page)
	}
}

// A document is looked up by its _id with an index, and without going through all of
// them, in a collection that is new and after a restart.
func TestIndexOfID(t *testing.T) {
	data := t.TempDir()
	db, stop := start(t, data)
	if _, err := db.Collection("boxes").InsertOne(t.Context(), bson.M{"_id": "a"}); err != nil {
		t.Fatal(err)
	}
	// A connection of FerretDB's sees that there is an index when it reads, and not
	// when it is to explain itself.
	plan := func() string {
		var one bson.M
		if err := db.Collection("boxes").FindOne(t.Context(), bson.M{"_id": "a"}).Decode(&one); err != nil || one["_id"] != "a" {
			t.Fatalf("found is %v, error %v", one, err)
		}
		var out struct {
			QueryPlanner bson.Raw `bson:"queryPlanner"`
		}
		err := db.RunCommand(t.Context(), bson.D{{Key: "explain", Value: bson.D{{Key: "find", Value: "boxes"}, {Key: "filter", Value: bson.M{"_id": "a"}}}}}).Decode(&out)
		if err != nil {
			t.Fatal(err)
		}
		return out.QueryPlanner.String()
	}
	until := time.Now().Add(20 * time.Second)
	for !strings.Contains(plan(), "USING INDEX") {
		if time.Now().After(until) {
			t.Fatalf("the plan is %s", plan())
		}
		time.Sleep(lookEvery / 10)
	}
	stop()

	// A folder of before there was the index gets it at the start.
	file, err := sql.Open("sqlite", "file:"+filepath.Join(data, "marimba"+extension))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var index string
	if err := file.QueryRow("SELECT name FROM sqlite_master WHERE type = 'index' AND name LIKE '%' || ?", suffix).Scan(&index); err != nil {
		t.Fatal(err)
	}
	if _, err := file.Exec("DROP INDEX " + quoted(index)); err != nil {
		t.Fatal(err)
	}
	db, stop = start(t, data)
	defer stop()
	if got := plan(); !strings.Contains(got, "USING INDEX") {
		t.Errorf("the plan is %s", got)
	}
}

// A process that was killed while it made a database or a collection leaves nothing
// that keeps the next one from starting, from making it, or from taking each _id once.
func TestKilledInTheMaking(t *testing.T) {
	for name, left := range map[string][]string{
		"a file":                         nil,
		"a database without a table":     {"PRAGMA journal_mode = wal", "PRAGMA user_version = 1"},
		"no collection":                  {notes},
		"a collection that is not noted": {notes, boxesTable},
		"one without an index":           {notes, boxesTable, `INSERT INTO _ferretdb_collections VALUES ('boxes', 'boxes_514c98f2', '{}')`},
	} {
		t.Run(name, func(t *testing.T) {
			data := t.TempDir()
			path := filepath.Join(data, "marimba"+extension)
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			file, err := openFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, step := range left {
				if _, err := file.Exec(step); err != nil {
					t.Fatalf("%s: %v", step, err)
				}
			}
			file.Close()
			db, stop := start(t, data)
			defer stop()
			if _, err := db.Collection("boxes").InsertOne(t.Context(), bson.M{"_id": "a"}); err != nil {
				t.Fatal(err)
			}
			if _, err := db.Collection("boxes").InsertOne(t.Context(), bson.M{"_id": "a"}); !mongo.IsDuplicateKeyError(err) {
				t.Errorf("the same _id again: %v", err)
			}
		})
	}
}

// What FerretDB makes, step by step.
const (
	notes      = `CREATE TABLE "_ferretdb_collections" (name TEXT NOT NULL UNIQUE CHECK(name != ''), table_name TEXT NOT NULL UNIQUE CHECK(table_name != ''), settings TEXT NOT NULL CHECK(settings != '')) STRICT`
	boxesTable = `CREATE TABLE "boxes_514c98f2" (_ferretdb_sjson TEXT NOT NULL CHECK(_ferretdb_sjson != '')) STRICT`
)

// A table that holds documents and is no collection is left as it is.
func TestForeignTable(t *testing.T) {
	data := t.TempDir()
	file, err := openFile(filepath.Join(data, "marimba"+extension))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, step := range []string{notes, boxesTable, `INSERT INTO boxes_514c98f2 VALUES ('{}')`} {
		if _, err := file.Exec(step); err != nil {
			t.Fatal(err)
		}
	}
	if err := run(t.Context(), "127.0.0.1:0", data); err == nil || !strings.Contains(err.Error(), "boxes_514c98f2") {
		t.Errorf("error %v", err)
	}
	var left int
	if err := file.QueryRow("SELECT count(*) FROM boxes_514c98f2").Scan(&left); err != nil || left != 1 {
		t.Errorf("%d documents, error %v", left, err)
	}
}

// Without a folder it does not start, and says so.
func TestNoData(t *testing.T) {
	if err := run(t.Context(), "127.0.0.1:0", ""); err == nil {
		t.Fatal("started without a folder")
	}
}
