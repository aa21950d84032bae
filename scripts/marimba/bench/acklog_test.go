package main

import (
	"context"
	"fmt"
	"net"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// MongoDB's own driver takes the log store that only acknowledges for a server: it
// takes the log and has none of it, and keeps small documents, each once.
func TestLogStore(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serveAcknowledging(ctx, lis) }()
	client, err := openMongo(lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	db := client.Database("marimba")
	var many []any
	for n := range 100 {
		many = append(many, bson.D{{Key: "_id", Value: n}, {Key: "votes", Value: "x"}})
	}
	done, err := db.Collection(boxes).InsertMany(t.Context(), many, options.InsertMany().SetOrdered(false))
	if err != nil || len(done.InsertedIDs) != 100 {
		t.Fatalf("%v, %v", done, err)
	}
	if err := db.Collection(boxes).FindOne(t.Context(), bson.D{}).Err(); err != mongo.ErrNoDocuments {
		t.Errorf("the log is kept: %v", err)
	}
	lives := db.Collection("lives")
	for number := range 3 {
		life := bson.D{{Key: "_id", Value: number}, {Key: "contest", Value: "default"}, {Key: "number", Value: int64(number)}}
		if _, err := lives.InsertOne(t.Context(), life); err != nil {
			t.Fatal(err)
		}
		if _, err := lives.InsertOne(t.Context(), life); !mongo.IsDuplicateKeyError(err) {
			t.Errorf("a second of the same name: %v", err)
		}
	}
	var latest struct{ Number int64 }
	newest := options.FindOne().SetSort(bson.D{{Key: "number", Value: -1}})
	if err := lives.FindOne(t.Context(), bson.D{{Key: "contest", Value: "default"}}, newest).Decode(&latest); err != nil || latest.Number != 2 {
		t.Errorf("latest is %d, %v", latest.Number, err)
	}
	if err := lives.FindOne(t.Context(), bson.D{{Key: "contest", Value: "other"}}).Err(); err != mongo.ErrNoDocuments {
		t.Errorf("another contest's: %v", err)
	}
	if _, err := lives.DeleteOne(t.Context(), bson.D{}); err == nil {
		t.Error("a command that is not there was carried out")
	}
	if err := client.Disconnect(t.Context()); err != nil {
		t.Error(err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// What a notary writes is taken, more of it than small documents are kept, and
// nothing of a public log is there afterwards.
func TestLogStoreTakesAPublicLog(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go serveAcknowledging(t.Context(), lis) //nolint:errcheck // it ends with the test
	client, err := openMongo(lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Disconnect(t.Context()) //nolint:errcheck // nothing is lost by it
	db := client.Database("marimba")
	for n := range 3 {
		var claims []any
		for i := range maxKept / 2 {
			claims = append(claims, bson.D{{Key: "_id", Value: fmt.Sprint("default/", n, i)}, {Key: "n", Value: n}})
		}
		if _, err := db.Collection("sealed").InsertMany(t.Context(), claims, options.InsertMany().SetOrdered(false)); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"leaves", "tiles"} {
			if _, err := db.Collection(name).InsertOne(t.Context(), bson.D{{Key: "_id", Value: n}}); err != nil {
				t.Fatal(err)
			}
		}
		head := bson.D{{Key: "_id", Value: "default"}, {Key: "n", Value: n}}
		if _, err := db.Collection("logs").ReplaceOne(t.Context(), bson.D{{Key: "_id", Value: "default"}}, head, options.Replace().SetUpsert(true)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range thrownAway {
		if err := db.Collection(name).FindOne(t.Context(), bson.D{}).Err(); err != mongo.ErrNoDocuments {
			t.Errorf("%s is kept: %v", name, err)
		}
	}
	if _, err := db.Collection(boxes).ReplaceOne(t.Context(), bson.D{}, bson.D{}); err == nil {
		t.Error("a box was replaced that is not there")
	}
}

// What is no message of MongoDB's is refused, and nothing breaks.
func TestLogStoreReadsNoNonsense(t *testing.T) {
	for _, body := range [][]byte{nil, {0, 0, 0, 0}, {0, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 5, 0, 0}, {0, 0, 0, 0, 1, 255, 255, 255, 127}, {0, 0, 0, 0, 1, 4, 0, 0, 0}, {0, 0, 0, 0, 9}, {1, 0, 0, 0, 0}} {
		if _, _, err := parseMessage(body); err == nil {
			t.Errorf("%v was read", body)
		}
	}
}
