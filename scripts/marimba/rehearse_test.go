package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sheet is the result of rehearse.
type sheet struct {
	Go       bool
	Shadow   string
	Votes    int64
	Accepted int64
	States   map[string]int64
	Durable  map[string]float64 `json:"durable_ms"`
	Lag      map[string]int64   `json:"most_lag"`
	Settled  *float64           `json:"counted_after_seconds"`
	Unseen   string

	Functions []struct {
		Function string
		Starts   int64
		AtOnce   int    `json:"most_at_once"`
		RSS      *int64 `json:"rss_bytes"`
	}
	Checks []struct {
		What string
		OK   bool
	}
}

// A rehearsal of a contest on a house that sleeps: all votes are counted in the
// shadow and none in the contest, what started is seen, and the books balance. Where
// the house does not keep what is asked, it is no-go, and ends so.
func TestRehearse(t *testing.T) {
	t.Parallel() // it waits more than it works
	data := t.TempDir()
	up(t, data)
	var got sheet
	if err := invoke(t, &got, "rehearse", "rock-gt", "--peak", "80", "--length", "6s", "--margin", "3s", "--max-p99", "30s", "--json", "--data", data); err != nil {
		t.Fatal(err)
	}
	if !got.Go || got.Votes == 0 || got.Accepted != got.Votes || got.States["counted"] != got.Votes || got.Settled == nil || got.Durable["p99"] < got.Durable["p50"] || got.Unseen != "" {
		t.Errorf("%+v", got)
	}
	started := map[string]bool{}
	for _, f := range got.Functions {
		started[f.Function] = f.Starts > 0 && f.AtOnce > 0
	}
	for _, function := range []string{"ingress-http", "ingress-grpc", "screen", "tally"} {
		if !started[function] {
			t.Errorf("%s was not seen to start: %+v", function, got.Functions)
		}
	}
	if _, ok := got.Lag["tally"]; !ok {
		t.Errorf("the lag is %v", got.Lag)
	}
	if text, err := os.ReadFile(filepath.Join(data, "contests", got.Shadow+".yaml")); err != nil || !strings.Contains(string(text), "closes_at: ") {
		t.Errorf("the shadow's file is\n%s%v", text, err)
	}
	for contest, want := range map[string]int64{"rock-gt": 0, got.Shadow: got.Votes} {
		var board struct{ Totals struct{ Votes int64 } }
		if err := invoke(t, &board, "results", contest, "--json", "--data", data); err != nil || board.Totals.Votes != want {
			t.Errorf("%s has %d votes, want %d: %v", contest, board.Totals.Votes, want, err)
		}
	}
	var no sheet
	err := invoke(t, &no, "rehearse", "default", "--peak", "50", "--length", "1s", "--margin", "3s", "--max-p99", "1ns", "--json", "--data", data)
	if err == nil || !strings.Contains(err.Error(), "no-go") || no.Go || no.States["counted"] != no.Votes {
		t.Errorf("%v: %+v", err, no)
	}
	var books struct{ Agree bool }
	if err := invoke(t, &books, "audit", "--json", "--data", data); err != nil || !books.Agree {
		t.Errorf("the audit says %+v, %v", books, err)
	}
}
