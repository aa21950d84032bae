package main

import (
	"context"
	"errors"
	"iter"
	"slices"
	"testing"

	"marimba/events"
	"marimba/functions/internal/journal"
)

// What the log lacks of what was cast is sent again, each box once and under its
// own id; what it has, and what is dead, is not.
func TestSendMissing(t *testing.T) {
	h, w := newHouse(t), &wire{}
	whole := h.box("free", events.ByHTTP, events.Vote{ID: "v1", Name: "Alux Nahual"}, events.Vote{ID: "v2", Name: "Alux Nahual"})
	h.cast(whole)
	h.carry(whole)
	lost := h.box("free", events.ByGRPC, events.Vote{ID: "v3", Name: "Alux Nahual"})
	h.cast(lost)
	h.cast(lost)
	dead := h.box("free", events.ByGRPC, events.Vote{ID: "v4", Name: "Alux Nahual"})
	h.cast(dead)
	h.bury(events.TypeCast, dead)
	other := h.box("each", events.ByGRPC, events.Vote{ID: "v5", Name: "Alux Nahual"})
	h.cast(other)
	h.topic.add(castRecord{value: []byte("poison"), foreign: errors.New("not a box")})
	boxes, votes, err := sendMissing(t.Context(), h.topic, h.journal, w, "free")
	if err != nil || boxes != 1 || votes != 1 || !slices.Equal(w.ids(), []string{lost.ID}) {
		t.Fatalf("%d boxes, %d votes, %v: %v", boxes, votes, err, w.ids())
	}
	if got, err := events.BoxOf(w.sent[0]); err != nil || got.Contest != "free" || got.Votes[0].ID != lost.Votes[0].ID || w.sent[0].Type() != events.TypeCast {
		t.Errorf("sent %v, %v", w.sent[0], err)
	}
	if boxes, _, err := sendMissing(t.Context(), h.topic, h.journal, &wire{}, ""); err != nil || boxes != 2 {
		t.Errorf("of all contests: %d boxes, %v; want 2", boxes, err)
	}
}

// A Kafka, log or topic that breaks off is an error.
func TestSendMissingBreaksOff(t *testing.T) {
	h := newHouse(t)
	h.cast(h.box("free", events.ByHTTP, events.Vote{ID: "v1", Name: "Alux Nahual"}))
	away := errors.New("away")
	if _, _, err := sendMissing(t.Context(), h.topic, h.journal, &wire{away: away}, ""); !errors.Is(err, away) {
		t.Errorf("Kafka: %v", err)
	}
	if _, _, err := sendMissing(t.Context(), h.topic, brokenLog{h.journal, away}, &wire{}, ""); !errors.Is(err, away) {
		t.Errorf("log: %v", err)
	}
}

type brokenLog struct {
	*journalOf
	err error
}

func (l brokenLog) Entries(context.Context, string) iter.Seq2[journal.Entry, error] {
	return func(yield func(journal.Entry, error) bool) { yield(journal.Entry{}, l.err) }
}
