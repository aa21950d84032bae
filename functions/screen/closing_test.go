package main

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"marimba/config"
	"marimba/events"
)

const finale = `id: finale
title: {es: Final, en: Finale}
open_roster: true
rank_mode: score
rank_max: 10
closes_at: 2020-11-24T12:00:00Z
`

// around are votes just before an instant and at it.
func around(at time.Time) []events.Vote {
	return []events.Vote{
		{Name: "Trébol", Album: "Uno", Year: 1999, Rank: 100, At: at.Add(-time.Millisecond)},
		{Name: "Trébol", Album: "Uno", Year: 1999, Rank: 100, At: at},
	}
}

// followed is a screen whose contests are a folder's, and the folder.
func followed(t *testing.T) (*outbox, *screen, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "finale.yaml")
	if err := config.WriteContest(path, []byte(finale)); err != nil {
		t.Fatal(err)
	}
	contests, err := config.Contests{Dir: filepath.Dir(path)}.Follow(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	o := new(outbox)
	return o, newScreen(contests, o), path
}

// judged returns the names of the events that a box of votes becomes, and the
// reasons of the refused ones.
func judged(t *testing.T, o *outbox, s *screen, votes ...events.Vote) (types []string, why []events.Code) {
	t.Helper()
	if err := s.handle(t.Context(), cast("finale", votes...)); err != nil {
		t.Fatal(err)
	}
	for _, e := range o.sent[len(o.sent)-1] {
		types = append(types, e.Type())
		box, err := events.BoxOf(e)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range box.Votes {
			if v.Reason != "" {
				why = append(why, v.Reason)
			}
		}
	}
	return types, why
}

// However long votes wait to be judged, those that were received before the
// contest closed are admitted, and those received later are not: here they were
// cast years ago, and the contest has been closed ever since.
func TestBacklogIsJudgedByTheTimeOfReceipt(t *testing.T) {
	o, s, _ := followed(t)
	closes := time.Date(2020, 11, 24, 12, 0, 0, 0, time.UTC)
	if !time.Now().After(closes) {
		t.Fatal("the clock is wrong: the contest is not closed")
	}
	types, why := judged(t, o, s, around(closes)...)
	if !reflect.DeepEqual(types, []string{events.TypeAccepted, events.TypeRefused}) || !reflect.DeepEqual(why, []events.Code{events.TooLate}) {
		t.Errorf("events are %v, reasons %v", types, why)
	}
}

// An amendment reaches a screen that is awake. What it says of votes that were
// received before the amendment was made stays the same: a box that comes again
// makes the same events.
func TestAmendmentReachesScreen(t *testing.T) {
	o, s, path := followed(t)
	first, second := time.Date(2020, 11, 24, 12, 0, 0, 0, time.UTC), time.Date(2020, 11, 24, 13, 0, 0, 0, time.UTC)
	made := time.Date(2020, 11, 24, 11, 59, 0, 0, time.UTC)
	early := around(made)
	judged(t, o, s, early...)
	before := o.sent[len(o.sent)-1]

	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	amended, err := config.Amend("finale", text, config.Change{Bound: events.ClosesAt, To: second, By: "Ana", Reason: "Llueve"}, made, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if err := config.WriteContest(path, amended); err != nil {
		t.Fatal(err)
	}
	limit := time.After(30 * time.Second)
	for {
		if _, why := judged(t, o, s, around(first)...); len(why) == 0 {
			break
		}
		select {
		case <-limit:
			t.Fatal("the amendment does not reach screen")
		case <-time.After(10 * time.Millisecond):
		}
	}
	if types, why := judged(t, o, s, around(second)...); len(types) != 2 || !reflect.DeepEqual(why, []events.Code{events.TooLate}) {
		t.Errorf("around the new closing, events are %v, reasons %v", types, why)
	}
	judged(t, o, s, early...)
	if again := o.sent[len(o.sent)-1]; !reflect.DeepEqual(again, before) {
		t.Errorf("a box that comes again makes\n%v, not\n%v", again, before)
	}
}
