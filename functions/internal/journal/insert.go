package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// MongoDB's codes of errors that we tell apart.
const (
	codeNamespaceExists = 48
	codeDuplicateKey    = 11000
)

// mongoStore is the store of a writer. Only the writer calls it, so its state
// needs no lock.
type mongoStore struct {
	db    *mongo.Database
	boxes *mongo.Collection
}

// insert writes the documents in one command. Documents that are there already
// are the only ones that fail alone; their attempts are read.
func (s mongoStore) insert(ctx context.Context, docs []write) []written {
	ends := make([]written, len(docs))
	for i, d := range docs {
		ends[i].attempt = d.attempt
	}
	fail := func(err error) []written {
		for i := range ends {
			ends[i] = written{err: err}
		}
		return ends
	}
	raws := make([]bson.Raw, len(docs))
	for i, d := range docs {
		raws[i] = d.raw
	}
	_, err := s.boxes.InsertMany(ctx, raws, options.InsertMany().SetOrdered(false))
	if err == nil {
		return ends
	}
	var bulk mongo.BulkWriteException
	if !errors.As(err, &bulk) || bulk.WriteConcernError != nil {
		return fail(fmt.Errorf("insert boxes: %w", err))
	}
	for _, e := range bulk.WriteErrors {
		if e.Code != codeDuplicateKey {
			ends[e.Index] = written{err: fmt.Errorf("insert box: %w", e)}
			continue
		}
		attempt, err := attemptOf(ctx, s.boxes, docs[e.Index].id)
		ends[e.Index] = written{attempt, err}
	}
	return ends
}

// attemptOf reads which attempt the log holds. The look-up is by _id alone,
// which FerretDB too has an index for.
func attemptOf(ctx context.Context, boxes *mongo.Collection, id string) (string, error) {
	var held struct {
		Attempt string `bson:"attempt"`
	}
	err := boxes.FindOne(ctx, bson.D{{Key: "_id", Value: id}},
		options.FindOne().SetProjection(bson.D{{Key: "attempt", Value: 1}})).Decode(&held)
	if err != nil {
		return "", fmt.Errorf("read the box that is there: %w", err)
	}
	return held.Attempt, nil
}

// Prepare makes the indexes and the view, unless they are there or the server
// is FerretDB, which has no use for them. Appending needs neither.
func (j *Journal) Prepare(ctx context.Context) error {
	db := j.boxes.Database()
	var build struct {
		FerretDB string `bson:"ferretdbVersion"`
	}
	if err := db.RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Decode(&build); err != nil {
		return fmt.Errorf("ask for the server's kind: %w", err)
	}
	if build.FerretDB != "" {
		slog.Debug("journal is on FerretDB: no indexes, no view")
		return nil
	}
	newest := bson.D{{Key: "at", Value: -1}, {Key: "_id", Value: -1}}
	_, err := j.boxes.Indexes().CreateMany(ctx, []mongo.IndexModel{
		{Keys: append(bson.D{{Key: "contest", Value: 1}}, newest...)},
		{Keys: newest},
	})
	if err != nil {
		return fmt.Errorf("make indexes: %w", err)
	}
	_, err = j.lives.Indexes().CreateOne(ctx, mongo.IndexModel{
		Keys: bson.D{{Key: "contest", Value: 1}, {Key: "number", Value: -1}},
	})
	if err != nil {
		return fmt.Errorf("make indexes: %w", err)
	}
	_, err = j.dead.Indexes().CreateOne(ctx, mongo.IndexModel{
		Keys: bson.D{{Key: "contest", Value: 1}, {Key: "state", Value: 1}},
	})
	if err != nil {
		return fmt.Errorf("make indexes: %w", err)
	}
	err = db.CreateView(ctx, "votes", "boxes", votesView)
	var refused mongo.CommandError
	if errors.As(err, &refused) && refused.Code == codeNamespaceExists {
		return nil
	}
	if err != nil {
		return fmt.Errorf("make view: %w", err)
	}
	return nil
}

// votesView makes one document a vote, with its receipt as _id: it splits the
// votes into lines and the lines into columns.
var votesView = mongo.Pipeline{
	{{Key: "$project", Value: bson.D{
		{Key: "contest", Value: 1},
		{Key: "channel", Value: 1},
		{Key: "box", Value: first(split("$_id", "/"))},
		{Key: "line", Value: split("$votes", "\n")},
	}}},
	{{Key: "$unwind", Value: "$line"}},
	{{Key: "$set", Value: bson.D{{Key: "line", Value: split("$line", "\t")}}}},
	{{Key: "$project", Value: bson.D{
		{Key: "_id", Value: bson.D{{Key: "$concat", Value: bson.A{"$box", ".", column(columnIndex)}}}},
		{Key: "contest", Value: 1},
		{Key: "channel", Value: 1},
		{Key: "id", Value: column(columnID)},
		{Key: "name", Value: column(columnName)},
		{Key: "album", Value: column(columnAlbum)},
		{Key: "year", Value: bson.D{{Key: "$toInt", Value: column(columnYear)}}},
		{Key: "rank", Value: bson.D{{Key: "$divide", Value: bson.A{bson.D{{Key: "$toInt", Value: column(columnRank)}}, 100}}}},
		{Key: "at", Value: bson.D{{Key: "$toDate", Value: bson.D{{Key: "$toLong", Value: column(columnAt)}}}}},
		{Key: "state", Value: column(columnState)},
		{Key: "reason", Value: column(columnReason)},
		{Key: "field", Value: column(columnField)},
		{Key: "voter", Value: column(columnVoter)},
	}}},
}

func split(text, by string) bson.D { return bson.D{{Key: "$split", Value: bson.A{text, by}}} }

func first(list bson.D) bson.D { return bson.D{{Key: "$arrayElemAt", Value: bson.A{list, 0}}} }

func column(n int) bson.D { return bson.D{{Key: "$arrayElemAt", Value: bson.A{"$line", n}}} }
