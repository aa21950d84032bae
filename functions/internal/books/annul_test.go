package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"marimba/events"
	"marimba/functions/internal/annul"
	"marimba/functions/internal/journal"
)

// acts keeps a contest's book in memory, and lets somebody come first.
type acts struct {
	kept  map[int]journal.Ruling
	first func() // called once, before the next act is kept
}

func (a *acts) Ruling(_ context.Context, contest string, number int) (journal.Ruling, bool, error) {
	r, ok := a.kept[number]
	return r, ok && r.Contest == contest, nil
}

func (a *acts) Rule(_ context.Context, r journal.Ruling) error {
	if first := a.first; first != nil {
		a.first = nil
		first()
	}
	if _, ok := a.kept[r.Number]; ok {
		return journal.ErrRuled
	}
	if a.kept == nil {
		a.kept = make(map[int]journal.Ruling)
	}
	a.kept[r.Number] = r
	return nil
}

// shelfWithActs is a log that rulings are about.
type shelfWithActs struct {
	*closedShelf
	*acts
}

// ruling is one on a stage whose votes have all been handled, at a time after the
// closing.
func (s *stage) ruling(a *acts, after time.Duration) ruling {
	now := func() time.Time { return closes.Add(after) }
	at := *s.closing()
	at.wait, at.now = false, now
	return ruling{contest: finale, journal: shelfWithActs{s.log, a}, at: at, now: now}
}

func actOf(kind annul.Kind, of int, by string) annul.Act {
	a := annul.Act{Contest: finale.ID, Kind: kind, Case: of, By: by, Reason: "bots"}
	if kind == annul.Propose {
		a.Filter = &annul.Filter{Channel: events.ByHTTP}
	}
	return a
}

func (s *stage) rule(r ruling, acts ...annul.Act) annulled {
	s.t.Helper()
	var done annulled
	for _, a := range acts {
		var err error
		if done, err = r.add(s.t.Context(), a); err != nil {
			s.t.Fatalf("%s by %s: %v", a.Kind, a.By, err)
		}
	}
	return done
}

// Votes are annulled and come back with the boards that go with it; what they
// amount to is reckoned from the log each time.
func TestAnnulAndRevoke(t *testing.T) {
	s := newStage(t)
	s.end(box("b1", events.ByHTTP, time.Minute, "Trébol", "Trébol"), events.Counted, events.Counted)
	s.end(box("b2", events.ByGRPC, time.Minute, "Alux Nahual"), events.Counted)
	s.end(because(box("b3", events.ByHTTP, time.Minute, "Nadie"), events.BandUnknown), events.Refused)
	r := s.ruling(&acts{}, time.Hour)

	proposed := s.rule(r, actOf(annul.Propose, 0, "Ana"), actOf(annul.Approve, 1, "Eva"))
	if proposed.Votes != 0 || len(proposed.InForce) != 0 || proposed.Cases[0].Votes != 2 || proposed.Cases[0].State != annul.Proposed {
		t.Errorf("proposed: %+v", proposed)
	}
	ruled := s.rule(r, actOf(annul.Approve, 1, "Luis"))
	effect := ruled.Act.Effect
	if ruled.Votes != 2 || ruled.Channels[events.ByHTTP] != 2 || effect.Old.Bands[0].Name != "Trébol" || effect.New.Bands[0].Name != "Alux Nahual" || effect.New.Totals.Votes != 1 {
		t.Errorf("ruled: %+v", effect)
	}
	again := s.rule(r, actOf(annul.Propose, 0, "Ana"), actOf(annul.Approve, 4, "Eva"), actOf(annul.Approve, 4, "Luis"))
	if again.Votes != 2 || again.Act.Effect.New.Totals.Votes != 1 {
		t.Errorf("annulled twice: %d votes, board of %d", again.Votes, again.Act.Effect.New.Totals.Votes)
	}
	one := s.rule(r, actOf(annul.Revoke, 1, "Eva"), actOf(annul.Approve, 1, "Ana"), actOf(annul.Approve, 1, "Luis"))
	if one.Votes != 2 || len(one.InForce) != 1 || one.InForce[0] != 4 {
		t.Errorf("one of two revoked: %+v", one)
	}
	none := s.rule(r, actOf(annul.Revoke, 4, "Eva"), actOf(annul.Approve, 4, "Ana"), actOf(annul.Approve, 4, "Luis"))
	if none.Votes != 0 || none.Act.Effect.New.Totals.Votes != 3 || none.Act.Effect.Old.Totals.Votes != 1 {
		t.Errorf("both revoked: %+v", none.Act.Effect)
	}
	s.end(box("b4", events.ByHTTP, time.Minute, "Trébol"), events.Counted)
	if more := s.rule(r, actOf(annul.Reckon, 0, "Ana")); more.Votes != 0 || more.Act.Effect.New.Totals.Votes != 4 {
		t.Errorf("reckoned again: %+v", more.Act.Effect)
	}
}

// Of two who approve at the same moment the second is looked at again: what was
// allowed before may not be any more.
func TestAnnulLooksAgainWhenAnotherCameFirst(t *testing.T) {
	s := newStage(t)
	s.end(box("b1", events.ByHTTP, time.Minute, "Trébol"), events.Counted)
	a := &acts{}
	r := s.ruling(a, time.Hour)
	s.rule(r, actOf(annul.Propose, 0, "Ana"))
	a.first = func() { s.rule(r, actOf(annul.Approve, 1, "Luis")) }
	if done := s.rule(r, actOf(annul.Approve, 1, "Eva")); done.Votes != 1 || done.Act.Number != 3 {
		t.Errorf("the second approval: %+v", done)
	}
	s.rule(r, actOf(annul.Propose, 0, "Ana"))
	a.first = func() { s.rule(r, actOf(annul.Approve, 4, "Eva")) }
	if _, err := r.add(t.Context(), actOf(annul.Approve, 4, "Eva")); !errors.Is(err, annul.ErrAct) {
		t.Errorf("one person approved twice: %v", err)
	}
}

// Only votes that are a fixed set are annulled: not of a contest that is open, not
// before the last vote can have come in, not while any is on its way or may come
// back from the dead. What is final is fixed.
func TestAnnulOnlyWhatIsFixed(t *testing.T) {
	s := newStage(t)
	b := box("b1", events.ByHTTP, time.Minute, "Trébol")
	propose := actOf(annul.Propose, 0, "Ana")
	refused := func(say string, after time.Duration, want string) {
		t.Helper()
		if _, err := s.ruling(&acts{}, after).add(t.Context(), propose); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", say, err)
		}
	}
	refused("open", -time.Minute, "is open")
	refused("just closed", time.Second, "may still come in")
	s.put(events.VotesCast, 0, castOf(b))
	refused("on its way", time.Hour, "not all counted")
	s.all()
	s.log.bury(t, castOf(b), b)
	refused("dead", time.Hour, "are dead")
	if _, err := s.log.Declare(t.Context(), finale.ID, closes, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	s.rule(s.ruling(&acts{}, time.Hour), propose)
}

// What is asked of the command is read whole, or refused.
func TestReadAct(t *testing.T) {
	a, list, err := readAct("propose", []string{"-by=Ana", "-reason=bots", "-channel=http", "-from=2026-11-24T06:00:00-06:00", "rock"})
	if err != nil || list || a.Contest != "rock" || a.Filter.Channel != events.ByHTTP || !a.Filter.From.Equal(closes) || a.By != "Ana" || a.Reason != "bots" {
		t.Errorf("got %+v, %v, %v", a, list, err)
	}
	if a, _, err := readAct("approve", []string{"-by=Eva", "rock", "1"}); err != nil || a.Case != 1 || a.Kind != annul.Approve || a.Filter != nil {
		t.Errorf("got %+v, %v", a, err)
	}
	if _, list, err := readAct("list", []string{"rock"}); err != nil || !list {
		t.Errorf("got %v, %v", list, err)
	}
	for _, args := range [][]string{
		{"burn", "rock"}, {"propose"}, {"propose", "rock", "1"}, {"approve", "rock"}, {"approve", "rock", "one"},
		{"propose", "-from=noon", "rock"}, {"revoke", "-band=Trébol", "rock", "1"}, {"list", "-what", "rock"},
	} {
		if _, _, err := readAct(args[0], args[1:]); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
}
