package tlog

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"marimba/functions/internal/mongodb"
)

// store is what the log is kept in. A call that fails may have been done.
type store interface {
	head(ctx context.Context, contest string) (headDocument, bool, error)
	batch(ctx context.Context, contest string, n int64) (batchDocument, bool, error)
	// scan reads all batches of a contest, in any order but mostly as they were
	// inserted. After an error it ends.
	scan(ctx context.Context, contest string) iter.Seq2[batchDocument, error]
	// boxes reads only which boxes a batch holds.
	boxes(ctx context.Context, contest string, n int64) ([]string, bool, error)
	claimed(ctx context.Context, id string) (n int64, ok bool, err error)
	tile(ctx context.Context, id string) ([]byte, bool, error)

	// claim inserts claims, and returns the places of those that were there.
	claim(ctx context.Context, claims []claimDocument) (there []int, err error)
	// commit inserts a batch, unless its number is taken.
	commit(ctx context.Context, b batchDocument) (ok bool, err error)
	// keep inserts tiles that are not there.
	keep(ctx context.Context, tiles []tileDocument) error
	// advance replaces the head, unless there is one of a later batch.
	advance(ctx context.Context, h headDocument) error
	// mend replaces tiles, or inserts them.
	mend(ctx context.Context, tiles []tileDocument) error
}

type mongoStore struct {
	leaves, sealed, tiles, logs *mongo.Collection
}

func newMongoStore(db *mongo.Database) mongoStore {
	return mongoStore{db.Collection("leaves"), db.Collection("sealed"), db.Collection("tiles"), db.Collection("logs")}
}

func byID(id string) bson.D { return bson.D{{Key: "_id", Value: id}} }

// find reads one document by its _id; only some of its fields, if they are named.
func find(ctx context.Context, from *mongo.Collection, id string, into any, fields ...string) (bool, error) {
	opt := options.FindOne()
	if len(fields) > 0 {
		var only bson.D
		for _, name := range fields {
			only = append(only, bson.E{Key: name, Value: 1})
		}
		opt.SetProjection(only)
	}
	err := from.FindOne(ctx, byID(id), opt).Decode(into)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read %s of %s: %w", id, from.Name(), err)
	}
	return true, nil
}

func (s mongoStore) head(ctx context.Context, contest string) (h headDocument, ok bool, err error) {
	ok, err = find(ctx, s.logs, contest, &h)
	return h, ok, err
}

func (s mongoStore) batch(ctx context.Context, contest string, n int64) (b batchDocument, ok bool, err error) {
	ok, err = find(ctx, s.leaves, batchID(contest, n), &b)
	return b, ok, err
}

// scanned bounds what a scan holds in memory: a batch has some hundred kilobytes.
const scanned = 16

func (s mongoStore) scan(ctx context.Context, contest string) iter.Seq2[batchDocument, error] {
	return func(yield func(batchDocument, error) bool) {
		found, err := s.leaves.Find(ctx, bson.D{{Key: "contest", Value: contest}}, options.Find().SetBatchSize(scanned))
		if err != nil {
			yield(batchDocument{}, fmt.Errorf("read the batches of %s: %w", contest, err))
			return
		}
		defer found.Close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing is lost by it
		for found.Next(ctx) {
			var b batchDocument
			if err := found.Decode(&b); err != nil {
				yield(batchDocument{}, fmt.Errorf("read the batches of %s: %w", contest, err))
				return
			}
			if !yield(b, nil) {
				return
			}
		}
		if err := found.Err(); err != nil {
			yield(batchDocument{}, fmt.Errorf("read the batches of %s: %w", contest, err))
		}
	}
}

func (s mongoStore) boxes(ctx context.Context, contest string, n int64) ([]string, bool, error) {
	var b batchDocument
	ok, err := find(ctx, s.leaves, batchID(contest, n), &b, "boxes")
	return b.Boxes, ok, err
}

func (s mongoStore) claimed(ctx context.Context, id string) (int64, bool, error) {
	var c claimDocument
	ok, err := find(ctx, s.sealed, id, &c)
	return c.N, ok, err
}

func (s mongoStore) tile(ctx context.Context, id string) ([]byte, bool, error) {
	var t tileDocument
	ok, err := find(ctx, s.tiles, id, &t)
	return t.Data, ok, err
}

func (s mongoStore) claim(ctx context.Context, claims []claimDocument) ([]int, error) {
	_, err := s.sealed.InsertMany(ctx, claims, options.InsertMany().SetOrdered(false))
	there, err := mongodb.Duplicates(err)
	if err != nil {
		return nil, fmt.Errorf("claim boxes: %w", err)
	}
	return there, nil
}

func (s mongoStore) commit(ctx context.Context, b batchDocument) (bool, error) {
	_, err := s.leaves.InsertOne(ctx, b)
	if mongo.IsDuplicateKeyError(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("insert batch %s: %w", b.ID, err)
	}
	return true, nil
}

func (s mongoStore) keep(ctx context.Context, tiles []tileDocument) error {
	_, err := s.tiles.InsertMany(ctx, tiles, options.InsertMany().SetOrdered(false))
	if _, err := mongodb.Duplicates(err); err != nil {
		return fmt.Errorf("insert tiles: %w", err)
	}
	return nil
}

func (s mongoStore) advance(ctx context.Context, h headDocument) error {
	behind := bson.D{{Key: "_id", Value: h.Contest}, {Key: "n", Value: bson.D{{Key: "$lte", Value: h.N}}}}
	_, err := s.logs.ReplaceOne(ctx, behind, h, options.Replace().SetUpsert(true))
	if mongo.IsDuplicateKeyError(err) { // there is one, and it is further
		return nil
	}
	if err != nil {
		return fmt.Errorf("replace the head of %s: %w", h.Contest, err)
	}
	return nil
}

func (s mongoStore) mend(ctx context.Context, tiles []tileDocument) error {
	writes := make([]mongo.WriteModel, len(tiles))
	for i, t := range tiles {
		writes[i] = mongo.NewReplaceOneModel().SetFilter(byID(t.ID)).SetReplacement(t).SetUpsert(true)
	}
	if _, err := s.tiles.BulkWrite(ctx, writes, options.BulkWrite().SetOrdered(false)); err != nil {
		return fmt.Errorf("replace tiles: %w", err)
	}
	return nil
}
