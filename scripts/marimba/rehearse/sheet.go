package rehearse

import (
	"fmt"
	"strings"
	"time"

	"marimba/events"
	"marimba/scripts/marimba/view"
)

// Limits are what a house must keep for the show to go on.
type Limits struct {
	P99    time.Duration // from a vote's moment to its answer
	Settle time.Duration // from the last answer until all is counted
}

// maxBehind is how late a vote may be cast: beyond it the machine that rehearses
// did not cast the curve, and nothing is known of the house under it.
const maxBehind = time.Second

// Happened is all that is known of a rehearsal.
type Happened struct {
	Contest  events.Contest // the shadow
	Of       string         // what it is a shadow of
	Curve    Curve
	Peak     float64
	Loaded   Loaded
	Balance  view.Balance
	Settled  time.Duration // from the last answer; below 0: not all was counted
	Watched  Watched
	MaxScale map[string]int // by function, as the manifests have it
}

// Sheet is what the organiser gets.
type Sheet struct {
	Go       bool    `json:"go"`
	Contest  string  `json:"contest"`
	Shadow   string  `json:"shadow"`
	ClosesAt string  `json:"shadow_closes_at"`
	Votes    int     `json:"votes"`
	Peak     float64 `json:"peak"`
	Seconds  float64 `json:"seconds"`

	Accepted   int64                  `json:"accepted"`
	Refused    int64                  `json:"refused"`
	Reasons    map[events.Code]int64  `json:"refusals"`
	Unanswered int64                  `json:"unanswered"`
	Retries    int64                  `json:"retries"`
	States     map[events.State]int64 `json:"states"`

	First   float64            `json:"first_answer_ms"`
	Durable map[string]float64 `json:"durable_ms"` // p50, p99, p999, max
	Backlog int64              `json:"most_not_counted"`
	Lag     map[string]int64   `json:"most_lag,omitempty"` // records, by function
	Settled *float64           `json:"counted_after_seconds"`

	Functions []Function `json:"functions"`
	Unseen    string     `json:"unseen,omitempty"`
	Checks    []Check    `json:"checks"`
	Advice    []Advice   `json:"advice"`
}

// Check is a condition of going on.
type Check struct {
	What string `json:"what"`
	OK   bool   `json:"ok"`
	Seen string `json:"seen"`
}

// Fill makes the sheet of a rehearsal.
func Fill(h Happened, limits Limits) Sheet {
	l := h.Loaded
	s := Sheet{
		Contest: h.Of, Shadow: h.Contest.ID, ClosesAt: h.Contest.ClosesAt.UTC().Format(time.RFC3339),
		Votes: h.Curve.Votes(), Peak: h.Peak, Seconds: l.Seconds,
		Accepted: l.Accepted, Refused: l.Refused, Reasons: l.Reasons, Unanswered: l.Unanswered, Retries: l.Retries, States: h.Balance.States,
		First:   milliseconds(l.First),
		Durable: map[string]float64{"p50": milliseconds(l.P50), "p99": milliseconds(l.P99), "p999": milliseconds(l.P999), "max": milliseconds(l.Max)},
		Backlog: h.Watched.Backlog, Lag: h.Watched.Lag, Functions: h.Watched.Functions, Unseen: h.Watched.Blind,
	}
	if h.Settled >= 0 {
		seconds := h.Settled.Seconds()
		s.Settled = &seconds
	}
	s.check(h, limits)
	s.Advice = advise(h)
	return s
}

func milliseconds(d time.Duration) float64 { return float64(d.Round(10*time.Microsecond)) / 1e6 }

// check holds what happened against what must be.
func (s *Sheet) check(h Happened, limits Limits) {
	l := h.Loaded
	s.Go = true
	say := func(ok bool, what, seen string, args ...any) {
		s.Checks = append(s.Checks, Check{what, ok, fmt.Sprintf(seen, args...)})
		s.Go = s.Go && ok
	}
	say(l.Behind <= maxBehind, "the curve was cast in time", "the latest vote came %s after its moment", l.Behind.Round(time.Millisecond))
	say(l.Unanswered == 0 && l.Cast == int64(h.Curve.Votes()), "every vote was answered", "%d of %d; %d tries were repeated%s", l.Cast, h.Curve.Votes(), l.Retries, because(l.Why))
	if h.Contest.Rules.File == "" { // a contest's own rules may refuse what is made up
		say(l.Refused == 0, "no vote was refused at the door", "%d%s", l.Refused, because(reasons(l.Reasons)))
	}
	say(l.P99 <= limits.P99, fmt.Sprintf("99 of 100 votes were durable within %s", limits.P99), "%s", l.P99.Round(100*time.Microsecond))
	states, final := h.Balance.States, h.Balance.Final
	counted := states[events.Counted]
	ok := final == l.Accepted && (counted == l.Accepted || h.Contest.Rules.File != "" && counted+states[events.Refused] == l.Accepted)
	say(ok, "every accepted vote was counted, once", "%d of %d; %d duplicate, %d over limit, %d refused, %d dead",
		counted, l.Accepted, states[events.Duplicate], states[events.OverLimit], states[events.Refused], states[events.Dead])
	if h.Settled >= 0 {
		say(h.Settled <= limits.Settle, fmt.Sprintf("all was counted within %s of the last answer", limits.Settle), "after %s", h.Settled.Round(10*time.Millisecond))
	} else {
		say(false, fmt.Sprintf("all was counted within %s of the last answer", limits.Settle), "not all was")
	}
	for _, f := range h.Watched.Functions {
		if f.Crashes > 0 {
			say(false, "no process of "+f.Name+" failed", "%d did", f.Crashes)
		}
		if f.Dead != nil && *f.Dead > 0 {
			say(false, "the source of "+f.Name+" gave up no event", "%d", *f.Dead)
		}
	}
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}

func reasons(of map[events.Code]int64) string {
	var out []string
	for _, code := range sortedKeys(of) {
		out = append(out, fmt.Sprintf("%s %d", code, of[code]))
	}
	return strings.Join(out, ", ")
}
