package journal

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// maxStatement bounds a statement's text; MongoDB takes documents of 16 MiB.
const maxStatement = 12 << 20

// Statement is the final word on a contest. There is one for each contest at
// most, and once it is there it does not change.
type Statement struct {
	Contest string    `bson:"_id"`
	At      time.Time `bson:"at"`
	Digest  string    `bson:"sha256"` // of Text, hexadecimal
	Text    string    `bson:"text"`   // JSON; what it says is for who made it to know
}

// Declare keeps a statement, unless the contest has one: then that stays. It
// returns the statement that the contest has. After an error it may or may not be
// there; to declare again is safe.
func (j *Journal) Declare(ctx context.Context, contest string, at time.Time, text []byte) (Statement, error) {
	if len(text) > maxStatement {
		return Statement{}, fmt.Errorf("declare %s: statement of %d bytes, more than %d", contest, len(text), maxStatement)
	}
	_, err := j.statements.InsertOne(ctx, Statement{contest, at.UTC().Truncate(time.Millisecond), digestOf(string(text)), string(text)})
	if err != nil && !mongo.IsDuplicateKeyError(err) {
		return Statement{}, fmt.Errorf("declare %s: %w", contest, err)
	}
	kept, ok, err := j.Statement(ctx, contest)
	if err == nil && !ok {
		err = fmt.Errorf("declare %s: the statement is not there", contest)
	}
	return kept, err
}

// Statement returns the statement of a contest, and whether it has one. One whose
// text is not what its digest was made of is an error.
func (j *Journal) Statement(ctx context.Context, contest string) (s Statement, ok bool, err error) {
	err = j.statements.FindOne(ctx, bson.D{{Key: "_id", Value: contest}}).Decode(&s)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return Statement{}, false, nil
	}
	if err != nil {
		return Statement{}, false, fmt.Errorf("read statement of %s: %w", contest, err)
	}
	if s.Digest != digestOf(s.Text) {
		return Statement{}, false, fmt.Errorf("statement of %s was changed: its digest is not %s", contest, s.Digest)
	}
	s.At = s.At.UTC()
	return s, true, nil
}

// Final returns the ids of the contests that have a statement.
func (j *Journal) Final(ctx context.Context) (map[string]bool, error) {
	found, err := j.statements.Find(ctx, bson.D{}, options.Find().SetProjection(bson.D{{Key: "_id", Value: 1}}))
	if err != nil {
		return nil, fmt.Errorf("look for statements: %w", err)
	}
	var list []Statement
	if err := found.All(ctx, &list); err != nil {
		return nil, fmt.Errorf("look for statements: %w", err)
	}
	final := make(map[string]bool, len(list))
	for _, s := range list {
		final[s.Contest] = true
	}
	return final, nil
}

func digestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
