package view

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"

	"marimba/events"
)

// An audit shows each line of the balance, the boards side by side, those bands
// that differ whatever their number, and what does not hold with its examples.
func TestWriteAudit(t *testing.T) {
	var a Audit
	a.InFlight, a.Read.Votes, a.Read.Newer, a.Read.Foreign, a.Seconds = 1, 12, 2, 3, 1.26
	c := AuditedContest{Contest: "rock", Rows: []AuditRow{
		{Channel: events.ByHTTP, Cast: 7, Counted: 1, Annulled: 1, Duplicate: 1, OverLimit: 1, Refused: 1, Dead: 1, InFlight: 1},
		{Channel: events.ByGRPC, Cast: 4, Counted: 3},
	}}
	c.Total = AuditRow{Cast: 11, Counted: 4, Annulled: 1, Duplicate: 1, OverLimit: 1, Refused: 1, Dead: 1, InFlight: 1}
	c.Board.Votes = Threefold{31, 30, 30}
	c.Board.Bands = append(c.Board.Bands, AuditedBand{Band: "Other", Threefold: Threefold{9, 8, 8}, Differs: []string{"rank 1"}})
	for range 25 {
		c.Board.Bands = append(c.Board.Bands, AuditedBand{Band: "Same", Threefold: Threefold{1, 1, 1}})
	}
	c.Board.More = 4
	a.Contests = []AuditedContest{c}
	a.Faults = []Fault{{Check: "id_twice", Contest: "rock", Says: "an id was counted more than once", Votes: 1, Examples: []string{"r.0, r.1"}}, {Check: "cast_cut", Says: "is cut"}}
	a.Contests[0].Log.Leaves, a.Contests[0].Log.Root, a.Contests[0].Log.Unsealed, a.Contests[0].Log.Shelved = 2, "ab", 1, 3
	var out bytes.Buffer
	WriteAudit(&out, a)
	for _, want := range []string{
		"│ rock http 7 = 1 1 1 1 1 1 1 │", "│ rock grpc 4 ≠ 3 0 0 0 0 0 0 │", "│ sum 11 ≠ 4 1 1 1 1 1 1 │",
		"│ Other 9 8 8 ≠ │", "│ Same 1 1 1 = │", "and 10 more", "│ sum 31 30 30 │",
		"The public log of rock has 2 leaves, root ab.\n1 counted votes are on their way to it.\n3 counted votes are not in it: their announcement",
		"id_twice in rock: an id was counted more than once (1 votes)\n r.0, r.1\n", "cast_cut: is cut\n",
		"THE BOOKS DO NOT BALANCE: 10 votes were cast, 1 are in flight; read in 1.3 s.\n2 votes more were cast meanwhile", "3 records of votes.cast are no boxes",
	} {
		if !strings.Contains(squeezed(out), want) {
			t.Errorf("without %q:\n%s", want, out.String())
		}
	}
	out.Reset()
	WriteAudit(&out, Audit{Agree: true})
	if !strings.Contains(out.String(), "The books balance: 0 votes were cast") {
		t.Errorf("shown is\n%s", out.String())
	}
}

// Letters are listed with all that helps to decide on them.
func TestWriteLetters(t *testing.T) {
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	var out bytes.Buffer
	WriteLetters(&out, Letters{}, at)
	if out.String() != "There are no dead letters.\n" {
		t.Errorf("shown is %q", out.String())
	}
	out.Reset()
	l := Letters{More: 7, Letters: []Letter{
		{ID: "box-1", Contest: "rock", Channel: "http", Topic: "votes.cast", Votes: 12, Cause: "status", Status: "503", At: at, Died: 3, State: "shelved", Sendable: true},
		{ID: "digest", Cause: "unreadable", At: at.Add(-time.Hour), Died: 1, State: "shelved"},
		{ID: "box-2", Cause: "no_answer", At: at, State: "replayed", Sendable: true},
	}}
	l.Causes = append(l.Causes, struct {
		Cause   string `json:"cause"`
		Letters int    `json:"letters"`
		Votes   int64  `json:"votes"`
	}{"status", 8, 90})
	WriteLetters(&out, l, at.Add(90*time.Second))
	for _, want := range []string{
		"box-1 rock http votes.cast 12 status 503 3 times 1m30s shelved │",
		"digest – – – 0 unreadable – once 1h1m30s shelved, cannot be sent │",
		"box-2 – – – 0 no_answer – – 1m30s replayed │", "and 7 more\n8 of cause status, with 90 votes\n",
	} {
		if !strings.Contains(squeezed(out), want) {
			t.Errorf("without %q:\n%s", want, out.String())
		}
	}
}

// squeezed is what was written, with each run of spaces as one.
func squeezed(out bytes.Buffer) string { return runs.ReplaceAllString(out.String(), " ") }

var runs = regexp.MustCompile(" +")

// What a replay did not do is told as well as what it did.
func TestWriteReplayed(t *testing.T) {
	var out bytes.Buffer
	WriteReplayed(&out, Replayed{
		Sent: 3, Votes: 9, Again: 1, Skipped: 2, More: 4,
		Cannot: []LetterFault{{"raw", "it is not an event"}}, Failed: []LetterFault{{"box-1", "too large"}},
	})
	want := "3 letters with 9 votes were sent again.\n1 of them have died again already.\n2 are not on the shelf any more.\n" +
		"raw cannot be sent: it is not an event\nbox-1 was not sent: too large\nand 4 more were not sent\n"
	if out.String() != want {
		t.Errorf("told is\n%s\nwant\n%s", out.String(), want)
	}
}
