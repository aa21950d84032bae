package main

import (
	"errors"
	"testing"

	"marimba/events"
	"marimba/events/rules/rulestest"
	"marimba/functions/internal/stage"
)

// A contest's own rule decides here, too: what it refuses is in the refused box,
// with the reason that the log keeps.
func TestOwnRuleDecides(t *testing.T) {
	contest := rock
	contest.OpenRoster, contest.Rules = true, rulestest.Example(t)
	o := new(outbox)
	s := newScreen(roll{contest}, o)
	live := good()
	live.Album = "Paquetecuetes (En Vivo)"
	in := cast("rock", good(), live)
	if err := s.handle(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if len(o.sent) != 1 || len(o.sent[0]) != 2 {
		t.Fatalf("sent are %v", o.sent)
	}
	accepted := box(t, o.sent[0][0], events.TypeAccepted, in)
	refused := box(t, o.sent[0][1], events.TypeRefused, in)
	if len(accepted.Votes) != 1 || accepted.Votes[0].Index != 0 {
		t.Errorf("accepted are %+v", accepted.Votes)
	}
	if v := refused.Votes; len(v) != 1 || v[0].Index != 1 || v[0].Reason != events.RuleBroken || v[0].Field != "album" {
		t.Errorf("refused are %+v", v)
	}
}

// changeable is a roll whose contest changes.
type changeable struct{ contest events.Contest }

func (c *changeable) Contest(id string) (events.Contest, bool) { return c.contest, id == c.contest.ID }

// While a contest's own rules break, its boxes are neither accepted nor refused
// nor poison: they come again, and are judged when the rules are mended. Other
// contests go on.
func TestBrokenRulesLoseNothing(t *testing.T) {
	contests := &changeable{rock}
	contests.contest.Revision, contests.contest.Rules = "1", rulestest.Broken()
	o := new(outbox)
	s := newScreen(contests, o)
	in := cast("rock", good())
	for range 3 {
		err := s.handle(t.Context(), in)
		var poison *stage.PoisonError
		if err == nil || errors.As(err, &poison) || len(o.sent) > 0 {
			t.Fatalf("error %v, sent are %v", err, o.sent)
		}
	}
	contests.contest.Revision, contests.contest.Rules = "2", rulestest.Example(t)
	if err := s.handle(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if len(o.sent) != 1 || len(box(t, o.sent[0][0], events.TypeAccepted, in).Votes) != 1 {
		t.Errorf("sent are %v", o.sent)
	}
}
