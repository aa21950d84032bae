package main

import (
	"context"
	"net/http"
	"time"

	"marimba/events"
	"marimba/functions/internal/journal"
	"marimba/functions/internal/replay"
)

// buried is the shelf of dead letters.
type buried interface {
	DeadVotes(ctx context.Context, contest string) (map[events.Channel]int64, error)
	replay.Shelf
}

// Bounds of a list of dead letters. Their events are not in it.
const (
	deadLetters    = 100
	maxDeadLetters = 1000
)

type deadLetter struct {
	ID          string             `json:"id"`
	Type        string             `json:"type"`
	Contest     string             `json:"contest,omitempty"`
	Channel     events.Channel     `json:"channel,omitempty"`
	Votes       int64              `json:"votes"`
	Topic       events.Topic       `json:"topic,omitempty"`
	Cause       string             `json:"cause"`
	Status      string             `json:"status,omitempty"`
	Destination string             `json:"destination,omitempty"`
	Answer      string             `json:"answer,omitempty"`
	Places      []string           `json:"places"`
	At          time.Time          `json:"at"`
	State       journal.ShelfState `json:"state"`
	ReplayedAt  time.Time          `json:"replayed_at,omitzero"`
	// Sendable is whether it can be sent again: events that travel in no topic of ours
	// cannot.
	Sendable bool `json:"sendable"`
}

// listDead lists dead letters, in no order. It needs the token: a dead letter
// may hold anything.
func (r *results) listDead(w http.ResponseWriter, req *http.Request) error {
	if err := r.access.must(req); err != nil {
		return err
	}
	q := parameters(req)
	state := oneOf(q, "state", journal.Shelved, journal.Replayed)
	limit := q.number("limit", deadLetters, 1, maxDeadLetters)
	contest := q.text("contest")
	if err := q.refusal(); err != nil {
		return err
	}
	done, err := r.search(req.Context())
	if err != nil {
		return err
	}
	defer done()
	list := struct {
		Letters []deadLetter `json:"letters"`
		More    bool         `json:"more"`
	}{Letters: []deadLetter{}}
	for d, err := range r.journal.DeadList(req.Context(), state, contest) {
		if err != nil {
			return err
		}
		if len(list.Letters) == limit {
			list.More = true
			break
		}
		list.Letters = append(list.Letters, deadLetter{
			ID: d.ID, Type: d.Type, Contest: d.Contest, Channel: d.Channel, Votes: d.Votes, Topic: d.Topic, Cause: d.Cause,
			Status: d.Status, Destination: d.Destination, Answer: d.Answer, Places: listed(d.Places), At: d.At, State: d.State,
			ReplayedAt: d.ReplayedAt, Sendable: d.Topic != "",
		})
	}
	return write(w, req, forNobody, "", list)
}
