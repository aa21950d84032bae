package main

import (
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"marimba/events"
	"marimba/events/seal"
	"marimba/functions/internal/counts"
	"marimba/functions/internal/journal"
)

// at is a UUID of version 7 of a time.
func idOf(at time.Time) string {
	u := uuid.Must(uuid.NewV7())
	ms := at.UnixMilli()
	for i := range 6 {
		u[i] = byte(ms >> (40 - 8*i))
	}
	return u.String()
}

// rowAt is a row of the log, with what is private.
func rowAt(receipt string) journal.Row {
	return journal.Row{
		Receipt: receipt, Contest: "rock", Channel: events.ByHTTP, State: events.Counted,
		Vote: events.Vote{ID: "private-id", Name: "Trébol", Album: "Uno", Year: 1999, Rank: 950, At: noon, VoterKey: []byte{0xab, 0xcd}},
	}
}

// A receipt tells everybody the state of its vote exactly, and nothing of what it was
// for; who has its secret is told that too, and nothing private without the token.
func TestReceipt(t *testing.T) {
	h := newHouse(t.Context())
	box := idOf(noon)
	dead := rowAt(events.Receipt(box, 8))
	dead.State, dead.Cause = events.Dead, "unreadable"
	no := rowAt(events.Receipt(box, 9))
	no.State, no.Vote.Reason, no.Vote.Field = events.Refused, events.RankOutOfRange, "rank"
	h.mongo.rows = []journal.Row{rowAt(events.Receipt(box, 7)), dead, no}

	for receipt, state := range map[string]events.State{box + ".7": events.Counted, box + ".8": events.Dead, box + ".9": events.Refused} {
		want := `{"receipt":"` + receipt + `","contest":"rock","state":"` + string(state) + `","received_at":"2026-11-24T12:00:00Z"}` + "\n"
		if text := h.get(t, "/v1/receipts/"+receipt).Body.String(); text != want {
			t.Errorf("answer is %s, want %s", text, want)
		}
	}
	answer := h.get(t, "/v1/receipts/"+box+".7", secretOf(box+".7"))
	if row := read[seenRow](t, answer); row.State != events.Counted || row.Name != "Trébol" {
		t.Errorf("row is %+v", row)
	}
	if text := answer.Body.String(); strings.Contains(text, "private") || strings.Contains(text, "abcd") || !strings.Contains(text, `"rank":9.5,`) {
		t.Errorf("answer is %s", text)
	}
	if text := h.get(t, "/v1/receipts/"+box+".7", bearer).Body.String(); !strings.Contains(text, "private-id") || !strings.Contains(text, "abcd") {
		t.Errorf("with the token the answer is %s", text)
	}
	if row := read[seenRow](t, h.get(t, "/v1/receipts/"+box+".8", secretOf(box+".8"))); row.State != events.Dead || row.Cause != "unreadable" {
		t.Errorf("row is %+v", row)
	}
	if row := read[seenRow](t, h.get(t, "/v1/receipts/"+box+".9", secretOf(box+".9"))); row.State != events.Refused || row.Reason != events.RankOutOfRange || row.Field != "rank" {
		t.Errorf("row is %+v", row)
	}
}

// A receipt with its secret tells the way of its vote: what the ids in it say, and
// the log.
func TestWayOfAVote(t *testing.T) {
	h := newHouse(t.Context())
	box := idOf(noon.Add(20 * time.Millisecond))
	known := rowAt(events.Receipt(box, 7))
	known.Vote.Index, known.Vote.CastAt = 7, noon.Add(-time.Second)
	known.Way = journal.Way{
		Event: box + "/accepted", Topic: events.VotesAccepted, Place: "3/1999", Attempt: "4:abc", Ended: noon.Add(90 * time.Millisecond),
	}
	old := rowAt("old.0")
	old.Way = journal.Way{Event: "old/refused", Topic: events.VotesRefused}
	h.mongo.rows = []journal.Row{known, old}
	type seen struct{ Way map[string]any }
	got := fmt.Sprint(read[seen](t, h.get(t, "/v1/receipts/"+known.Receipt, secretOf(known.Receipt))).Way)
	want := fmt.Sprint(map[string]any{
		"box": box, "box_at": "2026-11-24T12:00:00.02Z", "index": 7, "event": box + "/accepted", "topic": "votes.accepted",
		"place": "3/1999", "life": 4, "ended_at": "2026-11-24T12:00:00.09Z",
	})
	if got != want {
		t.Errorf("the way is %s, want %s", got, want)
	}
	if way := read[seen](t, h.get(t, "/v1/receipts/"+known.Receipt, bearer)).Way; way["cast_at"] != "2026-11-24T11:59:59Z" {
		t.Errorf("with the token the way is %v", way)
	}
	if way := fmt.Sprint(read[seen](t, h.get(t, "/v1/receipts/old.0", secretOf("old.0"))).Way); way != "map[box:old event:old/refused index:0 topic:votes.refused]" {
		t.Errorf("of what is not known the way is %s", way)
	}
}

// seenRow is a row as a reader sees it.
type seenRow struct {
	Receipt, Name string
	Key           string
	State         events.State
	Reason        events.Code
	Field, Cause  string
	ID            *string
	VoterKey      *string `json:"voter_key"`
}

// keyOf is what names the row of a receipt in a public list.
func keyOf(contest, receipt string) string {
	return seal.NewSecrets([]byte(receiptSecret.Reveal())).Of(contest, "row/"+receipt).String()
}

type seenPage struct {
	Rows []seenRow
	Next *string
}

// What nothing knows yet is pending for as long as it may be on its way, judged
// by the time in its id; later, and of ids without a time, it is unknown.
func TestPending(t *testing.T) {
	h := newHouse(t.Context())
	for at, known := range map[time.Time]bool{
		noon:                                true,
		noon.Add(-pendingFor + time.Second): true,
		noon.Add(-pendingFor):               false,
		noon.Add(clockSkew - time.Second):   true,
		noon.Add(clockSkew):                 false,
	} {
		id := idOf(at)
		for _, path := range []string{"/v1/receipts/" + id + ".3", "/v1/contests/rock/votes/" + id} {
			answer := h.get(t, path)
			if !known {
				refused(t, answer, 404, events.VoteUnknown)
				continue
			}
			if got := read[struct{ State events.State }](t, answer); got.State != pending {
				t.Errorf("%v: state is %s", at, got.State)
			}
		}
	}
	refused(t, h.get(t, "/v1/receipts/"+uuid.NewString()+".3"), 404, events.VoteUnknown)
}

// An id is known under its voter only: of others' votes it tells nothing.
func TestFindVote(t *testing.T) {
	h := newHouse(t.Context())
	h.redis.known["rock/mine/"] = events.Counted
	h.redis.known["rock/hers/\xab\xcd"] = events.OverLimit
	if got := read[voteAnswer](t, h.get(t, "/v1/contests/rock/votes/mine")); got != (voteAnswer{"rock", "mine", events.Counted}) {
		t.Errorf("answer is %+v", got)
	}
	refused(t, h.get(t, "/v1/contests/default/votes/mine"), 404, events.VoteUnknown)
	refused(t, h.get(t, "/v1/contests/rock/votes/hers"), 404, events.VoteUnknown)
	if got := read[voteAnswer](t, h.get(t, "/v1/contests/rock/votes/hers?voter_key="+hex.EncodeToString([]byte("\xab\xcd")), bearer)); got.State != events.OverLimit {
		t.Errorf("answer is %+v", got)
	}
}

// The page that is polled comes from Redis and asks MongoDB nothing.
func TestNewestComesFromRedis(t *testing.T) {
	h := newHouse(t.Context())
	h.mongo.away = errAway
	for i := range 30 {
		h.redis.newest = append(h.redis.newest, counts.Recent{
			Receipt: fmt.Sprint("r.", i), Contest: []string{"rock", "default"}[i%2], Channel: events.ByGRPC, State: events.Counted,
			Vote: events.Vote{Name: "Trébol", At: noon},
		})
	}
	page := read[seenPage](t, h.get(t, "/logs"))
	if len(page.Rows) != 20 || page.Next != nil || page.Rows[0].Key != keyOf("rock", "r.0") {
		t.Errorf("page has %d rows, next %v", len(page.Rows), page.Next)
	}
	page = read[seenPage](t, h.get(t, "/logs?limit=50&contest=rock"))
	if len(page.Rows) != 15 || page.Rows[1].Key != keyOf("rock", "r.2") {
		t.Errorf("page has %d rows", len(page.Rows))
	}
}

// A filter reaches the journal as it was asked for; pages follow one another by
// their cursors to the end.
func TestPagesOfTheLog(t *testing.T) {
	h := newHouse(t.Context())
	for i := range 5 {
		h.mongo.rows = append(h.mongo.rows, rowAt(fmt.Sprint("r.", i)))
	}
	h.get(t, "/logs?contest=rock&band=%20TREBOL%20&channel=grpc&state=over_limit&from=2026-11-24T11:00:00Z&to=2026-11-24T06:00:00-06:00")
	want := journal.Filter{
		Contest: "rock", Band: "TREBOL", Channel: events.ByGRPC, State: events.OverLimit, From: noon.Add(-time.Hour), To: noon,
	}
	if !reflect.DeepEqual(h.mongo.asked, want) {
		t.Errorf("asked is %+v, want %+v", h.mongo.asked, want)
	}
	var seen []string
	after := ""
	for range 3 {
		page := read[seenPage](t, h.get(t, "/logs?limit=2&after="+after))
		for _, row := range page.Rows {
			seen = append(seen, row.Key)
			if row.ID != nil || row.VoterKey != nil {
				t.Errorf("row %s shows what is private", row.Receipt)
			}
		}
		if page.Next == nil {
			break
		}
		after = *page.Next
	}
	for i := range h.mongo.rows {
		if len(seen) != len(h.mongo.rows) || seen[i] != keyOf("rock", h.mongo.rows[i].Receipt) {
			t.Fatalf("pages have %q", seen)
		}
	}
	if text := h.get(t, "/logs?limit=2", bearer).Body.String(); !strings.Contains(text, `"id":"private-id","voter_key":"abcd"`) {
		t.Errorf("with the token the page is %s", text)
	}
}

// A page can be had as NDJSON and CSV by everybody, without what is private.
func TestPageFormats(t *testing.T) {
	h := newHouse(t.Context())
	h.mongo.rows = []journal.Row{rowAt("r.0"), rowAt("r.1"), rowAt("r.2")}
	for _, format := range []string{"ndjson", "csv"} {
		answer := h.get(t, "/logs?limit=2&after=&format="+format)
		text := answer.Body.String()
		lines := strings.Count(text, "\n")
		if answer.Code != 200 || strings.Contains(text, "private") || format == "ndjson" && lines != 2 || format == "csv" && lines != 3 {
			t.Errorf("%s is %d %s", format, answer.Code, text)
		}
	}
}

// An export has every row with what is private, in a form that a spreadsheet
// takes for text.
func TestExport(t *testing.T) {
	h := newHouse(t.Context())
	for i := range 2*flushRows + 3 {
		h.mongo.rows = append(h.mongo.rows, rowAt(fmt.Sprint("r.", i)))
	}
	h.mongo.rows[1].Vote.Name, h.mongo.rows[1].Vote.Album = "=1+1", "-5, \"x\""

	answer := h.get(t, "/logs?format=ndjson&contest=rock", bearer)
	decoder := json.NewDecoder(answer.Body)
	n := 0
	for decoder.More() {
		var r struct{ ID, Name string }
		if err := decoder.Decode(&r); err != nil || r.ID != "private-id" || n == 1 && r.Name != "=1+1" {
			t.Fatalf("row %d is %+v, %v", n, r, err)
		}
		n++
	}
	if n != len(h.mongo.rows) || h.mongo.asked.Contest != "rock" || answer.Header().Get("Cache-Control") != forNobody {
		t.Errorf("export has %d rows of %+v", n, h.mongo.asked)
	}
	answer = h.get(t, "/logs?format=csv", bearer)
	rows, err := csv.NewReader(answer.Body).ReadAll()
	if err != nil || len(rows) != len(h.mongo.rows)+1 {
		t.Fatalf("export has %d lines, %v", len(rows), err)
	}
	if got := strings.Join(rows[2], "|"); got != `r.1|rock|http|2026-11-24T12:00:00Z|'=1+1|'-5, "x"|1999|9.5|counted|||private-id|abcd` {
		t.Errorf("row is %s", got)
	}
	if got := answer.Header().Get("Content-Disposition"); got != `attachment; filename="votes.csv"` {
		t.Errorf("Content-Disposition is %q", got)
	}
	h.mongo.rows = nil
	if text := h.get(t, "/logs?format=csv", bearer).Body.String(); !strings.HasPrefix(text, "receipt,") || strings.Count(text, "\n") != 1 {
		t.Errorf("an export of nothing is %q", text)
	}
}

// An export that breaks off does not look like a whole one.
func TestExportBreaksOff(t *testing.T) {
	h := newHouse(t.Context())
	for i := range 20_000 {
		h.mongo.rows = append(h.mongo.rows, rowAt(fmt.Sprint("r.", i)))
	}
	h.mongo.breaks = 15_000
	server := httptest.NewServer(h.routes())
	defer server.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/logs?format=ndjson", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+string(token))
	answer, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	decoder := json.NewDecoder(answer.Body)
	var last error
	n := 0
	for {
		var r seenRow
		if last = decoder.Decode(&r); last != nil {
			break
		}
		n++
	}
	if n == 0 || n > h.mongo.breaks || last.Error() == "EOF" {
		t.Errorf("%d rows were read, then %v", n, last)
	}
}

// No more searches run at once than there are places for; who finds none is told
// to come back, and the place is free again when a search ends.
func TestSearchesAreBounded(t *testing.T) {
	h := newHouse(t.Context())
	h.mongo.hold, h.mongo.entered = make(chan struct{}), make(chan struct{})
	h.patience = time.Millisecond
	done := make(chan int, searchesAtOnce)
	for range searchesAtOnce {
		go func() { done <- h.get(t, "/logs?after=").Code }()
	}
	for range searchesAtOnce {
		<-h.mongo.entered
	}
	answer := h.get(t, "/v1/receipts/a.0")
	refused(t, answer, 503, events.Busy)
	if answer.Header().Get("Retry-After") != "1" {
		t.Errorf("headers are %v", answer.Header())
	}
	close(h.mongo.hold)
	for range searchesAtOnce {
		if code := <-done; code != 200 {
			t.Errorf("a search ended with %d", code)
		}
	}
	refused(t, h.get(t, "/v1/receipts/a.0"), 404, events.VoteUnknown)
}
