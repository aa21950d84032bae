package main

import (
	"context"
	"fmt"

	"github.com/cloudevents/sdk-go/v2/event"

	"marimba/events"
	"marimba/events/rules"
	"marimba/functions/internal/stage"
)

type sender interface {
	Send(ctx context.Context, evs ...event.Event) error
}

type contests interface {
	Contest(id string) (events.Contest, bool)
	IDs() []string
}

// screen is the judge whose word counts: what the ingress said before was early
// feedback.
type screen struct {
	rules map[string]*rules.Rules // by contest
	send  sender
}

func newScreen(c contests, send sender) *screen {
	s := &screen{rules: make(map[string]*rules.Rules), send: send}
	for _, id := range c.IDs() {
		if contest, ok := c.Contest(id); ok {
			s.rules[id] = rules.New(contest)
		}
	}
	return s
}

// handle judges each vote of a box and sends the admitted and the refused ones
// on, each as a box of the same id. It is done when Kafka has both. The same
// box makes the same two events again, so a redelivery changes nothing.
func (s *screen) handle(ctx context.Context, e event.Event) error {
	box, err := events.BoxOf(e)
	if err != nil {
		return stage.Poison(events.EventMalformed, err)
	}
	accepted, refused := box, box
	accepted.Votes = make([]events.Vote, 0, len(box.Votes))
	refused.Votes = nil
	judge := s.rules[box.Contest]
	for _, v := range box.Votes {
		no := events.Refuse(events.ContestUnknown, "contest", "contest", box.Contest)
		if judge != nil {
			no = judge.Judge(&v)
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
	if err := s.send.Send(ctx, out...); err != nil {
		return fmt.Errorf("send judged votes: %w", err)
	}
	return nil
}
