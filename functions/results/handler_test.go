package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"marimba/events"
	"marimba/functions/internal/board"
	"marimba/functions/internal/counts"
	"marimba/functions/internal/journal"
)

// get asks for a path, with headers "Name: value".
func (h *house) get(t *testing.T, path string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	return h.ask(t, http.MethodGet, path, headers...)
}

func (h *house) ask(t *testing.T, method, path string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	return h.serve(httptest.NewRequestWithContext(t.Context(), method, path, nil), headers...)
}

// post posts JSON.
func (h *house) post(t *testing.T, path, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	return h.serve(req, headers...)
}

func (h *house) serve(req *http.Request, headers ...string) *httptest.ResponseRecorder {
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		req.Header.Set(name, value)
	}
	answer := httptest.NewRecorder()
	h.routes().ServeHTTP(answer, req)
	return answer
}

// read decodes an answer of 200.
func read[T any](t *testing.T, answer *httptest.ResponseRecorder) T {
	t.Helper()
	var v T
	if answer.Code != http.StatusOK {
		t.Fatalf("answer is %d %s", answer.Code, answer.Body)
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &v); err != nil {
		t.Fatalf("%v in %s", err, answer.Body)
	}
	return v
}

// refused checks that an answer is a problem with a code.
func refused(t *testing.T, answer *httptest.ResponseRecorder, status int, code events.Code) {
	t.Helper()
	var p struct{ Code events.Code }
	if answer.Code != status || answer.Header().Get("Content-Type") != "application/problem+json" ||
		json.Unmarshal(answer.Body.Bytes(), &p) != nil || p.Code != code {
		t.Errorf("answer is %d %s %s, want %d %s", answer.Code, answer.Header().Get("Content-Type"), answer.Body, status, code)
	}
	if got := answer.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("a refusal may be kept: %q", got)
	}
}

const bearer = "Authorization: Bearer " + string(token)

// What cannot be answered has its status and its code.
func TestRefusals(t *testing.T) {
	tests := []struct {
		path   string
		status int
		code   events.Code
	}{
		{"/nowhere", 404, events.RouteUnknown},
		{"/v1/contests/rock/nothing", 404, events.RouteUnknown},
		{"/assets/nothing.js", 404, events.RouteUnknown},
		{"/assets/..%2fopenapi.yaml", 404, events.RouteUnknown},
		{"/v1/contests/nowhere", 404, events.ContestUnknown},
		{"/v1/contests/nowhere/board", 404, events.ContestUnknown},
		{"/v1/contests/nowhere/stream", 404, events.ContestUnknown},
		{"/v1/contests/nowhere/history", 404, events.ContestUnknown},
		{"/v1/contests/nowhere/balance", 404, events.ContestUnknown},
		{"/v1/contests/nowhere/statement", 404, events.ContestUnknown},
		{"/v1/contests/rock/statement", 404, events.NotFinal},
		{"/v1/contests/nowhere/votes/a", 404, events.ContestUnknown},
		{"/logs?contest=nowhere", 404, events.ContestUnknown},
		{"/v1/contests/rock/board?limit=0", 400, events.ParameterMalformed},
		{"/v1/contests/rock/board?limit=5001", 400, events.ParameterMalformed},
		{"/v1/contests/rock/board?limit=1&limit=2", 400, events.ParameterMalformed},
		{"/v1/contests/rock/board?limit=%zz", 400, events.ParameterMalformed},
		{"/v1/contests/rock/history?step=hour", 400, events.ParameterMalformed},
		{"/v1/contests/rock/history?from=yesterday", 400, events.ParameterMalformed},
		{"/v1/contests/rock/history?step=second&from=2026-11-24T08:59:59Z&to=2026-11-24T12:00:00Z", 400, events.ParameterMalformed},
		{"/v1/contests/rock/history?from=2026-11-24T12:00:00Z&to=2026-11-24T12:00:00Z", 400, events.ParameterMalformed},
		{"/logs?limit=1001", 400, events.ParameterMalformed},
		{"/logs?limit=-1", 400, events.ParameterMalformed},
		{"/logs?limit=99999999999999999999", 400, events.ParameterMalformed},
		{"/logs?state=dead", 400, events.ParameterMalformed},
		{"/logs?channel=fax", 400, events.ParameterMalformed},
		{"/logs?format=xml", 400, events.ParameterMalformed},
		{"/logs?band=%00", 400, events.ParameterMalformed},
		{"/logs?band=" + strings.Repeat("x", 121), 400, events.ParameterMalformed},
		{"/logs?from=2026-11-24T12:00:00Z&to=2026-11-24T11:00:00Z", 400, events.ParameterMalformed},
		{"/logs/stream?contest=nowhere", 404, events.ContestUnknown},
		{"/logs/stream?contest=rock&contest=rock", 400, events.ParameterMalformed},
		{"/v1/dead/replay", 404, events.RouteUnknown},
		{"/logs?after=nothing", 400, events.ParameterMalformed},
		{"/logs?format=csv", 401, events.TokenRequired},
		{"/logs?format=ndjson&contest=rock", 401, events.TokenRequired},
		{"/v1/dead", 401, events.TokenRequired},
		{"/v1/contests/rock/votes/a?voter_key=00", 401, events.TokenRequired},
		{"/v1/contests/rock/votes/a?voter_key=zz", 400, events.ParameterMalformed},
		{"/v1/contests/rock/votes/a", 404, events.VoteUnknown},
		{"/v1/contests/rock/votes/a%20b", 404, events.VoteUnknown},
		{"/v1/receipts/a", 404, events.VoteUnknown},
		{"/v1/receipts/a.-1", 404, events.VoteUnknown},
		{"/v1/receipts/a.01", 404, events.VoteUnknown},
		{"/v1/receipts/a.500", 404, events.VoteUnknown},
		{"/v1/receipts/a.0", 404, events.VoteUnknown},
	}
	h := newHouse(t.Context())
	for _, test := range tests {
		t.Run(test.path, func(t *testing.T) {
			refused(t, h.get(t, test.path), test.status, test.code)
		})
	}
	answer := h.ask(t, http.MethodPost, "/v1/contests")
	refused(t, answer, 405, events.MethodNotAllowed)
	if got := answer.Header().Get("Allow"); got != "GET, HEAD" {
		t.Errorf("Allow is %q", got)
	}
}

// While Redis or MongoDB is away, what needs it is answered 503 with a time to
// come back, and all else as ever.
func TestAway(t *testing.T) {
	h := newHouse(t.Context())
	h.redis.away, h.mongo.away, h.kafka.away = errAway, errAway, errAway
	for _, path := range []string{
		"/v1/contests/rock/board", "/v1/contests/rock/history", "/v1/contests/rock/history?step=second", "/v1/contests/rock/balance",
		"/v1/contests/rock/statement", "/v1/contests/rock/votes/a", "/v1/receipts/a.0", "/v1/dead", "/v1/flight", "/logs", "/logs?after=", "/logs?format=csv", "/logs?format=ndjson&limit=5",
	} {
		headers := []string{}
		if path == "/v1/dead" || path == "/logs?format=csv" {
			headers = append(headers, bearer)
		}
		answer := h.get(t, path, headers...)
		refused(t, answer, 503, events.Unavailable)
		if answer.Header().Get("Retry-After") == "" || answer.Header().Get("Content-Disposition") != "" {
			t.Errorf("%s: headers are %v", path, answer.Header())
		}
	}
	for _, path := range []string{"/", "/v1/contests", "/v1/contests/rock", "/openapi.yaml"} {
		if answer := h.get(t, path); answer.Code != 200 {
			t.Errorf("%s is %d", path, answer.Code)
		}
	}
	h.redis.away = nil
	refused(t, h.get(t, "/v1/contests/rock/balance"), 503, events.Unavailable)
}

// The token opens; a wrong one is refused even where none is needed; without a
// token set nobody has it.
func TestAccess(t *testing.T) {
	h := newHouse(t.Context())
	for header, status := range map[string]int{
		bearer:                                   200,
		"Authorization: bearer " + string(token): 200,
		"Authorization: Bearer open":             401,
		"Authorization: Bearer ":                 401,
		"Authorization: Basic " + string(token):  401,
		"Accept: */*":                            401,
	} {
		answer := h.get(t, "/v1/dead", header)
		if answer.Code != status {
			t.Errorf("with %q the answer is %d, want %d", header, answer.Code, status)
		}
		if status == 401 && answer.Header().Get("WWW-Authenticate") == "" {
			t.Errorf("%q: no WWW-Authenticate", header)
		}
	}
	refused(t, h.get(t, "/logs", "Authorization: Bearer wrong"), 401, events.TokenRequired)
	h.access = newAccess("")
	for _, header := range []string{"Authorization: Bearer ", "Authorization: Bearer x", "Accept: */*"} {
		refused(t, h.get(t, "/v1/dead", header), 401, events.TokenRequired)
	}
}

// What is public may be read by every page; what was opened with the token may
// not be kept or read by others.
func TestSharing(t *testing.T) {
	h := newHouse(t.Context())
	answer := h.get(t, "/logs")
	if answer.Header().Get("Access-Control-Allow-Origin") != "*" || answer.Header().Get("Cache-Control") != forAMoment {
		t.Errorf("headers are %v", answer.Header())
	}
	answer = h.get(t, "/logs", bearer)
	if answer.Header().Get("Access-Control-Allow-Origin") != "" || answer.Header().Get("Cache-Control") != forNobody {
		t.Errorf("headers are %v", answer.Header())
	}
}

// The contests, and what the organiser decided.
func TestContests(t *testing.T) {
	h := newHouse(t.Context())
	list := read[struct{ Contests []contestLine }](t, h.get(t, "/v1/contests"))
	if len(list.Contests) != 2 || list.Contests[0].ID != "default" || list.Contests[1].Title["en"] != "Rock" || list.Contests[1].Phase != events.Open || !list.Contests[1].Provisional {
		t.Errorf("contests are %+v", list)
	}
	for at, phase := range map[time.Time]events.Phase{
		noon.Add(-time.Hour - 1): events.Draft, noon.Add(-time.Hour): events.Open,
		noon.Add(time.Hour - 1): events.Open, noon.Add(time.Hour): events.Closed,
	} {
		h.now = func() time.Time { return at }
		if c := read[contestLine](t, h.get(t, "/v1/contests/rock")); c.Phase != phase {
			t.Errorf("at %v the phase is %s, want %s", at, c.Phase, phase)
		}
	}
	h.now = func() time.Time { return noon }
	answer := h.get(t, "/v1/contests/rock")
	golden(t, "contest.json", answer.Body.Bytes())
}

// The board comes with a tag that changes with what it shows, not with time, and
// is computed once for each change.
func TestBoardIsComputedOnceAChange(t *testing.T) {
	h := newHouse(t.Context())
	h.redis.vote("Trébol", 3)
	first := h.get(t, "/v1/contests/rock/board")
	b := read[struct {
		Totals board.Totals
		Bands  []struct{ Name string }
	}](t, first)
	if b.Totals.Votes != 3 || b.Bands[0].Name != "Trébol" {
		t.Errorf("board is %s", first.Body)
	}
	tag := first.Header().Get("ETag")
	h.now = func() time.Time { return noon.Add(time.Second) }
	again := h.get(t, "/v1/contests/rock/board", "If-None-Match: \"other\", "+tag)
	if again.Code != http.StatusNotModified || again.Body.Len() > 0 || h.redis.tallied != 1 {
		t.Errorf("the second answer is %d, the tally was read %d times", again.Code, h.redis.tallied)
	}
	h.redis.vote("Trébol", 1)
	changed := h.get(t, "/v1/contests/rock/board", "If-None-Match: "+tag)
	if changed.Code != 200 || changed.Header().Get("ETag") == tag || h.redis.tallied != 2 {
		t.Errorf("after a change the answer is %d with tag %s", changed.Code, changed.Header().Get("ETag"))
	}
	// Counts that were made anew may have the version of the old ones.
	h.redis.vote("Otra", 5)
	h.redis.version--
	h.now = func() time.Time { return noon.Add(time.Second + staleAfter) }
	if h.get(t, "/v1/contests/rock/board"); h.redis.tallied != 3 {
		t.Errorf("counts that were made anew are not seen: the tally was read %d times", h.redis.tallied)
	}
}

// A board lists as many bands as are asked for; the totals are of all.
func TestBoardLimit(t *testing.T) {
	h := newHouse(t.Context())
	for i := range 5 {
		h.redis.vote(fmt.Sprint("Banda ", i), int64(i+1))
	}
	b := read[struct {
		Totals board.Totals
		Bands  []struct{ Name string }
	}](t, h.get(t, "/v1/contests/default/board?limit=2"))
	if len(b.Bands) != 2 || b.Bands[0].Name != "Banda 4" || b.Totals.Bands != 5 || b.Totals.Votes != 15 {
		t.Errorf("board is %+v", b)
	}
}

// HEAD has the headers of GET.
func TestHead(t *testing.T) {
	h := newHouse(t.Context())
	if answer := h.ask(t, http.MethodHead, "/v1/contests/rock/board"); answer.Code != 200 || answer.Header().Get("ETag") == "" {
		t.Errorf("answer is %d %v", answer.Code, answer.Header())
	}
}

// History by second has all states; by minute the counted votes of the leading
// bands by the board's spelling, and the sum of the others.
func TestHistory(t *testing.T) {
	h := newHouse(t.Context())
	h.redis.vote("Trébol", 1)
	h.redis.seconds = []counts.Second{
		{At: noon.Add(-6 * time.Minute), Votes: map[events.State]int64{events.Counted: 9}},
		{At: noon.Add(-time.Second), Votes: map[events.State]int64{events.Counted: 3, events.Refused: 1}},
	}
	few := map[string]int64{"trebol": 7}
	for i := range historyBands + 5 {
		few[fmt.Sprintf("Banda %02d", i)] = 2
	}
	h.redis.minutes = []counts.Minute{{At: noon.Add(-time.Minute), Bands: few}}

	seconds := read[struct{ Points []secondPoint }](t, h.get(t, "/v1/contests/rock/history?step=second"))
	if len(seconds.Points) != 1 || seconds.Points[0].Votes != 4 || seconds.Points[0].State[events.Refused] != 1 {
		t.Errorf("seconds are %+v", seconds)
	}
	minutes := read[struct{ Points []minutePoint }](t, h.get(t, "/v1/contests/rock/history"))
	m := minutes.Points[0]
	if m.Votes != 7+2*(historyBands+5) || m.Bands["Trébol"] != 7 || len(m.Bands) != historyBands || m.Others != 2*6 {
		t.Errorf("minutes are %+v", minutes)
	}
	whole := read[historyAnswer](t, h.get(t, "/v1/contests/rock/history?step=second&from=2026-11-24T11:50:00Z&to=2026-11-24T05:56:00-06:00"))
	if points := whole.Points.([]any); len(points) != 1 || whole.To != noon.Add(-4*time.Minute) {
		t.Errorf("history is %+v", whole)
	}
}

// The books have every state and channel, dead votes out of the journal among
// them, and their sum. The journal is not asked again at once.
func TestBalance(t *testing.T) {
	h := newHouse(t.Context())
	h.redis.figures = counts.Figures{
		Votes: map[events.Channel]map[events.State]int64{
			events.ByHTTP: {events.Counted: 10, events.Refused: 2}, events.ByGRPC: {events.Counted: 5, events.Duplicate: 1, events.OverLimit: 1},
		},
		Reasons:  map[events.Code]int64{events.BandUnknown: 2},
		Replaced: 3,
	}
	h.redis.pending = map[events.State]int64{events.Counted: 4}
	h.mongo.dead = []journal.DeadLetter{
		{Contest: "rock", Channel: events.ByHTTP, Votes: 6, State: journal.Shelved},
		{Contest: "default", Channel: events.ByHTTP, Votes: 60, State: journal.Shelved},
	}
	b := read[balance](t, h.get(t, "/v1/contests/rock/balance"))
	want := map[events.State]int64{events.Annulled: 0, events.Counted: 15, events.Duplicate: 1, events.OverLimit: 1, events.Refused: 2, events.Dead: 6}
	if fmt.Sprint(b.States) != fmt.Sprint(want) || b.Final != 25 || b.Channel[events.ByHTTP][events.Dead] != 6 || len(b.Channel) != 4 ||
		b.Refused[events.BandUnknown] != 2 || b.Replaced != 3 || b.Pending[events.Counted] != 4 {
		t.Errorf("balance is %+v", b)
	}
	h.get(t, "/v1/contests/rock/balance")
	if h.mongo.deads != 1 {
		t.Errorf("the journal was asked %d times", h.mongo.deads)
	}
	h.now = func() time.Time { return noon.Add(deadFor) }
	h.get(t, "/v1/contests/rock/balance")
	if h.mongo.deads != 2 {
		t.Errorf("the journal was asked %d times", h.mongo.deads)
	}
}

// A dead letter is listed without its event.
func TestDead(t *testing.T) {
	h := newHouse(t.Context())
	for i := range 3 {
		h.mongo.dead = append(h.mongo.dead, journal.DeadLetter{
			ID: fmt.Sprint(i), Contest: "rock", Votes: 2, Cause: "status", State: journal.Shelved, At: noon, Event: []byte(`{"secret":1}`),
		})
	}
	h.mongo.dead = append(h.mongo.dead, journal.DeadLetter{ID: "again", Contest: "rock", State: journal.Replayed})
	answer := h.get(t, "/v1/dead?contest=rock&limit=2", bearer)
	list := read[struct {
		Letters []deadLetter
		More    bool
	}](t, answer)
	if len(list.Letters) != 2 || !list.More || list.Letters[0].Cause != "status" || strings.Contains(answer.Body.String(), "secret") {
		t.Errorf("letters are %s", answer.Body)
	}
	list = read[struct {
		Letters []deadLetter
		More    bool
	}](t, h.get(t, "/v1/dead?state=replayed", bearer))
	if len(list.Letters) != 1 || list.More || list.Letters[0].ID != "again" {
		t.Errorf("letters are %+v", list)
	}
}

// A request that is not answered in time is told so, whatever it waits for.
func TestBoardWaitsNoLongerThanItsReader(t *testing.T) {
	h := newHouse(t.Context())
	kept := h.boards.keptOf("rock")
	kept.turn <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := h.boards.of(ctx, "rock"); err == nil {
		t.Error("a board is given to nobody")
	}
	<-kept.turn
}
