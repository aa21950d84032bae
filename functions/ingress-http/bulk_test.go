package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"marimba/events"
	"marimba/events/votefile"
	"marimba/functions/internal/publish"
)

const (
	ndjson = "Content-Type: application/x-ndjson"
	csv    = "Content-Type: text/csv"
)

// rowVote is a vote whose album has a number, so that each can be told.
func rowVote(n int) string {
	return fmt.Sprintf(`{"name":"Band","album":"%d","year":1982,"rank":2}`, n)
}

func rowVotes(from, to int) []string {
	var out []string
	for n := from; n <= to; n++ {
		out = append(out, rowVote(n))
	}
	return out
}

const open0 = "/v1/contests/default/votes"

// A file with one bad row of a thousand has the other 999 accepted, whatever its
// form and whatever is wrong with the row.
func TestOneBadRowOfAThousand(t *testing.T) {
	table := func(bad string) string {
		lines := []string{"name,album,year,rank"}
		for n := 1; n <= 1000; n++ {
			lines = append(lines, fmt.Sprintf("Band,%d,1982,2", n))
		}
		lines[500] = bad
		return strings.Join(lines, "\n")
	}
	lines := func(bad, between string) string {
		rows := rowVotes(1, 1000)
		rows[499] = bad
		return strings.Join(rows, between)
	}
	for _, c := range []struct {
		say, media, body string
		code             events.Code
	}{
		{"no name", "", "[" + lines(`{"year":1,"rank":1}`, ",") + "]", events.FieldMissing},
		{"no object", "", "[" + lines(`[]`, ",") + "]", events.RowMalformed},
		{"unknown field", "", "[" + lines(`{"colour":1}`, ",") + "]", events.FieldUnknown},
		{"broken UTF-8", "", "[" + lines("{\"name\":\"\xff\"}", ",") + "]", events.TextNotUTF8},
		{"another contest", "", "[" + lines(`{"contest":"rock"}`, ",") + "]", events.ContestDiffers},
		{"broken line", ndjson, lines(`{"name":`, "\n"), events.RowMalformed},
		{"NaN", ndjson, lines(`{"name":"A","album":"b","year":1,"rank":NaN}`, "\n"), events.RowMalformed},
		{"wrong width", csv, table("Band,500"), events.RowMalformed},
		{"open quote", csv, table(`"Band,500,1982,2`), events.RowMalformed},
		{"year in words", csv, table("Band,500,mil,2"), events.YearMalformed},
	} {
		h := newHouse()
		headers := []string{c.media}
		if c.media == "" {
			headers = nil
		}
		r := wants(t, c.say, h.post(t, open0, c.body, headers...), http.StatusAccepted, "", "")
		if r.Status != "partial" || r.Accepted != 999 || r.Refused != 1 || len(r.Rows) != 1 || r.Rows[0].Row != 500 || r.Rows[0].Code != c.code || r.Rows[0].Detail == "" {
			t.Errorf("%s: %v, %d accepted, %d refused: %+v", c.say, r.Status, r.Accepted, r.Refused, r.Rows)
		}
		if got := h.twin.cast(); len(got) != 999 {
			t.Errorf("%s: %d are cast", c.say, len(got))
		}
	}
}

// Rows without an id get one of the file, and the same file the same ids: sent
// again, its votes are duplicates. Equal rows are different votes.
func TestIDsOfRows(t *testing.T) {
	body := `[` + vote + `,` + vote + `,{"id":"mine","name":"Alux","album":"13","year":1982,"rank":1}]`
	ids := func(headers ...string) []string {
		h := newHouse()
		for range 2 {
			wants(t, "file", h.post(t, "/v1/contests/default/votes", body, headers...), http.StatusAccepted, "", "")
		}
		var out []string
		for _, b := range h.twin.boxes {
			for _, v := range b.votes {
				out = append(out, v.ID)
			}
		}
		return out
	}
	for name, c := range map[string]struct {
		headers []string
		digest  string
	}{
		"of the body": {nil, votefile.Digest([]byte(body))},
		"of the key":  {[]string{"Idempotency-Key: today"}, votefile.Digest([]byte("today"))},
	} {
		once := []string{votefile.RowID(c.digest, 1), votefile.RowID(c.digest, 2), "mine"}
		if got, want := ids(c.headers...), slices.Concat(once, once); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	h := newHouse()
	h.post(t, open0, packed(body), "Content-Encoding: gzip")
	if got, want := h.twin.boxes[0].votes[0].ID, votefile.RowID(votefile.Digest([]byte(body)), 1); got != want {
		t.Errorf("packed: %s, want %s", got, want)
	}
}

// Ordinals are taken in files, and counted.
func TestOrdinalsInFiles(t *testing.T) {
	h := newHouse()
	r := wants(t, "file", h.post(t, open0, "name;year;rank\nA;1982;1st\nB;1982;2º\nC;1982;3\n", csv), http.StatusAccepted, "", "")
	if r.Status != "accepted" || r.Accepted != 3 || r.Warnings != 2 || r.Refused != 0 || r.Rows != nil {
		t.Errorf("%+v", r)
	}
}

// Receipts are told where they are asked for.
func TestReceiptsOfRows(t *testing.T) {
	body := strings.Join([]string{rowVote(1), `{}`, `{"id":"mine","name":"A","album":"b","year":1982,"rank":1}`}, "\n")
	h := newHouse()
	if r := wants(t, "no", h.post(t, open0, body, ndjson), http.StatusAccepted, "", ""); r.Receipts != nil {
		t.Errorf("%+v", r.Receipts)
	}
	r := wants(t, "yes", h.post(t, open0+"?receipts=1", body, ndjson), http.StatusAccepted, "", "")
	want := []rowReceipt{{Row: 1, ID: votefile.RowID(votefile.Digest([]byte(body)), 1), Receipt: "box-1.0"}, {Row: 3, ID: "mine", Receipt: "box-1.1"}}
	if !slices.Equal(plain(r.Receipts), want) {
		t.Errorf("%+v, want %+v", r.Receipts, want)
	}
}

// In slices: a file of 10,000 is cast in parts, all of them, in order.
func TestLargeFileIsCastInSlices(t *testing.T) {
	h := newHouse()
	body := strings.Join(rowVotes(1, maxRows), "\n")
	r := wants(t, "file", h.post(t, open0, body, ndjson), http.StatusAccepted, "", "")
	if r.Accepted != maxRows || len(h.twin.boxes) != maxRows/slice {
		t.Errorf("%d accepted, cast %d times", r.Accepted, len(h.twin.boxes))
	}
	for i, line := range h.twin.cast() {
		if !strings.Contains(line, fmt.Sprintf("|%d|", i+1)) {
			t.Fatalf("vote %d is %s", i+1, line)
		}
	}
}

// When Kafka stops confirming in the middle, the answer says how many are
// accepted, and sending all of it again is safe: the ids are the same.
func TestFileNotConfirmed(t *testing.T) {
	for _, c := range []struct {
		err  error
		code events.Code
	}{{publish.ErrUnavailable, events.Unavailable}, {publish.ErrBusy, events.Busy}} {
		h := newHouse()
		h.twin.fail = func(n int) error {
			if n == 1 {
				return c.err
			}
			return nil
		}
		body := "{}\n" + strings.Join(rowVotes(2, 3*slice), "\n")
		r := wants(t, "file", h.post(t, open0, body, ndjson, "Accept-Language: en"), http.StatusServiceUnavailable, c.code, "")
		if r.Accepted != slice-1 || r.Refused != 1 || len(h.twin.boxes) != 1 || !strings.Contains(r.Detail, fmt.Sprint(slice-1, " votes")) {
			t.Errorf("%+v", r)
		}
		first := h.twin.cast()
		if r := wants(t, "again", h.post(t, open0, body, ndjson), http.StatusAccepted, "", ""); r.Accepted != 3*slice-1 {
			t.Errorf("%d accepted the second time", r.Accepted)
		}
		if again := h.twin.cast()[len(first):]; !slices.Equal(again[:len(first)], first) {
			t.Error("the ids are others the second time")
		}
	}
}

// A file of which nothing is accepted is a problem, with its rows; no more of
// them are listed than there may be.
func TestNothingOfAFile(t *testing.T) {
	h := newHouse()
	body := strings.Repeat("{\"name\":\"Nobody\",\"album\":\"x\",\"year\":1982,\"rank\":1}\n", maxListed+3)
	r := wants(t, "file", h.post(t, rock, body, ndjson, "Accept-Language: en"), http.StatusUnprocessableEntity, events.NoneAccepted, "")
	if r.Accepted != 0 || r.Refused != maxListed+3 || len(r.Rows) != maxListed || r.RowsOmitted != 3 {
		t.Errorf("%d accepted, %d refused, %d listed, %d omitted", r.Accepted, r.Refused, len(r.Rows), r.RowsOmitted)
	}
	if no := r.Rows[0]; no.Row != 1 || no.Code != events.BandUnknown || no.Field != "name" || !strings.Contains(no.Detail, "Nobody") {
		t.Errorf("%+v", no)
	}
}

// A fault in the grammar of an array ends it; what stands before is accepted,
// and the place of the fault is told.
func TestArrayThatBreaksOff(t *testing.T) {
	h := newHouse()
	body := "[" + strings.Join(rowVotes(1, 3), ",\n") + ",\n{\"name\""
	r := wants(t, "file", h.post(t, open0, body, "Accept-Language: en"), http.StatusAccepted, "", "")
	if r.Status != "partial" || r.Accepted != 3 || r.Refused != 0 || r.Fault == nil || r.Fault.Row != 4 || r.Fault.Code != events.BodyMalformed ||
		!strings.Contains(r.Fault.Detail, "line 4") {
		t.Errorf("%+v %+v", r, r.Fault)
	}
	r = wants(t, "refused and broken", h.post(t, open0, "[{},x]"), http.StatusUnprocessableEntity, events.NoneAccepted, "")
	if r.Refused != 1 || r.Fault == nil || r.Fault.Row != 2 {
		t.Errorf("%+v", r)
	}
}

// The older routes take files too, and each vote of them for its own contest.
func TestOlderRoutesTakeFiles(t *testing.T) {
	h := newHouse()
	body := `[{"name":"A","album":"1","year":1982,"rank":1},{"contest":"rock","name":"Alux","album":"13","year":1982,"rank":1},
		{"contest":"nowhere","name":"A","album":"2","year":1982,"rank":1},{"name":"A","album":"3","year":1982,"rank":1}]`
	r := wants(t, "array", h.post(t, "/insert?receipts=1", body), http.StatusAccepted, "", "")
	if r.Accepted != 3 || r.Refused != 1 || r.Rows[0].Row != 3 || r.Rows[0].Code != events.ContestUnknown || r.Contest != "" {
		t.Errorf("%+v", r)
	}
	digest := votefile.Digest([]byte(body))
	want := []string{
		"default/wasm " + votefile.RowID(digest, 1) + " A|1|1982|1", "default/wasm " + votefile.RowID(digest, 4) + " A|3|1982|1",
		"rock/wasm " + votefile.RowID(digest, 2) + " Alux Nahual|13|1982|1",
	}
	if got := h.twin.cast(); !slices.Equal(got, want) {
		t.Errorf("cast %q", got)
	}
	receipts := []rowReceipt{{Row: 1, ID: votefile.RowID(digest, 1), Receipt: "box-0.0"}, {Row: 2, ID: votefile.RowID(digest, 2), Receipt: "box-1.0"}, {Row: 4, ID: votefile.RowID(digest, 4), Receipt: "box-0.1"}}
	if !slices.Equal(plain(r.Receipts), receipts) {
		t.Errorf("receipts %+v", r.Receipts)
	}
	r = wants(t, "CSV", h.post(t, "/rust?contest=rock", "name,album,year,rank,x\nAlux,13,1982,1,\n", csv), http.StatusAccepted, "", "")
	if r.Contest != "rock" || r.Accepted != 1 {
		t.Errorf("%+v", r)
	}
}
