package journal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// ErrRuled says that a contest has a ruling of that number already.
var ErrRuled = errors.New("ruling is there")

// Ruling is an act about the votes of a contest, such as that some are annulled. Each
// number is given once, and a ruling that is there does not change.
type Ruling struct {
	Contest string    `bson:"contest"`
	Number  int       `bson:"number"` // 1, 2, 3 …
	At      time.Time `bson:"at"`
	Digest  string    `bson:"sha256"` // of Text, hexadecimal
	Text    string    `bson:"text"`   // JSON; what it says is for who made it to know
}

type rulingDocument struct {
	ID     string `bson:"_id"` // "<contest>/<number>"
	Ruling `bson:",inline"`
}

// Rule keeps a ruling. ErrRuled says that there is one of its number, and then
// nothing has changed; after another error it may or may not be there.
func (j *Journal) Rule(ctx context.Context, r Ruling) error {
	if len(r.Text) > maxStatement {
		return fmt.Errorf("rule %s/%d: a text of %d bytes, more than %d", r.Contest, r.Number, len(r.Text), maxStatement)
	}
	r.At, r.Digest = r.At.UTC().Truncate(time.Millisecond), digestOf(r.Text)
	_, err := j.annulments.InsertOne(ctx, rulingDocument{rulingID(r.Contest, r.Number), r})
	if mongo.IsDuplicateKeyError(err) {
		return fmt.Errorf("rule %s/%d: %w", r.Contest, r.Number, ErrRuled)
	}
	if err != nil {
		return fmt.Errorf("rule %s/%d: %w", r.Contest, r.Number, err)
	}
	return nil
}

// Ruling returns the ruling of a number, and whether there is one. One whose text is
// not what its digest was made of is an error. The look-up is by _id alone, so that
// it may be asked often.
func (j *Journal) Ruling(ctx context.Context, contest string, number int) (r Ruling, ok bool, err error) {
	var d rulingDocument
	err = j.annulments.FindOne(ctx, bson.D{{Key: "_id", Value: rulingID(contest, number)}}).Decode(&d)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return Ruling{}, false, nil
	}
	if err != nil {
		return Ruling{}, false, fmt.Errorf("read ruling %s/%d: %w", contest, number, err)
	}
	if d.Digest != digestOf(d.Text) || d.Contest != contest || d.Number != number {
		return Ruling{}, false, fmt.Errorf("ruling %s/%d was changed: its digest is not %s", contest, number, d.Digest)
	}
	d.At = d.At.UTC()
	return d.Ruling, true, nil
}

func rulingID(contest string, number int) string { return fmt.Sprintf("%s/%d", contest, number) }
