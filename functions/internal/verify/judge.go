package main

import (
	"fmt"
	"time"

	"marimba/events"
	"marimba/events/rules"
	"marimba/events/seal"
)

// judge holds votes to a contest's rules. What an archive does not hold of a vote is
// stood in for: an instant when the contest was open, and a voter where one is
// asked for.
type judge struct {
	rules *rules.Rules
	at    time.Time
	voter []byte
	known map[ballot]string
}

// ballot is what a judgement depends on.
type ballot struct {
	name, album string
	year, rank  int32
}

// maxKnown bounds the ballots whose judgement is kept. Most votes of a contest are
// the same as others.
const maxKnown = 1 << 16

func newJudge(c events.Contest, house []byte) *judge {
	j := &judge{rules: rules.NewBy(house, c), known: make(map[ballot]string), at: openInstant(c)}
	if c.VoterRequired {
		j.voter = make([]byte, 32)
	}
	return j
}

// openInstant is the last instant at which a contest took votes.
func openInstant(c events.Contest) time.Time {
	if !c.ClosesAt.IsZero() {
		return c.ClosesAt.Add(-time.Millisecond)
	}
	return c.OpensAt
}

// fault returns what the rules have against a vote; empty: nothing.
func (j *judge) fault(o *seal.Opening) string {
	b := ballot{o.Name, o.Album, o.Year, o.Rank}
	fault, ok := j.known[b]
	if ok {
		return fault
	}
	v := events.Vote{ID: "sealed", Name: o.Name, Album: o.Album, Year: o.Year, Rank: o.Rank, At: j.at, VoterKey: j.voter}
	switch no, err := j.rules.Judge(&v); {
	case err != nil:
		fault = "cannot be judged: " + err.Error()
	case no != nil:
		fault = "is refused by the rules: " + no.Error()
	case v.Name != o.Name || v.Album != o.Album:
		fault = fmt.Sprintf("is spelled by the rules as %q, %q", v.Name, v.Album)
	}
	if len(j.known) < maxKnown {
		j.known[b] = fault
	}
	return fault
}
