package main

import (
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"marimba/events"
)

// declared is a statement as books declares it.
func declared(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../internal/books/testdata/statement.json")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// seen is what a board and a contest say of the phase.
type seen struct {
	Phase       events.Phase
	Provisional bool
	Totals      struct{ Votes int64 }
	Bands       []struct {
		Name  string
		Votes int64
	}
}

// A contest is closed, and its result provisional, until it has a statement; from
// then on it is final, and its board is that of the statement, whatever becomes
// of the counts.
func TestFinal(t *testing.T) {
	h := newHouse(t.Context())
	h.redis.vote("Otra", 7)
	at := noon
	h.now = func() time.Time { return at }
	look := func(phase events.Phase, votes int64) (tag string) {
		t.Helper()
		answer := h.get(t, "/v1/contests/rock/board")
		board := read[seen](t, answer)
		contest := read[seen](t, h.get(t, "/v1/contests/rock"))
		list := read[struct{ Contests []seen }](t, h.get(t, "/v1/contests"))
		for what, of := range map[string]seen{"board": board, "contest": contest, "list": list.Contests[1]} {
			if of.Phase != phase || of.Provisional != (phase != events.Final) {
				t.Errorf("by the %s it is %s, provisional %v; want %s", what, of.Phase, of.Provisional, phase)
			}
		}
		if board.Totals.Votes != votes {
			t.Errorf("the board has %d votes, want %d", board.Totals.Votes, votes)
		}
		return answer.Header().Get("ETag")
	}
	open := look(events.Open, 7)
	if h.mongo.finals != 0 {
		t.Error("the journal is asked for the statement of a contest that is open")
	}
	at = noon.Add(time.Hour)
	if tag := look(events.Closed, 7); tag == open {
		t.Error("the tag of the board does not change when the contest closes")
	}
	h.mongo.state("rock", declared(t))
	look(events.Closed, 7) // the journal was asked this very second
	if h.mongo.finals != 1 {
		t.Errorf("the journal is asked %d times in a second", h.mongo.finals)
	}
	at = at.Add(finalsFor)
	final := look(events.Final, 3)
	h.redis.vote("Otra", 1)
	h.redis.leave(errAway)
	h.mongo.away = errAway
	at = at.Add(time.Hour)
	if tag := look(events.Final, 3); tag != final {
		t.Error("a final board changes")
	}
	if h.mongo.finals != 2 {
		t.Errorf("the journal is asked %d times, also when the contest is final", h.mongo.finals)
	}
	board := read[seen](t, h.get(t, "/v1/contests/rock/board?limit=1"))
	if len(board.Bands) != 1 || board.Bands[0].Name != "Trébol" || board.Bands[0].Votes != 2 {
		t.Errorf("the final board is %+v", board)
	}
}

// A statement is shown as it was declared, byte for byte.
func TestStatement(t *testing.T) {
	h := newHouse(t.Context())
	refused(t, h.get(t, "/v1/contests/rock/statement"), 404, events.NotFinal)
	text := declared(t)
	h.mongo.state("rock", text)
	answer := h.get(t, "/v1/contests/rock/statement")
	if want := `{"sha256":"` + hexOf(text) + `","statement":` + text + "}\n"; answer.Body.String() != want {
		t.Errorf("answer is %d\n%s, want\n%s", answer.Code, answer.Body, want)
	}
	if again := h.get(t, "/v1/contests/rock/statement", "If-None-Match: "+answer.Header().Get("ETag")); again.Code != http.StatusNotModified {
		t.Errorf("known, it is %d", again.Code)
	}
}

// While the journal is away, a contest that may be final is shown as closed, and
// the journal is left alone for a while.
func TestFinalIsNotKnown(t *testing.T) {
	h := newHouse(t.Context())
	at := noon.Add(2 * time.Hour)
	h.now = func() time.Time { return at }
	h.mongo.state("rock", declared(t))
	h.mongo.away = errAway
	for range 3 {
		if c := read[seen](t, h.get(t, "/v1/contests/rock")); c.Phase != events.Closed || !c.Provisional {
			t.Errorf("it is %+v", c)
		}
	}
	if h.mongo.finals != 1 {
		t.Errorf("the journal is asked %d times", h.mongo.finals)
	}
	h.mongo.away = nil
	at = at.Add(finalsRest)
	if c := read[seen](t, h.get(t, "/v1/contests/rock")); c.Phase != events.Final {
		t.Errorf("when it is back it is %+v", c)
	}
	h.mongo.away = errAway // the board of the statement was not read yet
	refused(t, h.get(t, "/v1/contests/rock/board"), 503, events.Unavailable)
	h.mongo.state("rock", "no JSON")
	h.mongo.away = nil
	refused(t, h.get(t, "/v1/contests/rock/board"), 503, events.Unavailable)
}

// Who looks at the live board sees the contest close and become final.
func TestStreamTellsThePhase(t *testing.T) {
	h := quick(t.Context())
	h.redis.vote("Trébol", 1)
	var later atomic.Int64
	h.now = func() time.Time { return noon.Add(time.Duration(later.Load())) }
	l := listen(t, welcome(t, h), "rock", "")
	until := func(phase events.Phase) {
		t.Helper()
		for {
			if b, _ := l.board(t); b.Phase == phase {
				return
			}
		}
	}
	until(events.Open)
	later.Store(int64(time.Hour))
	until(events.Closed)
	h.mongo.state("rock", declared(t))
	later.Store(int64(2 * time.Hour))
	until(events.Final)
}

// A contest whose file has changed is shown as it is now, and one that is new is
// there.
func TestContestsMayChange(t *testing.T) {
	h := newHouse(t.Context())
	changing := append(roll(nil), twoContests...)
	h.results = newResults(t.Context(), &changing, h.redis, h.mongo, h.kafka, &logTwin{}, &h.mended, keys{token, receiptSecret})
	h.now = func() time.Time { return noon }
	h.redis.vote("Trébol", 1)
	h.get(t, "/v1/contests/rock/board")
	changing[1].Revision, changing[1].ClosesAt, changing[1].Bands = "2", noon, append(changing[1].Bands, events.Band{Name: "Nueva"})
	changing = append(changing, events.Contest{ID: "jazz", OpensAt: noon.Add(1), Standing: events.ByVotes, MeanFrom: 1})
	if b := read[seen](t, h.get(t, "/v1/contests/rock/board")); b.Phase != events.Closed || len(b.Bands) != 2 {
		t.Errorf("board is %+v", b)
	}
	if b := read[seen](t, h.get(t, "/v1/contests/jazz/board")); b.Phase != events.Draft {
		t.Errorf("board is %+v", b)
	}
}
