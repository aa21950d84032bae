package journal

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"golang.org/x/sync/errgroup"

	"marimba/events"
	"marimba/functions/internal/telemetry"
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
	// Contest, Channel and Votes are those of the box, if it can be read. Votes are
	// those that are dead with it: none of a box of counted votes, which says no more
	// than that they are.
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
	// ReplayedAt is when it was sent again last; zero if never.
	ReplayedAt time.Time `bson:"replayed_at,omitempty"`

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

// DeadList is Dead without what the letters hold: neither Event nor Raw is set.
func (j *Journal) DeadList(ctx context.Context, state ShelfState, contest string) iter.Seq2[DeadLetter, error] {
	return j.deadLetters(ctx, state, contest, options.Find().SetProjection(
		bson.D{{Key: "event", Value: 0}, {Key: "raw", Value: 0}}))
}

// Letter returns the dead letter of an id, and whether there is one.
func (j *Journal) Letter(ctx context.Context, id string) (d DeadLetter, ok bool, err error) {
	err = j.dead.FindOne(ctx, bson.D{{Key: "_id", Value: id}}).Decode(&d)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return DeadLetter{}, false, nil
	}
	if err != nil {
		return DeadLetter{}, false, fmt.Errorf("look for dead letter %s: %w", id, err)
	}
	return d, true, nil
}

// Box returns the box that a letter holds. An error means that it never was one.
func (d DeadLetter) Box() (events.Box, error) {
	var e event.Event
	if err := e.UnmarshalJSON(d.Event); err != nil {
		return events.Box{}, fmt.Errorf("dead letter %s: %w", d.ID, err)
	}
	return events.BoxOf(e)
}

// trace is the one that a letter's event was part of, in hexadecimal; "" if none.
func (d DeadLetter) trace() string {
	var e event.Event
	if e.UnmarshalJSON(d.Event) != nil {
		return ""
	}
	return telemetry.TraceID(telemetry.Continue(context.Background(), telemetry.ParentOf(e)))
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

// MarkReplayed notes that a dead letter, as it was read, was sent again. It does
// not if the letter has died once more since then, or was marked before: marked
// is false, and the letter stays as it is.
func (j *Journal) MarkReplayed(ctx context.Context, d DeadLetter, at time.Time) (marked bool, err error) {
	asRead := bson.D{
		{Key: "_id", Value: d.ID},
		{Key: "state", Value: Shelved},
		{Key: "at", Value: d.At},
		{Key: "places", Value: bson.D{{Key: "$size", Value: len(d.Places)}}},
	}
	done, err := j.dead.UpdateOne(ctx, asRead, bson.D{{Key: "$set", Value: bson.D{
		{Key: "state", Value: Replayed}, {Key: "replayed_at", Value: at},
	}}})
	if err != nil {
		return false, fmt.Errorf("mark %s replayed: %w", d.ID, err)
	}
	return done.MatchedCount > 0, nil
}

// boxesAtOnce bounds the boxes that are looked for in the log at once.
const boxesAtOnce = 8

// DeadVotes returns how many votes of a contest are dead, by channel: the votes
// of shelved letters, each once, but for those that are in the log. Those were
// handled, only the answer came too late.
func (j *Journal) DeadVotes(ctx context.Context, contest string) (map[events.Channel]int64, error) {
	letters := make(map[string][]DeadLetter) // by box
	for d, err := range j.DeadList(ctx, Shelved, contest) {
		if err != nil {
			return nil, err
		}
		if d.Votes > 0 {
			letters[boxOf(d.ID)] = append(letters[boxOf(d.ID)], DeadLetter{ID: d.ID, Channel: d.Channel, Votes: d.Votes})
		}
	}
	var mu sync.Mutex
	out := make(map[events.Channel]int64)
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(boxesAtOnce)
	for box, of := range letters {
		work.Go(func() error {
			n, err := j.deadIn(ctx, box, of)
			mu.Lock()
			defer mu.Unlock()
			if n > 0 {
				out[of[0].Channel] += n
			}
			return err
		})
	}
	if err := work.Wait(); err != nil {
		return nil, fmt.Errorf("count dead votes: %w", err)
	}
	return out, nil
}

// deadIn counts the votes of a box that are in its letters and not in the log.
// What the letters hold is read only where their numbers are not enough.
func (j *Journal) deadIn(ctx context.Context, boxID string, letters []DeadLetter) (int64, error) {
	logged := make(map[int]bool)
	for _, outcome := range outcomes {
		e, ok, err := j.entry(ctx, boxID+outcome)
		if err != nil {
			return 0, err
		}
		if ok {
			for _, v := range e.Box.Votes {
				logged[v.Index] = true
			}
		}
	}
	if len(logged) == 0 && len(letters) == 1 {
		return letters[0].Votes, nil
	}
	dead := make(map[int]bool)
	for _, brief := range letters {
		d, ok, err := j.Letter(ctx, brief.ID)
		if err != nil {
			return 0, err
		}
		if !ok {
			continue
		}
		box, err := d.Box()
		if err != nil {
			continue // it never was one
		}
		for _, v := range box.Votes {
			if !logged[v.Index] {
				dead[v.Index] = true
			}
		}
	}
	return int64(len(dead)), nil
}

// deadVote looks for a vote among the dead letters that are shelved.
func (j *Journal) deadVote(ctx context.Context, boxID string, index int) (Row, bool, error) {
	for _, outcome := range append([]string{""}, outcomes...) {
		d, ok, err := j.Letter(ctx, boxID+outcome)
		if err != nil {
			return Row{}, false, err
		}
		if !ok || d.State != Shelved {
			continue
		}
		box, err := d.Box()
		if err != nil {
			continue // it never was one
		}
		for _, v := range box.Votes {
			if v.Index == index {
				return Row{
					Receipt: events.Receipt(boxID, index), Contest: box.Contest, Channel: box.Channel,
					Vote: v, State: events.Dead, Cause: d.Cause, Way: Way{Event: d.ID, Topic: d.Topic, Ended: d.At.UTC(), Trace: d.trace()},
				}, true, nil
			}
		}
	}
	return Row{}, false, nil
}
