package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"marimba/events"
	"marimba/functions/internal/counts"
	"marimba/functions/internal/journal"
)

// secretive is a house whose contest withholds its results, with a vote before
// the freeze and one after it, which leads.
func secretive(t *testing.T, showing events.Showing) *house {
	t.Helper()
	h := newHouse(t.Context())
	rock := twoContests[1]
	rock.Showing = showing
	h.contests = roll{twoContests[0], rock}
	h.boards.contests = h.contests
	h.redis.vote("Trébol", 1)
	h.redis.vote("Otra", 5)
	early, late := rowAt("early.0"), rowAt("late.0")
	early.Vote.At = noon.Add(-time.Minute)
	late.Vote.Name = "Otra"
	h.mongo.rows = []journal.Row{late, early}
	for _, row := range h.mongo.rows {
		h.redis.newest = append(h.redis.newest, counts.Recent{Receipt: row.Receipt, Contest: "rock", State: row.State, Vote: row.Vote})
	}
	h.redis.minutes = []counts.Minute{
		{At: noon.Add(-2 * time.Minute), Bands: map[string]int64{"Trébol": 1}},
		{At: noon.Add(-30 * time.Second), Bands: map[string]int64{"Otra": 5}},
	}
	h.now = func() time.Time { return noon.Add(time.Second) }
	return h
}

var (
	hiddenUntilClosed = events.Showing{HiddenUntil: events.Closed}
	hiddenUntilFinal  = events.Showing{HiddenUntil: events.Final}
	frozenAtNoon      = events.Showing{FrozenFrom: noon}
)

// told are the answers that tell how the bands stand.
var told = []string{
	"/v1/contests/rock/board", "/v1/contests/rock/history", "/tablero/rock", "/logs?contest=rock", "/logs?contest=rock&after=",
	"/logs?contest=rock&format=csv&limit=5", "/v1/receipts/late.0", "/recibo/late.0",
}

// What is withheld is in no public answer, and in each of the admin's.
func TestNothingTellsWhatIsWithheld(t *testing.T) {
	for name, showing := range map[string]events.Showing{"hidden": hiddenUntilClosed, "frozen": frozenAtNoon} {
		h := secretive(t, showing)
		for _, path := range told {
			answer := h.get(t, path)
			if answer.Code != 200 {
				t.Fatalf("%s: %s is %d %s", name, path, answer.Code, answer.Body)
			}
			if strings.Contains(answer.Body.String(), "Otra") {
				t.Errorf("%s: %s tells of the leader:\n%s", name, path, answer.Body)
			}
			if strings.HasPrefix(path, "/v1/contests/rock/board") || strings.HasPrefix(path, "/logs") || strings.HasPrefix(path, "/v1/receipts") {
				if full := h.get(t, path, bearer); !strings.Contains(full.Body.String(), "Otra") || full.Header().Get("Cache-Control") != forNobody {
					t.Errorf("%s: %s keeps from the admin, or for others:\n%s", name, path, full.Body)
				}
			}
		}
		var frame struct{ Withheld, Phase string }
		sent, err := h.feeds.frame(t.Context(), "rock")
		if err != nil || json.Unmarshal(sent.text, &frame) != nil || frame.Withheld != name || strings.Contains(string(sent.text), "Otra") {
			t.Errorf("%s: the live board is %s, %v", name, sent.text, err)
		}
	}
}

// A hidden board says how many votes there are; a frozen one how it stood.
func TestWithheldBoards(t *testing.T) {
	type shown struct {
		Withheld string
		AsOf     time.Time `json:"as_of"`
		Totals   struct{ Votes, Bands int }
		Bands    []struct {
			Name  string
			Votes int
		}
	}
	hidden := read[shown](t, secretive(t, hiddenUntilFinal).get(t, "/v1/contests/rock/board"))
	if hidden.Withheld != "hidden" || hidden.Totals.Votes != 6 || hidden.Totals.Bands != 0 || hidden.Bands == nil || len(hidden.Bands) != 0 {
		t.Errorf("the hidden board is %+v", hidden)
	}
	h := secretive(t, frozenAtNoon)
	h.mongo.rows = h.mongo.rows[1:] // the journal's filter is tested where it is
	frozen := read[shown](t, h.get(t, "/v1/contests/rock/board"))
	if frozen.Withheld != "frozen" || !frozen.AsOf.Equal(noon) || fmt.Sprint(frozen.Bands) != "[{Trébol 1}]" {
		t.Errorf("the frozen board is %+v", frozen)
	}
	if f := h.mongo.asked; f.Contest != "rock" || f.State != events.Counted || !f.To.Equal(noon) {
		t.Errorf("it was made of %+v", f)
	}
	// It is not read again for each who asks, but for votes that were counted late.
	h.mongo.rows = append(h.mongo.rows, h.mongo.rows[0])
	if again := read[shown](t, h.get(t, "/v1/contests/rock/board")); again.Totals.Votes != 1 {
		t.Errorf("it was read again: %+v", again)
	}
	h.now = func() time.Time { return noon.Add(time.Minute) }
	if again := read[shown](t, h.get(t, "/v1/contests/rock/board")); again.Totals.Votes != 2 {
		t.Errorf("it was not read again: %+v", again)
	}
}

// A search by band would tell by what it finds.
func TestSearchTellsNothingWithheld(t *testing.T) {
	h := secretive(t, hiddenUntilClosed)
	refused(t, h.get(t, "/logs?contest=rock&band=Otra"), 401, events.TokenRequired)
	if answer := h.get(t, "/logs?band=Otra"); answer.Code != 200 || fmt.Sprint(h.mongo.asked.Except) != "[rock]" {
		t.Errorf("a search of all contests is %d, and leaves out %v", answer.Code, h.mongo.asked.Except)
	}
	for _, path := range []string{"/logs?contest=default&band=Otra", "/logs?contest=rock&state=counted"} {
		if answer := h.get(t, path); answer.Code != 200 {
			t.Errorf("%s is %d", path, answer.Code)
		}
	}
	h = secretive(t, frozenAtNoon)
	if h.get(t, "/logs?band=Otra"); fmt.Sprint(h.mongo.asked.Except) != "[rock]" {
		t.Errorf("a search of all contests leaves out %v", h.mongo.asked.Except)
	}
	for path, to := range map[string]time.Time{
		"/logs?contest=rock&band=Otra":                         noon,
		"/logs?contest=rock&band=Otra&to=2026-11-24T11:00:00Z": noon.Add(-time.Hour),
		"/logs?contest=rock&band=Otra&to=2026-11-24T13:00:00Z": noon,
	} {
		if answer := h.get(t, path); answer.Code != 200 || !h.mongo.asked.To.Equal(to) {
			t.Errorf("%s is %d, and looked up to %v", path, answer.Code, h.mongo.asked.To)
		}
	}
	h.get(t, "/logs?contest=rock&band=Otra", bearer)
	if !h.mongo.asked.To.IsZero() {
		t.Errorf("the admin is shown up to %v", h.mongo.asked.To)
	}
}

// What is withheld until an end is shown then.
func TestWithheldIsShownInTheEnd(t *testing.T) {
	for name, test := range map[string]struct {
		showing events.Showing
		at      time.Time
		final   bool
		shown   bool
	}{
		"hidden until closed, open":   {hiddenUntilClosed, noon, false, false},
		"hidden until closed, closed": {hiddenUntilClosed, noon.Add(time.Hour), false, true},
		"hidden until final, closed":  {hiddenUntilFinal, noon.Add(time.Hour), false, false},
		"hidden until final, final":   {hiddenUntilFinal, noon.Add(time.Hour), true, true},
		"frozen, before":              {frozenAtNoon, noon.Add(-1), false, true},
		"frozen, closed":              {frozenAtNoon, noon.Add(time.Hour), false, false},
		"frozen, final":               {frozenAtNoon, noon.Add(time.Hour), true, true},
	} {
		h := secretive(t, test.showing)
		h.now = func() time.Time { return test.at }
		if test.final {
			h.mongo.state("rock", declared(t))
		}
		b := read[struct{ Withheld string }](t, h.get(t, "/v1/contests/rock/board"))
		if (b.Withheld == "") != test.shown {
			t.Errorf("%s: withheld is %q", name, b.Withheld)
		}
		if withheld := strings.Contains(h.get(t, "/logs?contest=rock").Body.String(), `"withheld":true`); withheld == test.shown {
			t.Errorf("%s: a row is withheld %v", name, withheld)
		}
	}
}
