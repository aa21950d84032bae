package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"marimba/events"
	"marimba/functions/internal/annul"
	"marimba/functions/internal/counts"
)

// annulIn makes acts in the book of rock, as books does. The log of the twin is what
// effects are reckoned from.
func (h *house) annulIn(t *testing.T, acts ...annul.Act) {
	t.Helper()
	c, _ := h.contests.Contest("rock")
	book, err := annul.Read(t.Context(), h.mongo, c.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range acts {
		old, err := book.Clone()
		if err != nil {
			t.Fatal(err)
		}
		a.Contest, a.Number, a.At = c.ID, len(book.Acts)+1, noon.Add(2*time.Hour)
		changes, err := book.Add(a)
		if err != nil {
			t.Fatal(err)
		}
		if changes {
			reckoning := annul.NewReckoning(c, old, book)
			for _, row := range h.mongo.rows {
				box := events.Box{ID: row.Receipt, Contest: c.ID, Channel: row.Channel, Votes: []events.Vote{row.Vote}}
				if err := reckoning.Add(counts.Entry{ID: row.Receipt, Box: box}, []events.State{row.State}); err != nil {
					t.Fatal(err)
				}
			}
			effect, err := reckoning.Effect(a.At)
			if err != nil {
				t.Fatal(err)
			}
			book.Acts[len(book.Acts)-1].Effect, book.Effect = effect, effect
		}
		if err := book.Keep(t.Context(), h.mongo); err != nil {
			t.Fatal(err)
		}
	}
}

func annulAct(kind annul.Kind, of int, by string, f *annul.Filter) annul.Act {
	return annul.Act{Kind: kind, Case: of, By: by, Reason: "bots", Filter: f}
}

// inForce annuls what a filter chooses, as the first case.
func (h *house) inForce(t *testing.T, f annul.Filter) {
	t.Helper()
	h.annulIn(t, annulAct(annul.Propose, 0, "Ana", &f), annulAct(annul.Approve, 1, "Eva", nil), annulAct(annul.Approve, 1, "Luis", nil))
}

// closedHouse has three counted votes and one refused in rock, which has closed. The
// clock goes on with each look, so that what is kept for a moment is asked for anew.
func closedHouse(t *testing.T) *house {
	t.Helper()
	h := newHouse(t.Context())
	at := noon.Add(3 * time.Hour)
	h.now = func() time.Time { at = at.Add(2 * time.Second); return at }
	for i, channel := range []events.Channel{events.ByHTTP, events.ByHTTP, events.ByGRPC} {
		row := rowAt(events.Receipt("r", i))
		row.Channel, row.State = channel, events.Counted
		row.Vote.Name, row.Vote.Album, row.Vote.Rank, row.Vote.At = []string{"Trébol", "Trébol", "Otra"}[i], "Uno", 100, noon
		h.mongo.rows = append(h.mongo.rows, row)
		h.redis.vote(row.Vote.Name, 1)
		h.redis.newest = append(h.redis.newest, counts.Recent{Receipt: row.Receipt, Contest: "rock", Channel: channel, State: events.Counted, Vote: row.Vote})
	}
	refused := rowAt("r.3")
	refused.Channel, refused.State, refused.Vote.Reason = events.ByHTTP, events.Refused, events.BandUnknown
	h.mongo.rows = append(h.mongo.rows, refused)
	h.redis.figures = counts.Figures{
		Votes:   map[events.Channel]map[events.State]int64{events.ByHTTP: {events.Counted: 2, events.Refused: 1}, events.ByGRPC: {events.Counted: 1}},
		Reasons: map[events.Code]int64{events.BandUnknown: 1},
	}
	h.redis.pending = map[events.State]int64{}
	return h
}

type annulledBoard struct {
	Annulled int64
	Totals   struct{ Votes int64 }
	Bands    []struct {
		Name  string
		Votes int64
	}
}

// What is annulled is off the board, of a contest that has closed as of one that is
// final, and comes back when it is revoked; the statement stays as it was written.
func TestAnnulledVotesAreOffTheBoard(t *testing.T) {
	h := closedHouse(t)
	look := func(say string, annulled, votes int64, first string) {
		t.Helper()
		b := read[annulledBoard](t, h.get(t, "/v1/contests/rock/board"))
		if b.Annulled != annulled || b.Totals.Votes != votes || b.Bands[0].Name != first {
			t.Errorf("%s: %+v", say, b)
		}
	}
	look("before", 0, 3, "Trébol")
	h.annulIn(t, annulAct(annul.Propose, 0, "Ana", &annul.Filter{Channel: events.ByHTTP}), annulAct(annul.Approve, 1, "Eva", nil))
	look("proposed", 0, 3, "Trébol")
	h.annulIn(t, annulAct(annul.Approve, 1, "Luis", nil))
	look("in force", 2, 1, "Otra")
	h.mongo.state("rock", declared(t))
	look("in force and final", 2, 1, "Otra")
	if got := h.get(t, "/v1/contests/rock/statement"); !strings.Contains(got.Body.String(), declared(t)) {
		t.Error("the statement is another one")
	}
	stated := read[struct{ Statement struct{ Board annulledBoard } }](t, h.get(t, "/v1/contests/rock/statement")).Statement.Board
	h.annulIn(t, annulAct(annul.Revoke, 1, "Eva", nil), annulAct(annul.Approve, 1, "Ana", nil), annulAct(annul.Approve, 1, "Luis", nil))
	look("revoked and final", 0, stated.Totals.Votes, stated.Bands[0].Name)
}

// In the balance annulled votes are a state of their own, and the sum is as before.
func TestAnnulledVotesAreInTheBalance(t *testing.T) {
	h := closedHouse(t)
	type sheet struct {
		Final    int64
		States   map[events.State]int64
		Channels map[events.Channel]map[events.State]int64
	}
	before := read[sheet](t, h.get(t, "/v1/contests/rock/balance"))
	h.inForce(t, annul.Filter{Channel: events.ByHTTP})
	after := read[sheet](t, h.get(t, "/v1/contests/rock/balance"))
	if before.States[events.Annulled] != 0 || after.Final != before.Final || after.States[events.Counted] != 1 || after.States[events.Annulled] != 2 ||
		after.Channels[events.ByHTTP][events.Annulled] != 2 || after.Channels[events.ByHTTP][events.Counted] != 0 || after.Channels[events.ByGRPC][events.Counted] != 1 {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

// In the log an annulled vote says so, with the case, wherever it is looked at; what
// was not counted is not annulled.
func TestAnnulledVotesAreInTheLog(t *testing.T) {
	h := closedHouse(t)
	h.inForce(t, annul.Filter{Channel: events.ByHTTP})
	type line struct {
		State      events.State
		AnnulledBy int `json:"annulled_by"`
	}
	want := []line{{events.Annulled, 1}, {events.Annulled, 1}, {events.Counted, 0}, {events.Refused, 0}}
	for _, path := range []string{"/logs?after=", "/logs"} {
		rows := read[struct{ Rows []line }](t, h.get(t, path)).Rows
		for i, row := range rows {
			if row != want[i] {
				t.Errorf("%s: row %d is %+v, want %+v", path, i, row, want[i])
			}
		}
		if len(rows) < 3 {
			t.Errorf("%s: %d rows", path, len(rows))
		}
	}
	if export := h.get(t, "/logs?format=ndjson", bearer).Body.String(); strings.Count(export, `"state":"annulled"`) != 2 {
		t.Errorf("exported is %s", export)
	}
	for state, chosen := range map[events.State]int{events.Annulled: 2, events.Counted: 1} {
		if answer := h.get(t, "/logs?after=&state="+string(state)); answer.Code != http.StatusOK {
			t.Fatalf("answer is %d %s", answer.Code, answer.Body)
		}
		n := 0
		for _, row := range h.mongo.rows {
			if row.State == h.mongo.asked.State && h.mongo.asked.Where(row) {
				n++
			}
		}
		if h.mongo.asked.State != events.Counted || n != chosen {
			t.Errorf("%s: the log is asked for %s, of which %d are chosen", state, h.mongo.asked.State, n)
		}
	}
}

// In the history annulled votes are not among the counted ones.
func TestAnnulledVotesAreInTheHistory(t *testing.T) {
	h := closedHouse(t)
	h.redis.seconds = []counts.Second{{At: noon, Votes: map[events.State]int64{events.Counted: 3, events.Refused: 1}}}
	h.redis.minutes = []counts.Minute{{At: noon, Bands: map[string]int64{"Trébol": 2, "Otra": 1}}}
	h.inForce(t, annul.Filter{Channel: events.ByHTTP})
	around := "from=2026-11-24T11:59:00Z&to=2026-11-24T12:02:00Z"
	seconds := read[struct{ Points []secondPoint }](t, h.get(t, "/v1/contests/rock/history?step=second&"+around)).Points
	if len(seconds) != 1 || seconds[0].Votes != 4 || seconds[0].State[events.Counted] != 1 || seconds[0].State[events.Annulled] != 2 {
		t.Errorf("seconds: %+v", seconds)
	}
	minutes := read[struct{ Points []minutePoint }](t, h.get(t, "/v1/contests/rock/history?"+around)).Points
	if len(minutes) != 1 || minutes[0].Votes != 1 || len(minutes[0].Bands) != 1 || minutes[0].Bands["Otra"] != 1 {
		t.Errorf("minutes: %+v", minutes)
	}
}

// The book is public, with names, reasons and boards, as it is described; while
// results are withheld, boards and the bands concerned are too.
func TestAnnulmentsArePublished(t *testing.T) {
	h := closedHouse(t)
	doc := described(t)
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.AssertFormat()
	if err := compiler.AddResource("openapi.json", doc); err != nil {
		t.Fatal(err)
	}
	const path = "/v1/contests/rock/annulments"
	f := annul.Filter{Channel: events.ByHTTP, Band: "Trébol", From: noon, To: noon.Add(time.Minute)}
	h.inForce(t, f)
	h.annulIn(t, annulAct(annul.Revoke, 1, "Eva", nil), annulAct(annul.Approve, 1, "Ana", nil))
	answer := h.get(t, path)
	conforms(t, compiler, doc, "/v1/contests/{contest}/annulments", "get", "200", "application/json", answer)
	sheet := read[annulledSheet](t, answer)
	if sheet.Votes != 2 || len(sheet.Rulings) != 1 || sheet.Rulings[0].Before.Totals.Votes != 3 || sheet.Rulings[0].After.Totals.Votes != 1 ||
		sheet.Cases[0].State != annul.Revoking || sheet.Cases[0].Filter != f || sheet.Cases[0].Approved[1].By != "Luis" {
		t.Errorf("published is %+v", sheet)
	}
	conforms(t, compiler, doc, "/v1/contests/{contest}/board", "get", "200", "application/json", h.get(t, "/v1/contests/rock/board"))
	conforms(t, compiler, doc, "/v1/contests/{contest}/balance", "get", "200", "application/json", h.get(t, "/v1/contests/rock/balance"))
	conforms(t, compiler, doc, "/logs", "get", "200", "application/json", h.get(t, "/logs?after="))

	hidden := twoContests[1]
	hidden.Showing.HiddenUntil = events.Final
	h.contests = roll{twoContests[0], hidden}
	withheld := h.get(t, path)
	conforms(t, compiler, doc, "/v1/contests/{contest}/annulments", "get", "200", "application/json", withheld)
	if text := withheld.Body.String(); strings.Contains(text, "Trébol") || strings.Contains(text, "board_") || !strings.Contains(text, `"withheld":true`) {
		t.Errorf("withheld is %s", text)
	}
	if all := h.get(t, path, bearer).Body.String(); !strings.Contains(all, "board_after") {
		t.Errorf("with the token: %s", all)
	}
}

// While the journal is away what was read last holds; what was never read is not said
// to be nothing.
func TestAnnulmentsWhileTheJournalIsAway(t *testing.T) {
	h := closedHouse(t)
	h.inForce(t, annul.Filter{Channel: events.ByHTTP})
	h.mongo.away = errAway
	if answer := h.get(t, "/v1/contests/rock/annulments"); answer.Code != http.StatusServiceUnavailable {
		t.Errorf("answer is %d %s", answer.Code, answer.Body)
	}
	h.mongo.away = nil
	read[annulledSheet](t, h.get(t, "/v1/contests/rock/annulments"))
	h.mongo.away = errAway
	if b := read[annulledBoard](t, h.get(t, "/v1/contests/rock/board")); b.Totals.Votes != 1 {
		t.Errorf("the board is %+v", b)
	}
}
