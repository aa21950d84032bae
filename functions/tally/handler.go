package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/cloudevents/sdk-go/v2/event"

	"marimba/events"
	"marimba/functions/internal/counts"
	"marimba/functions/internal/journal"
	"marimba/functions/internal/mend"
	"marimba/functions/internal/stage"
	"marimba/functions/internal/telemetry"
)

type contests interface {
	Contest(id string) (events.Contest, bool)
}

type counter interface {
	Count(ctx context.Context, c events.Contest, e counts.Entry) (counts.Answer, error)
	Settle(ctx context.Context, c events.Contest, e counts.Entry, a counts.Answer, logged string) error
}

type log interface {
	Append(ctx context.Context, e journal.Entry) (attempt string, err error)
	Stands(ctx context.Context, contest, id, attempt string) (bool, error)
	Replace(ctx context.Context, e journal.Entry, void string) (attempt string, err error)
	Held(ctx context.Context, id string) (journal.Entry, error)
}

// charts are told of the contests whose counts have changed. They must not block.
type charts interface{ changed(c events.Contest) }

// maxAtWork is how many boxes are counted and logged at once. A box at work
// takes about half a megabyte, one that waits only what was posted. More would
// not be faster: Redis runs one script at a time.
const maxAtWork = 16

// maxPlace bounds a place: a partition is an int32, an offset an int64.
const maxPlace = 32

// tally brings each vote to its final state.
type tally struct {
	contests contests
	counts   counter
	journal  log
	mending  *mend.Keeper
	send     sender
	charts   charts
	room     chan struct{} // one for each box at work
	now      func() time.Time
}

func newTally(contests contests, counts counter, journal log, mending *mend.Keeper, send sender, charts charts) tally {
	return tally{contests, counts, journal, mending, send, charts, make(chan struct{}, maxAtWork), time.Now}
}

// handle counts the votes of a judged box, logs what became of them, settles the
// box, and announces what was counted. Each step may be repeated from the first, by
// this process or another, whatever was done before: the end is the same. Only then
// the event is done.
//
// If it turns out that the counts are not known to be what the log says, they are
// mended, and the box is begun once more.
func (t tally) handle(ctx context.Context, e event.Event) error {
	contest, err := t.bring(ctx, e)
	if errors.Is(err, counts.ErrLife) {
		if err := t.mending.Wait(ctx, contest); err != nil {
			return stage.Wait(err)
		}
		_, err = t.bring(ctx, e)
	}
	if errors.Is(err, counts.ErrLife) || errors.Is(err, counts.ErrHeld) {
		return stage.Wait(err)
	}
	return err
}

func (t tally) bring(ctx context.Context, e event.Event) (events.Contest, error) {
	select {
	case t.room <- struct{}{}:
		defer func() { <-t.room }()
	case <-ctx.Done():
		return events.Contest{}, fmt.Errorf("wait to be counted: %w", ctx.Err())
	}
	entry, err := read(e)
	if err != nil {
		return events.Contest{}, stage.Poison(events.EventMalformed, err)
	}
	contest, ok := t.contests.Contest(entry.Box.Contest)
	if !ok {
		if e.Type() == events.TypeAccepted {
			// screen knew it, so it was made a moment ago, or will be again.
			return events.Contest{}, fmt.Errorf("contest %q is not known here yet", entry.Box.Contest)
		}
		contest = events.Contest{ID: entry.Box.Contest}
	}
	answer, err := t.count(ctx, contest, entry)
	if err != nil {
		return contest, err
	}
	logged, err := t.log(ctx, journal.Entry{
		ID: entry.ID, Box: entry.Box, Attempt: answer.Attempt, States: answer.States,
		Place: placeOf(e), Logged: t.now().UTC().Truncate(time.Millisecond), Trace: telemetry.TraceID(ctx),
	}, answer.Life)
	if err != nil {
		return contest, err
	}
	if err := t.settle(ctx, contest, entry, answer, logged); err != nil {
		return contest, err
	}
	t.charts.changed(contest)
	decided := logged == answer.Attempt
	if decided { // else they were told of when that was made
		telemetry.Final(ctx, entry.Box, answer.States)
	}
	if err := t.announce(ctx, entry, answer.States, logged, decided); err != nil {
		return contest, err
	}
	telemetry.Box(len(entry.Box.Votes))
	return contest, nil
}

func (t tally) count(ctx context.Context, c events.Contest, e counts.Entry) (a counts.Answer, err error) {
	ctx, end := telemetry.Span(ctx, "count")
	defer func() { end(err) }()
	return t.counts.Count(ctx, c, e)
}

func (t tally) settle(ctx context.Context, c events.Contest, e counts.Entry, a counts.Answer, logged string) (err error) {
	ctx, end := telemetry.Span(ctx, "settle")
	defer func() { end(err) }()
	return t.counts.Settle(ctx, c, e, a, logged)
}

// placeOf is where a source read an event, as it says: "<partition>/<offset>"; ""
// if it does not.
func placeOf(e event.Event) string {
	partition, offset := e.Extensions()["knativekafkapartition"], e.Extensions()["knativekafkaoffset"]
	if partition == nil || offset == nil {
		return ""
	}
	place := fmt.Sprintf("%v/%v", partition, offset)
	if len(place) > maxPlace {
		return "" // no source of ours says this
	}
	return place
}

// log writes an entry to the log, and returns the attempt that the log holds: an
// earlier one of this entry, or this one. An attempt that was made in a life
// which ended before it was in the log counts for nothing, and is replaced.
func (t tally) log(ctx context.Context, e journal.Entry, life int64) (logged string, err error) {
	ctx, end := telemetry.Span(ctx, "log")
	defer func() { end(err) }()
	logged, err = t.journal.Append(ctx, e)
	if err != nil || journal.LifeOf(logged) >= life {
		return logged, err
	}
	stands, err := t.journal.Stands(ctx, e.Box.Contest, e.ID, logged)
	if err != nil || stands {
		return logged, err
	}
	return t.journal.Replace(ctx, e, logged)
}

// read takes what screen sends, and nothing else: accepted boxes, in which no
// vote has a reason, and refused ones, in which each has. Names hold no control
// characters, one of which separates them in the counts; the ingress sees to it.
func read(e event.Event) (counts.Entry, error) {
	if e.Type() != events.TypeAccepted && e.Type() != events.TypeRefused {
		return counts.Entry{}, fmt.Errorf("event type %q is not for tally", e.Type())
	}
	box, err := events.BoxOf(e)
	if err != nil {
		return counts.Entry{}, err
	}
	for _, v := range box.Votes {
		if (v.Reason != "") != (e.Type() == events.TypeRefused) {
			return counts.Entry{}, fmt.Errorf("vote %d has reason %q in an event of type %q", v.Index, v.Reason, e.Type())
		}
		if strings.ContainsFunc(v.Name+v.Album, unicode.IsControl) {
			return counts.Entry{}, fmt.Errorf("vote %d: a control character is in a name", v.Index)
		}
	}
	return counts.Entry{ID: e.ID(), Box: box}, nil
}
