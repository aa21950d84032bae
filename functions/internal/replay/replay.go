// Package replay sends dead letters again. The rules of it are here once, for the
// command marimba and for the page of an organiser.
package replay

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"golang.org/x/sync/errgroup"

	"marimba/events"
	"marimba/functions/internal/journal"
	"marimba/functions/internal/kafka"
)

// Choice says which letters: those of the ids or, without, all that are shelved;
// and of these those of the contest and cause, if given.
type Choice struct {
	IDs            []string
	Contest, Cause string
}

func (c Choice) has(d journal.DeadLetter) bool {
	return (c.Contest == "" || d.Contest == c.Contest) && (c.Cause == "" || d.Cause == c.Cause)
}

// Shelf is where dead letters are.
type Shelf interface {
	DeadList(ctx context.Context, state journal.ShelfState, contest string) iter.Seq2[journal.DeadLetter, error]
	Letter(ctx context.Context, id string) (journal.DeadLetter, bool, error)
	MarkReplayed(ctx context.Context, d journal.DeadLetter, at time.Time) (bool, error)
	Final(ctx context.Context) (map[string]bool, error)
}

// UnknownError says that a choice names a letter which is not there.
type UnknownError struct{ ID string }

func (e *UnknownError) Error() string { return fmt.Sprintf("there is no dead letter %q", e.ID) }

// Each calls visit with the letters of a choice, without what they hold.
func (c Choice) Each(ctx context.Context, shelf Shelf, visit func(journal.DeadLetter)) error {
	if len(c.IDs) == 0 {
		for d, err := range shelf.DeadList(ctx, journal.Shelved, c.Contest) {
			if err != nil {
				return err
			}
			if c.has(d) {
				visit(d)
			}
		}
		return nil
	}
	for _, id := range c.IDs {
		d, ok, err := shelf.Letter(ctx, id)
		if err != nil {
			return err
		}
		if !ok {
			return &UnknownError{id}
		}
		if c.has(d) {
			visit(d)
		}
	}
	return nil
}

// Sender takes an event, and returns when Kafka has it.
type Sender interface {
	Send(ctx context.Context, e event.Event) error
}

// errFinal keeps a letter on the shelf: its votes would move counts behind a
// result that was declared. Those of an announcement are counted already.
var errFinal = errors.New("its contest is final")

// Bounds of a replay.
const (
	sentAtOnce = 16
	faultsTold = 100
)

// Replayed says what a replay did.
type Replayed struct {
	Sent  int   `json:"sent"` // letters that Kafka has again
	Votes int64 `json:"votes"`
	// Again is how many of them had died again, or were replayed by another, before
	// they were marked; that is where they stand now.
	Again   int     `json:"again"`
	Skipped int     `json:"skipped"` // named, but not shelved
	Cannot  []Fault `json:"cannot"`  // that can never be sent
	Failed  []Fault `json:"failed"`  // that Kafka does not take, though it takes others
	More    int     `json:"more"`    // of these two kinds, not told
}

// Fault is why a letter was not sent.
type Fault struct {
	ID    string `json:"id"`
	Fault string `json:"fault"`
}

// Fault returns an error if it did not do what was asked.
func (r Replayed) Fault(c Choice) error {
	switch {
	case len(r.Failed) > 0:
		return fmt.Errorf("%d letters were not sent: %s: %s", len(r.Failed), r.Failed[0].ID, r.Failed[0].Fault)
	case len(r.Cannot) > 0 && len(c.IDs) > 0:
		return fmt.Errorf("letter %s cannot be sent: %s", r.Cannot[0].ID, r.Cannot[0].Fault)
	}
	return nil
}

// Send sends dead letters again: the same events to the topics that they
// travelled in, and marks each when Kafka has it. It may be killed and repeated
// anywhere: what was sent and not marked is sent again, which changes nothing,
// since each step behind it may be repeated. A letter that dies again is shelved
// again, and no letter keeps another from being sent, unless Kafka is away.
func Send(ctx context.Context, shelf Shelf, to Sender, c Choice, now func() time.Time) (Replayed, error) {
	done := Replayed{Cannot: []Fault{}, Failed: []Fault{}}
	// The letters are settled on before the first is sent: one that dies again is
	// not sent again by this call.
	var chosen []string
	final, err := shelf.Final(ctx)
	if err != nil {
		return done, err
	}
	err = c.Each(ctx, shelf, func(d journal.DeadLetter) { chosen = append(chosen, d.ID) })
	if err != nil {
		return done, err
	}
	var mu sync.Mutex
	note := func(list *[]Fault, id string, err error) {
		mu.Lock()
		defer mu.Unlock()
		if len(*list) == faultsTold {
			done.More++
			return
		}
		*list = append(*list, Fault{id, err.Error()})
	}
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(sentAtOnce)
	for _, id := range chosen {
		if ctx.Err() != nil {
			break
		}
		work.Go(func() error {
			d, ok, err := shelf.Letter(ctx, id)
			if err != nil {
				return err
			}
			if !ok || d.State != journal.Shelved {
				mu.Lock()
				defer mu.Unlock()
				done.Skipped++
				return nil
			}
			e, err := eventIn(d)
			if err == nil && final[d.Contest] && d.Type != events.TypeCounted {
				err = errFinal
			}
			if err != nil {
				note(&done.Cannot, id, err)
				return nil
			}
			if err := to.Send(ctx, e); err != nil {
				if errors.Is(err, kafka.ErrThisAlone) {
					note(&done.Failed, id, err)
					return nil
				}
				return fmt.Errorf("send %s: %w", id, err)
			}
			marked, err := shelf.MarkReplayed(ctx, d, now().UTC())
			mu.Lock()
			defer mu.Unlock()
			done.Sent++
			done.Votes += d.Votes
			if err == nil && !marked {
				done.Again++
			}
			return err
		})
	}
	err = work.Wait()
	return done, err
}

// onTheWay are the extensions that an event gets on its way to the dead letters,
// and did not have before: its place in Kafka and why it died.
var onTheWay = []string{
	"knativekafkapartition", "knativekafkaoffset", "knativeerrordest", "knativeerrorcode", "knativeerrordata", "reason",
}

// eventIn returns the event that a letter holds, as it was before it died.
func eventIn(d journal.DeadLetter) (event.Event, error) {
	switch {
	case len(d.Event) == 0:
		return event.Event{}, errors.New("it is not an event")
	case d.Topic == "":
		return event.Event{}, fmt.Errorf("an event of type %q travels in no topic of ours", d.Type)
	}
	var e event.Event
	if err := e.UnmarshalJSON(d.Event); err != nil {
		return event.Event{}, fmt.Errorf("the event cannot be read: %w", err)
	}
	for _, name := range onTheWay {
		e.SetExtension(name, nil)
	}
	return e, nil
}
