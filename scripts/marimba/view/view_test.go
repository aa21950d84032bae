package view

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"marimba/events"
)

// A bar is never longer than its width, never nothing for a vote, and longer for
// more votes.
func TestBar(t *testing.T) {
	last := 0
	for n := int64(0); n <= 1000; n++ {
		bar := Bar(n, 1000, 30)
		width := len([]rune(bar))
		if (n > 0) != (width > 0) || width > 30 || width < last {
			t.Fatalf("%d of 1000: %q", n, bar)
		}
		last = width
	}
	if Bar(1000, 1000, 30) != strings.Repeat("█", 30) || Bar(1, 0, 30) != "" {
		t.Error("the full bar is not full, or one of nothing is not empty")
	}
}

// The board shows places, votes and the metric that orders it, and albums only
// where they are asked for.
func TestWriteBoard(t *testing.T) {
	points := int64(88)
	b := Board{Contest: "rock", Standing: events.ByPoints, Bands: []Band{
		{Place: 1, Name: "Alux Nahual", Votes: 9, Points: &points, Share: 0.9, Albums: []Album{{"Conquista", 8}, {"", 1}}},
		{Place: 2, Name: "Fábulas", Votes: 1, Share: 0.1},
		{Place: 3, Name: "Nobody's", Votes: 0},
	}}
	b.Totals.Votes = 10
	var plain, full bytes.Buffer
	WriteBoard(&plain, b, false)
	WriteBoard(&full, b, true)
	for _, want := range []string{"rock · 10 votes · by points", "Points", "1  Alux Nahual", "90.0", "88", "Fábulas"} {
		if !strings.Contains(plain.String(), want) {
			t.Errorf("%q is not in\n%s", want, plain.String())
		}
	}
	if strings.Contains(plain.String(), "Nobody") || strings.Contains(plain.String(), "Conquista") {
		t.Errorf("too much in\n%s", plain.String())
	}
	if !strings.Contains(full.String(), "Conquista") {
		t.Errorf("no albums in\n%s", full.String())
	}
}

// Wait asks until the votes are in a final state and nothing is pending, and
// tells what came since.
func TestWait(t *testing.T) {
	answers := []string{
		`{"final":10,"states":{"counted":10}}`,
		`{"final":13,"states":{"counted":12,"duplicate":1},"pending":{"counted":1}}`,
		`broken`,
		`{"final":14,"states":{"counted":13,"duplicate":1},"pending":{}}`,
	}
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/contests/rock/balance" {
			t.Error(r.URL)
		}
		w.Write([]byte(answers[min(asked, len(answers)-1)]))
		asked++
	}))
	defer server.Close()
	results, err := Open(server.URL, "en", "")
	if err != nil {
		t.Fatal(err)
	}
	before, err := results.Balance(t.Context(), "rock")
	if err != nil {
		t.Fatal(err)
	}
	got, err := results.Wait(t.Context(), "rock", before, 4)
	if err != nil || got.Final != 4 || got.States[events.Counted] != 3 || got.States[events.Duplicate] != 1 || asked != 4 {
		t.Errorf("%+v after %d answers, %v", got, asked, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := results.Wait(ctx, "rock", before, 5); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("votes that never come: %v", err)
	}
}

// A refusal is an error that says why, and the token goes along.
func TestRefused(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer t" {
			w.Write([]byte("row\n"))
			return
		}
		w.WriteHeader(http.StatusUnauthorized)
		w.Write([]byte(`{"code":"token_required","detail":"who are you?"}`))
	}))
	defer server.Close()
	for token, want := range map[string]string{"": "token_required who are you?", "t": ""} {
		results, err := Open(server.URL, "en", token)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		err = results.Export(t.Context(), url.Values{}, &out)
		if want == "" && (err != nil || out.String() != "row\n") || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("token %q: %v, %q", token, err, out.String())
		}
	}
}
