package main

import (
	"context"
	"fmt"

	"github.com/cloudevents/sdk-go/v2/event"

	"marimba/events"
	"marimba/functions/internal/counts"
	"marimba/functions/internal/telemetry"
)

// sender takes events, and returns when Kafka has them.
type sender interface {
	Send(ctx context.Context, evs ...event.Event) error
}

// announce tells of the votes of a box that are counted, for the public log to
// take them in. It does so once the box is settled: from then on the log's
// decision stands for ever, so that what is announced is never taken back. Two
// announcements of a box are the same event.
//
// decided says whether the log holds the decision of this delivery. If it holds
// another's, the states are those which the log has.
func (t tally) announce(ctx context.Context, e counts.Entry, states []events.State, logged string, decided bool) (err error) {
	if e.Box.Votes[0].Reason != "" {
		return nil // all are refused
	}
	ctx, end := telemetry.Span(ctx, "announce")
	defer func() { end(err) }()
	box := e.Box
	if !decided {
		held, err := t.journal.Held(ctx, e.ID)
		if err != nil {
			return err
		}
		if held.Attempt != logged {
			return fmt.Errorf("announce %s: the log holds attempt %q, and held %q before", e.ID, held.Attempt, logged)
		}
		box, states = held.Box, held.States
	}
	box.Votes = countedOf(box.Votes, states)
	if len(box.Votes) == 0 {
		return nil
	}
	if err := t.send.Send(ctx, box.Event(events.TypeCounted, "tally")); err != nil {
		return fmt.Errorf("announce %s: %w", e.ID, err)
	}
	return nil
}

// countedOf returns the votes that are counted, without their voters: nothing
// behind the count needs to know that two votes are of one.
func countedOf(votes []events.Vote, states []events.State) []events.Vote {
	var out []events.Vote
	for i, v := range votes {
		if states[i] == events.Counted {
			v.VoterKey = nil
			out = append(out, v)
		}
	}
	return out
}
