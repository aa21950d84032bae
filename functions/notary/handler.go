package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/cloudevents/sdk-go/v2/event"

	"marimba/events"
	"marimba/events/seal"
	"marimba/functions/internal/stage"
	"marimba/functions/internal/telemetry"
	"marimba/functions/internal/tlog"
)

// book is where boxes are sealed, each once, however often it comes.
type book interface {
	Seal(ctx context.Context, b tlog.Box) error
}

// notary seals what tally counted.
type notary struct {
	secrets *seal.Secrets
	book    book
}

// handle seals the votes of a counted box. It may be repeated, by this process or
// another: the box is sealed once. Only when it is, and the log's head tells so,
// the event is done.
func (n notary) handle(ctx context.Context, e event.Event) error {
	box, err := read(e)
	if err != nil {
		return stage.Poison(events.EventMalformed, err)
	}
	if err := n.seal(ctx, n.commit(box)); err != nil {
		if errors.Is(err, tlog.ErrBusy) {
			return stage.Wait(err)
		}
		return err
	}
	telemetry.Box(len(box.Votes))
	return nil
}

func (n notary) seal(ctx context.Context, b tlog.Box) (err error) {
	ctx, end := telemetry.Span(ctx, "seal")
	defer func() { end(err) }()
	return n.book.Seal(ctx, b)
}

// commit makes the commitments to a box's votes.
func (n notary) commit(box events.Box) tlog.Box {
	b := tlog.Box{Contest: box.Contest, ID: box.ID, Votes: make([]tlog.Vote, len(box.Votes))}
	for i := range box.Votes {
		v := &box.Votes[i]
		b.Votes[i] = tlog.Vote{Index: v.Index, Entry: tlog.Commit(n.secrets, box, v)}
	}
	return b
}

// read takes what tally announces, and nothing else: boxes of votes that counted,
// each of its own index. A text with a control character could be opened in two
// ways, for a line's end separates them; the ingress sees to it that none has one.
func read(e event.Event) (events.Box, error) {
	if e.Type() != events.TypeCounted {
		return events.Box{}, fmt.Errorf("event type %q is not for the notary", e.Type())
	}
	box, err := events.BoxOf(e)
	if err != nil {
		return events.Box{}, err
	}
	if hasControl(string(box.Channel)) {
		return events.Box{}, errors.New("a control character is in the channel")
	}
	var seen [events.MaxBoxVotes]bool
	for i := range box.Votes {
		v := &box.Votes[i]
		switch {
		case v.Reason != "":
			return events.Box{}, fmt.Errorf("vote %d was refused with %q, and is said to be counted", v.Index, v.Reason)
		case seen[v.Index]:
			return events.Box{}, fmt.Errorf("vote %d is there twice", v.Index)
		case hasControl(v.Name), hasControl(v.Album):
			return events.Box{}, fmt.Errorf("vote %d: a control character is in a name", v.Index)
		}
		seen[v.Index] = true
	}
	return box, nil
}

func hasControl(text string) bool { return strings.ContainsFunc(text, unicode.IsControl) }
