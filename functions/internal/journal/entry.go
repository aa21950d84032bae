package journal

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"marimba/events"
)

// Entry is a box in the log: the votes of one cast box that were admitted, or
// those that were refused, with what became of each.
type Entry struct {
	ID      string // of the event that carried it: "<box id>/accepted"
	Box     events.Box
	Attempt string
	States  []events.State // one for each vote
}

// document is an Entry as MongoDB keeps it.
type document struct {
	ID      string         `bson:"_id"`
	Contest string         `bson:"contest"`
	Channel events.Channel `bson:"channel"`
	At      time.Time      `bson:"at"`
	Attempt string         `bson:"attempt"`
	Bands   []string       `bson:"bands"`
	States  []events.State `bson:"states"`
	Votes   []vote         `bson:"votes"`
}

type vote struct {
	Index  int32        `bson:"index"`
	ID     string       `bson:"id"`
	Name   string       `bson:"name"`
	Album  string       `bson:"album"`
	Year   int32        `bson:"year"`
	Rank   int32        `bson:"rank"`
	At     time.Time    `bson:"at"`
	State  events.State `bson:"state"`
	Reason events.Code  `bson:"reason,omitempty"`
	Field  string       `bson:"field,omitempty"`
	Voter  []byte       `bson:"voter,omitempty"`
	CastAt *time.Time   `bson:"cast_at,omitempty"`
}

func (e Entry) encode() (bson.Raw, error) {
	if len(e.States) != len(e.Box.Votes) || len(e.States) == 0 {
		return nil, fmt.Errorf("%d states for %d votes", len(e.States), len(e.Box.Votes))
	}
	d := document{
		ID: e.ID, Contest: e.Box.Contest, Channel: e.Box.Channel, Attempt: e.Attempt,
		At:    e.Box.Votes[0].At,
		Votes: make([]vote, len(e.Box.Votes)),
	}
	named := make(map[string]bool)
	for i, v := range e.Box.Votes {
		if v.At.Before(d.At) {
			d.At = v.At
		}
		if !named[v.Name] {
			named[v.Name] = true
			if folded := events.Fold(v.Name); !slices.Contains(d.Bands, folded) {
				d.Bands = append(d.Bands, folded)
			}
		}
		if !slices.Contains(d.States, e.States[i]) {
			d.States = append(d.States, e.States[i])
		}
		d.Votes[i] = vote{
			Index: int32(v.Index), ID: v.ID, Name: v.Name, Album: v.Album, Year: v.Year, Rank: v.Rank,
			At: v.At, State: e.States[i], Reason: v.Reason, Field: v.Field, Voter: v.VoterKey,
		}
		if !v.CastAt.IsZero() {
			d.Votes[i].CastAt = &v.CastAt
		}
	}
	raw, err := bson.Marshal(d)
	if err != nil {
		return nil, err
	}
	return raw, nil
}

func (d document) entry() Entry {
	e := Entry{
		ID:      d.ID,
		Box:     events.Box{ID: boxOf(d.ID), Contest: d.Contest, Channel: d.Channel, Votes: make([]events.Vote, len(d.Votes))},
		Attempt: d.Attempt,
		States:  make([]events.State, len(d.Votes)),
	}
	for i, v := range d.Votes {
		e.Box.Votes[i] = v.vote()
		e.States[i] = v.State
	}
	return e
}

func (v vote) vote() events.Vote {
	out := events.Vote{
		ID: v.ID, Name: v.Name, Album: v.Album, Year: v.Year, Rank: v.Rank, VoterKey: v.Voter,
		At: v.At.UTC(), Index: int(v.Index), Reason: v.Reason, Field: v.Field,
	}
	if v.CastAt != nil {
		out.CastAt = v.CastAt.UTC()
	}
	return out
}

// boxOf cuts the stage's outcome off an event's id.
func boxOf(eventID string) string {
	box, _, _ := strings.Cut(eventID, "/")
	return box
}
