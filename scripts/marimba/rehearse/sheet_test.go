package rehearse

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"marimba/events"
	"marimba/scripts/marimba/cast"
	"marimba/scripts/marimba/view"
)

// fine is a rehearsal in which all went well.
func fine(t *testing.T) Happened {
	t.Helper()
	curve, err := Televote(1000, 100, 30*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	n := func(i int64) *int64 { return &i }
	cpu := 1.25
	return Happened{
		Contest: events.Contest{ID: "rehearsal-show-1", ClosesAt: time.Date(2026, 11, 25, 20, 0, 0, 0, time.UTC)}, Of: "show", Curve: curve, Peak: 100,
		Loaded: Loaded{
			Report: cast.Report{Cast: 1000, Accepted: 1000, Seconds: 30}, First: 300 * time.Millisecond,
			P50: 5 * time.Millisecond, P99: 40 * time.Millisecond, P999: 90 * time.Millisecond, Max: 310 * time.Millisecond, Behind: 2 * time.Millisecond,
		},
		Balance: view.Balance{Final: 1000, States: map[events.State]int64{events.Counted: 1000}},
		Settled: 800 * time.Millisecond,
		Watched: Watched{Backlog: 40, Lag: map[string]int64{"tally": 3, "screen": 2}, Functions: []Function{
			{Name: "ingress-http", AtOnce: 1}, {Name: "screen", AtOnce: 2, Retries: n(0), Dead: n(0), CPUSeconds: &cpu, RSS: n(30 << 20)},
		}},
		MaxScale: map[string]int{"ingress-http": 8, "screen": 8, "tally": 8},
	}
}

var limits = Limits{P99: time.Second, Settle: 30 * time.Second}

// It is a go if all holds, and each thing that does not makes it a no-go, and is
// named.
func TestGoOrNoGo(t *testing.T) {
	if s := Fill(fine(t), limits); !s.Go || len(s.Advice) > 0 {
		t.Errorf("%+v", s)
	}
	for want, spoil := range map[string]func(h *Happened){
		"cast in time":                 func(h *Happened) { h.Loaded.Behind = 3 * time.Second },
		"every vote was answered":      func(h *Happened) { h.Loaded.Cast, h.Loaded.Unanswered, h.Loaded.Why = 999, 1, "status 503" },
		"no vote was refused":          func(h *Happened) { h.Loaded.Refused = 1 },
		"durable within 1s":            func(h *Happened) { h.Loaded.P99 = 1001 * time.Millisecond },
		"every accepted vote":          func(h *Happened) { h.Balance.States[events.Counted], h.Balance.States[events.Duplicate] = 999, 1 },
		"counted within 30s":           func(h *Happened) { h.Settled = 31 * time.Second },
		"counted within 30s of the":    func(h *Happened) { h.Settled = -1 },
		"no process of screen failed":  func(h *Happened) { h.Watched.Functions[1].Crashes = 1 },
		"screen gave up no event":      func(h *Happened) { *h.Watched.Functions[1].Dead = 2 },
		"every accepted vote was coun": func(h *Happened) { h.Balance.Final = 999 },
	} {
		h := fine(t)
		spoil(&h)
		s := Fill(h, limits)
		var failed []string
		for _, c := range s.Checks {
			if !c.OK {
				failed = append(failed, c.What)
			}
		}
		if s.Go || len(failed) != 1 || !strings.Contains(failed[0], want) {
			t.Errorf("%s: go %v, failed are %q", want, s.Go, failed)
		}
	}
	// A contest's own rules may refuse votes that were made up.
	h := fine(t)
	h.Contest.Rules.File = "own.wasm"
	h.Loaded.Accepted, h.Loaded.Refused = 990, 10
	h.Balance = view.Balance{Final: 990, States: map[events.State]int64{events.Counted: 980, events.Refused: 10}}
	if s := Fill(h, limits); !s.Go {
		t.Errorf("with rules of its own: %+v", s.Checks)
	}
}

// What is suggested follows from what was seen.
func TestAdvice(t *testing.T) {
	h := fine(t)
	h.Watched.Functions = []Function{
		{Name: "ingress-http", Starts: 2, AtOnce: 2, ColdStart: 0.31}, {Name: "screen", AtOnce: 5}, {Name: "tally", AtOnce: 4, Starts: 4, ColdStart: 1.5}, {Name: "shelve", AtOnce: 1, Starts: 1},
	}
	got := map[string]int{}
	for _, a := range Fill(h, limits).Advice {
		got[a.Function+" "+a.Setting] = a.Value
		if a.Why == "" {
			t.Errorf("%+v has no reason", a)
		}
	}
	want := map[string]int{"ingress-http min-scale": 2, "tally min-scale": 4, "screen max-scale": 10, "screen partitions of votes.cast": 10}
	if len(got) != len(want) {
		t.Errorf("suggested are %v, want %v", got, want)
	}
	for what, value := range want {
		if got[what] != value {
			t.Errorf("%s is %d, want %d", what, got[what], value)
		}
	}
	// Of functions that cannot be seen, the first vote tells that they slept.
	h.Watched.Functions, h.Loaded.First = nil, 2*time.Second
	if advice := Fill(h, limits).Advice; len(advice) != 4 || advice[0].Setting != "min-scale" || !strings.Contains(advice[0].Why, "2s") {
		t.Errorf("%+v", advice)
	}
}

// The sheet reads well, and says no-go where it is one.
func TestSheetIsShown(t *testing.T) {
	h := fine(t)
	h.Loaded.P99 = 2 * time.Second
	h.Watched.Functions[0].Starts = 1
	var out bytes.Buffer
	s := Fill(h, limits)
	s.Write(&out)
	for _, want := range []string{
		"show, as rehearsal-show-1: 1000 votes", "lag           screen 2, tally 3 records", "✗ 99 of 100 votes were durable within 1s: 2s",
		"✓ every accepted vote was counted, once: 1000 of 1000", "ingress-http: min-scale 1", "NO-GO", "30 MiB",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("shown is\n%s\nwithout %q", out.String(), want)
		}
	}
	text, err := json.Marshal(s)
	if err != nil || !strings.Contains(string(text), `"go":false`) {
		t.Errorf("%s, %v", text, err)
	}
}
