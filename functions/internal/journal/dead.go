package journal

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"marimba/events"
)

// ShelfState is where a dead letter stands.
type ShelfState string

// The states of a dead letter.
const (
	Shelved  ShelfState = "shelved"
	Replayed ShelfState = "replayed" // sent again since it died last
)

// DeadLetter is an event that a source gave up on, and the document of it.
//
// Texts are valid UTF-8, whatever the event held; Event and Raw are its bytes.
type DeadLetter struct {
	// ID is that of the event if it is one of ours, so that one that dies again is
	// the same dead letter; of any other a digest.
	ID   string `bson:"_id"`
	Type string `bson:"type"`
	// Contest, Channel and Votes are those of the box, if it can be read.
	Contest string         `bson:"contest,omitempty"`
	Channel events.Channel `bson:"channel,omitempty"`
	Votes   int64          `bson:"votes"`
	// Topic is the one that such events travel in; "" if it is not ours.
	Topic events.Topic `bson:"topic,omitempty"`

	Cause       string `bson:"cause"`            // the code that a function gave, or what else is known
	Status      string `bson:"status,omitempty"` // HTTP status of the last answer
	Destination string `bson:"destination,omitempty"`
	Answer      string `bson:"answer,omitempty"` // beginning of the last answer's text

	// Places are the places in votes.dead that it was read from, "<partition>/<offset>":
	// one that is read again from the same place did not die again.
	Places []string   `bson:"places"`
	At     time.Time  `bson:"at"` // when it was shelved last
	State  ShelfState `bson:"state"`

	// Event is the whole event in CloudEvents' JSON format, to be sent again. What
	// could not be read as an event is in Raw, as its HTTP request.
	Event []byte `bson:"event,omitempty"`
	Raw   []byte `bson:"raw,omitempty"`
}

// Shelve keeps a dead letter. It may be repeated: one that is there and comes
// from the same place stays as it is. One that comes from another place has died
// again, and is shelved again.
func (j *Journal) Shelve(ctx context.Context, d DeadLetter) error {
	_, err := j.dead.InsertOne(ctx, d)
	if err == nil {
		return nil
	}
	if !mongo.IsDuplicateKeyError(err) {
		return fmt.Errorf("shelve %s: %w", d.ID, err)
	}
	for _, place := range d.Places {
		elsewhere := bson.D{{Key: "_id", Value: d.ID}, {Key: "places", Value: bson.D{{Key: "$ne", Value: place}}}}
		_, err := j.dead.UpdateOne(ctx, elsewhere, bson.D{
			{Key: "$push", Value: bson.D{{Key: "places", Value: place}}},
			{Key: "$set", Value: bson.D{
				{Key: "cause", Value: d.Cause},
				{Key: "status", Value: d.Status},
				{Key: "destination", Value: d.Destination},
				{Key: "answer", Value: d.Answer},
				{Key: "at", Value: d.At},
				{Key: "state", Value: Shelved},
			}},
		})
		if err != nil {
			return fmt.Errorf("shelve %s again: %w", d.ID, err)
		}
	}
	return nil
}

// Dead returns the dead letters of a state and contest (of each, "" is all), in
// no order. After an error it ends.
func (j *Journal) Dead(ctx context.Context, state ShelfState, contest string) iter.Seq2[DeadLetter, error] {
	return j.deadLetters(ctx, state, contest, options.Find().SetBatchSize(documentsAtOnce))
}

func (j *Journal) deadLetters(ctx context.Context, state ShelfState, contest string, find *options.FindOptionsBuilder) iter.Seq2[DeadLetter, error] {
	return func(yield func(DeadLetter, error) bool) {
		query := bson.D{}
		if state != "" {
			query = append(query, bson.E{Key: "state", Value: state})
		}
		if contest != "" {
			query = append(query, bson.E{Key: "contest", Value: contest})
		}
		found, err := j.dead.Find(ctx, query, find)
		if err != nil {
			yield(DeadLetter{}, fmt.Errorf("look for dead letters: %w", err))
			return
		}
		defer found.Close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing is lost by it
		for found.Next(ctx) {
			var d DeadLetter
			if err := found.Decode(&d); err != nil {
				yield(DeadLetter{}, fmt.Errorf("read dead letter: %w", err))
				return
			}
			if !yield(d, nil) {
				return
			}
		}
		if err := found.Err(); err != nil {
			yield(DeadLetter{}, fmt.Errorf("read dead letters: %w", err))
		}
	}
}

// DeadVotes returns how many votes of a contest are shelved, by channel.
func (j *Journal) DeadVotes(ctx context.Context, contest string) (map[events.Channel]int64, error) {
	out := make(map[events.Channel]int64)
	numbers := options.Find().SetProjection(bson.D{{Key: "channel", Value: 1}, {Key: "votes", Value: 1}})
	for d, err := range j.deadLetters(ctx, Shelved, contest, numbers) {
		if err != nil {
			return nil, err
		}
		out[d.Channel] += d.Votes
	}
	return out, nil
}

// MarkReplayed notes that a dead letter was sent again. If it dies once more it
// is shelved again.
func (j *Journal) MarkReplayed(ctx context.Context, id string) error {
	_, err := j.dead.UpdateOne(ctx, bson.D{{Key: "_id", Value: id}},
		bson.D{{Key: "$set", Value: bson.D{{Key: "state", Value: Replayed}}}})
	if err != nil {
		return fmt.Errorf("mark %s replayed: %w", id, err)
	}
	return nil
}

// deadVote looks for a vote among the dead letters that are shelved.
func (j *Journal) deadVote(ctx context.Context, boxID string, index int) (Row, bool, error) {
	for _, outcome := range [...]string{"", "/accepted", "/refused"} {
		var d DeadLetter
		err := j.dead.FindOne(ctx, bson.D{{Key: "_id", Value: boxID + outcome}}).Decode(&d)
		if errors.Is(err, mongo.ErrNoDocuments) || err == nil && d.State != Shelved {
			continue
		}
		if err != nil {
			return Row{}, false, fmt.Errorf("look for dead vote %s: %w", events.Receipt(boxID, index), err)
		}
		var e event.Event
		if err := e.UnmarshalJSON(d.Event); err != nil {
			continue // it never was a box
		}
		box, err := events.BoxOf(e)
		if err != nil {
			continue
		}
		for _, v := range box.Votes {
			if v.Index == index {
				return Row{
					Receipt: events.Receipt(boxID, index), Contest: box.Contest, Channel: box.Channel,
					Vote: v, State: events.Dead, Cause: d.Cause,
				}, true, nil
			}
		}
	}
	return Row{}, false, nil
}
