package main

import (
	"context"
	"fmt"

	"github.com/cloudevents/sdk-go/v2/event"

	"marimba/events"
	"marimba/functions/internal/judges"
	"marimba/functions/internal/stage"
	"marimba/functions/internal/telemetry"
)

type sender interface {
	Send(ctx context.Context, evs ...event.Event) error
}

// maxAtWork is how many boxes are judged and sent at once. One takes some hundred
// kilobytes; more would not be faster, since each takes a core until it is sent.
const maxAtWork = 16

// screen is the judge whose word counts: what the ingress said before was early
// feedback.
type screen struct {
	judges *judges.Judges
	send   sender
	room   chan struct{} // one for each box at work
}

func newScreen(contests judges.Contests, send sender) *screen {
	return &screen{judges.Of(contests), send, make(chan struct{}, maxAtWork)}
}

// handle judges each vote of a box and sends the admitted and the refused ones
// on, each as a box of the same id. It is done when Kafka has both. The same
// box makes the same two events again, so a redelivery changes nothing.
func (s *screen) handle(ctx context.Context, e event.Event) error {
	select {
	case s.room <- struct{}{}:
		defer func() { <-s.room }()
	case <-ctx.Done():
		return fmt.Errorf("wait to be judged: %w", ctx.Err())
	}
	box, err := events.BoxOf(e)
	if err != nil {
		return stage.Poison(events.EventMalformed, err)
	}
	accepted, refused := box, box
	accepted.Votes = make([]events.Vote, 0, len(box.Votes))
	refused.Votes = nil
	judge := s.judges.For(box.Contest)
	for _, v := range box.Votes {
		var no *events.Refusal
		if judge == nil {
			no = events.Refuse(events.ContestUnknown, "contest", "contest", box.Contest)
		} else if no, err = judge.Judge(&v); err != nil {
			return err // the whole box is judged again later: half of one is none
		}
		if no != nil {
			v.Reason, v.Field = no.Code, no.Field
			refused.Votes = append(refused.Votes, v)
			continue
		}
		accepted.Votes = append(accepted.Votes, v)
	}
	var out []event.Event
	if len(accepted.Votes) > 0 {
		out = append(out, accepted.Event(events.TypeAccepted, "screen"))
	}
	if len(refused.Votes) > 0 {
		out = append(out, refused.Event(events.TypeRefused, "screen"))
	}
	ctx, end := telemetry.Span(ctx, "send judged votes")
	err = s.send.Send(ctx, out...)
	end(err)
	if err != nil {
		return fmt.Errorf("send judged votes: %w", err)
	}
	telemetry.Box(len(box.Votes))
	return nil
}
