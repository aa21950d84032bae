package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"marimba/events"
	"marimba/functions/internal/counts"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is\n%s, want\n%s", name, got, want)
	}
}

// The text that the digest is of is that which any reader makes of the statement:
// keys sorted, no spaces, no escapes that are not needed.
func TestStatementIsCanonical(t *testing.T) {
	s := statement{
		Contest: "c", Title: map[string]string{"es": "Ñandú <&> \u2028 🎸 \"x\" \\ \u0007", "en": "a"},
		MadeAt: closes, ClosesAt: closes, Amendments: []events.Amendment{},
		Offsets: map[events.Topic]map[int32]int64{events.VotesCast: {10: 1, 9: 1 << 40}},
		Votes:   statedVotes{States: map[events.State]int64{}, Channels: map[events.Channel]map[events.State]int64{}, Refusals: map[events.Code]int64{}},
	}
	got, err := s.canonical()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"title":{"en":"a","es":"Ñandú <&> ` + "\u2028" + ` 🎸 \"x\" \\ \u0007"}`,
		`"offsets":{"votes.cast":{"10":1,"9":1099511627776}}`, `{"amendments":[],"board":`,
	} {
		if !strings.Contains(string(got), want) {
			t.Errorf("%s is not in\n%s", want, got)
		}
	}
	// Read by somebody who knows nothing of it, and written with sorted keys.
	var read any
	if err := json.Unmarshal(got, &read); err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	encoder := json.NewEncoder(&again)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(read); err != nil {
		t.Fatal(err)
	}
	if text := strings.ReplaceAll(strings.TrimSpace(again.String()), `\u2028`, "\u2028"); text != string(got) {
		t.Errorf("read and written it is\n%s, not\n%s", text, got)
	}
}

// The digest of the tally is of its lines as sort(1) has them.
func TestTallyDigest(t *testing.T) {
	tally := counts.Histogram{"b": {"x": {200: 1, 1000: 2}}, "a": {"": {0: 3}}}
	const want = "a8508e57fb0350b964aa04bdcea955dadc145ae7979db84860d9afb83f644ca6" // printf 'a\t\t0\t3\nb\tx\t1000\t2\nb\tx\t200\t1\n' | sha256sum
	if got := tallyDigest(tally); got != want {
		t.Errorf("digest is %s, want %s", got, want)
	}
}

// A board that no document can hold is cut until one can; its totals and the
// digest of the tally are of all of it.
func TestStatementFitsIntoADocument(t *testing.T) {
	c := events.Contest{ID: "open", OpenRoster: true, Standing: events.ByVotes, MeanFrom: 1, ClosesAt: closes}
	r := reckoning{closesAt: closes, recount: counts.NewRecount(c), dead: map[events.Channel]int64{}, cast: map[events.Channel]int64{}}
	long := strings.Repeat("x", 150)
	for i := range 12 {
		b := events.Box{ID: fmt.Sprint(i), Contest: c.ID, Channel: events.ByHTTP}
		for k := range 500 {
			b.Votes = append(b.Votes, events.Vote{ID: fmt.Sprint(i, k), Name: fmt.Sprint(long, i*500+k), Album: long, Rank: 100, At: closes.Add(-time.Minute)})
		}
		states := make([]events.State, len(b.Votes))
		for k := range states {
			states[k] = events.Counted
		}
		if err := r.recount.Add(counts.Entry{ID: b.ID, Box: b}, states); err != nil {
			t.Fatal(err)
		}
	}
	s, err := makeStatement(c, nil, r, nil, closes)
	if err != nil {
		t.Fatal(err)
	}
	text, err := s.canonical()
	if err != nil {
		t.Fatal(err)
	}
	if len(text) > 12<<20 || len(s.Board.Bands) != 5000 || s.Board.Totals.Bands != 6000 {
		t.Errorf("%d bytes, %d of %d bands", len(text), len(s.Board.Bands), s.Board.Totals.Bands)
	}
	for k := range 500 { // and many albums of some bands
		for i := range 70 {
			b := events.Box{ID: "x", Contest: c.ID, Channel: events.ByHTTP, Votes: []events.Vote{
				{Name: fmt.Sprint("band ", i), Album: fmt.Sprint(long, k), Rank: 100, At: closes.Add(-time.Minute)},
			}}
			if err := r.recount.Add(counts.Entry{ID: b.ID, Box: b}, []events.State{events.Counted}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if s, err = makeStatement(c, nil, r, nil, closes); err != nil {
		t.Fatal(err)
	}
	if text, err = s.canonical(); err != nil || len(text) > 12<<20 || len(s.Board.Bands) != 1000 {
		t.Errorf("%d bytes, %d bands, %v", len(text), len(s.Board.Bands), err)
	}
}
