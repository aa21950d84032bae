package journal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// Forgetting says that a contest's voter key was destroyed: nobody can tell any more
// which of the keys in the log is whose.
type Forgetting struct {
	Contest string    `bson:"_id"`
	At      time.Time `bson:"at"` // when it was decided
	By      string    `bson:"by"`
	Reason  string    `bson:"reason"`
	Digest  string    `bson:"key_sha256"`   // of the key, hexadecimal; empty: not known
	Done    time.Time `bson:"destroyed_at"` // zero: that was not seen to its end yet
}

// Forget notes that a contest's voter key is about to be destroyed, unless that was
// noted before: then that stays. It returns what is noted.
func (j *Journal) Forget(ctx context.Context, f Forgetting) (Forgetting, error) {
	f.At, f.Done = f.At.UTC().Truncate(time.Millisecond), time.Time{}
	_, err := j.forgotten.InsertOne(ctx, f)
	if err != nil && !mongo.IsDuplicateKeyError(err) {
		return Forgetting{}, fmt.Errorf("note that %s is forgotten: %w", f.Contest, err)
	}
	kept, ok, err := j.Forgotten(ctx, f.Contest)
	if err == nil && !ok {
		err = fmt.Errorf("note that %s is forgotten: it is not there", f.Contest)
	}
	return kept, err
}

// Destroyed notes that the key is gone.
func (j *Journal) Destroyed(ctx context.Context, contest string, at time.Time) error {
	done := bson.D{{Key: "$set", Value: bson.D{{Key: "destroyed_at", Value: at.UTC().Truncate(time.Millisecond)}}}}
	result, err := j.forgotten.UpdateOne(ctx, bson.D{{Key: "_id", Value: contest}}, done)
	if err == nil && result.MatchedCount == 0 {
		err = errors.New("it is not noted")
	}
	if err != nil {
		return fmt.Errorf("note that the key of %s is gone: %w", contest, err)
	}
	return nil
}

// Forgotten returns what is noted of a contest, and whether anything is.
func (j *Journal) Forgotten(ctx context.Context, contest string) (f Forgetting, ok bool, err error) {
	err = j.forgotten.FindOne(ctx, bson.D{{Key: "_id", Value: contest}}).Decode(&f)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return Forgetting{}, false, nil
	}
	if err != nil {
		return Forgetting{}, false, fmt.Errorf("ask whether %s is forgotten: %w", contest, err)
	}
	f.At, f.Done = f.At.UTC(), f.Done.UTC()
	return f, true, nil
}
