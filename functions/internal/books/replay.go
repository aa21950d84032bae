package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"marimba/config"
	"marimba/functions/internal/journal"
)

// Bounds of a list of dead letters.
const (
	lettersTold = 100
	maxTold     = 10_000
)

func runReplay(ctx context.Context, args, environ []string) (any, error) {
	flags := flag.NewFlagSet("replay", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the error says it
	var c choice
	send := flags.Bool("send", false, "send the letters again, instead of listing them")
	all := flags.Bool("all", false, "with -send: all that are shelved")
	limit := flags.Int("limit", lettersTold, "how many to list")
	flags.StringVar(&c.contest, "contest", "", "of this contest alone")
	flags.StringVar(&c.cause, "cause", "", "that died of this cause alone")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	c.ids = flags.Args()
	switch {
	case *limit < 1 || *limit > maxTold:
		return nil, fmt.Errorf("-limit: is not between 1 and %d", maxTold)
	case *send && (len(c.ids) == 0) != *all, *all && !*send:
		return nil, errors.New("-send needs the ids of letters, or -all")
	}
	var cfg struct {
		config.Kafka
		config.Mongo
	}
	if err := config.Load(&cfg, environ); err != nil {
		return nil, err
	}
	shelf, err := journal.Open(cfg.Mongo)
	if err != nil {
		return nil, err
	}
	defer shelf.Close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing was appended
	if !*send {
		list, err := listLetters(ctx, shelf, c, *limit)
		if err != nil {
			return nil, err
		}
		return list, nil
	}
	topics, err := openTopics(cfg.Kafka)
	if err != nil {
		return nil, err
	}
	defer topics.close()
	done, err := replay(ctx, shelf, topics, c, time.Now)
	switch {
	case err != nil && done.Sent == 0:
		return nil, err
	case err != nil:
		return done, err
	}
	return done, done.fault(c)
}

// choice says which letters: those of the ids or, without, all that are shelved;
// and of these those of the contest and cause, if given.
type choice struct {
	ids            []string
	contest, cause string
}

func (c choice) has(d journal.DeadLetter) bool {
	return (c.contest == "" || d.Contest == c.contest) && (c.cause == "" || d.Cause == c.cause)
}

// deadLetters is the shelf of them.
type deadLetters interface {
	DeadList(ctx context.Context, state journal.ShelfState, contest string) iter.Seq2[journal.DeadLetter, error]
	Letter(ctx context.Context, id string) (journal.DeadLetter, bool, error)
	MarkReplayed(ctx context.Context, d journal.DeadLetter, at time.Time) (bool, error)
	Final(ctx context.Context) (map[string]bool, error)
}

// each calls visit with the letters of a choice, without what they hold.
func (c choice) each(ctx context.Context, shelf deadLetters, visit func(journal.DeadLetter)) error {
	if len(c.ids) == 0 {
		for d, err := range shelf.DeadList(ctx, journal.Shelved, c.contest) {
			if err != nil {
				return err
			}
			if c.has(d) {
				visit(d)
			}
		}
		return nil
	}
	for _, id := range c.ids {
		d, ok, err := shelf.Letter(ctx, id)
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("there is no dead letter %q", id)
		}
		if c.has(d) {
			visit(d)
		}
	}
	return nil
}

// letterList is what replay lists.
type letterList struct {
	Letters []letter     `json:"letters"` // those that died last first
	More    int          `json:"more"`    // that are not listed
	Causes  []causeOfAll `json:"causes"`  // of all, also those that are not listed
}

type letter struct {
	ID         string             `json:"id"`
	Type       string             `json:"type"`
	Contest    string             `json:"contest,omitempty"`
	Channel    string             `json:"channel,omitempty"`
	Votes      int64              `json:"votes"`
	Topic      string             `json:"topic,omitempty"`
	Cause      string             `json:"cause"`
	Status     string             `json:"status,omitempty"`
	Answer     string             `json:"answer,omitempty"`
	At         time.Time          `json:"at"`   // when it died last
	Died       int                `json:"died"` // how often; 0: not known
	State      journal.ShelfState `json:"state"`
	ReplayedAt time.Time          `json:"replayed_at,omitzero"`
	Sendable   bool               `json:"sendable"`
}

type causeOfAll struct {
	Cause   string `json:"cause"`
	Letters int    `json:"letters"`
	Votes   int64  `json:"votes"`
}

func listLetters(ctx context.Context, shelf deadLetters, c choice, limit int) (letterList, error) {
	list := letterList{Letters: []letter{}, Causes: []causeOfAll{}}
	causes := make(map[string]causeOfAll)
	newest := func(a, b letter) int {
		if by := b.At.Compare(a.At); by != 0 {
			return by
		}
		return strings.Compare(a.ID, b.ID)
	}
	err := c.each(ctx, shelf, func(d journal.DeadLetter) {
		list.Letters = append(list.Letters, letter{
			ID: d.ID, Type: d.Type, Contest: d.Contest, Channel: string(d.Channel), Votes: d.Votes, Topic: string(d.Topic),
			Cause: d.Cause, Status: d.Status, Answer: d.Answer, At: d.At.UTC(), Died: len(d.Places), State: d.State,
			ReplayedAt: d.ReplayedAt.UTC(), Sendable: d.Topic != "",
		})
		if len(list.Letters) == 2*limit {
			slices.SortFunc(list.Letters, newest)
			list.Letters, list.More = list.Letters[:limit], list.More+limit
		}
		of := causes[d.Cause]
		causes[d.Cause] = causeOfAll{d.Cause, of.Letters + 1, of.Votes + d.Votes}
	})
	if err != nil {
		return letterList{}, err
	}
	slices.SortFunc(list.Letters, newest)
	if over := len(list.Letters) - limit; over > 0 {
		list.Letters, list.More = list.Letters[:limit], list.More+over
	}
	for _, cause := range slices.Sorted(maps.Keys(causes)) {
		list.Causes = append(list.Causes, causes[cause])
	}
	return list, nil
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
