package main

import (
	"fmt"
	"strings"
	"time"
)

// The checks, in the order in which a report has them.
const (
	filesWhole   = "files"
	keyExpected  = "key"
	signed       = "checkpoint"
	rootMade     = "root"
	entriesHold  = "entries"
	openingsHold = "openings"
	tilesHold    = "tiles"
	sizeAgrees   = "size"
	noneTwice    = "unique"
	contestSame  = "contest"
	rulesSame    = "rules"
	votesAllowed = "votes"
	statedSo     = "statement"
	countsAgree  = "counts"
	boardAgrees  = "board"
	rulingsAgree = "annulments"
)

var checkNames = []string{
	filesWhole, keyExpected, signed, rootMade, entriesHold, openingsHold, tilesHold, sizeAgrees, noneTwice, contestSame, rulesSame,
	votesAllowed, statedSo, countsAgree, boardAgrees, rulingsAgree,
}

// Check is one thing that was looked at.
type Check struct {
	Name  string `json:"check"`
	Holds bool   `json:"holds"`
	// Says is what was found, or why it could not be looked at.
	Says string `json:"says"`
	// Faults say where it does not hold: the first of them, and in Count how many.
	Faults []string `json:"faults,omitempty"`
	Count  int      `json:"fault_count,omitempty"`

	reached bool
}

// toldFaults is how many faults of a check are told.
const toldFaults = 5

// fault notes that the check does not hold, and where.
func (c *Check) fault(text string, args ...any) {
	c.reached, c.Holds = true, false
	if c.Count++; c.Count <= toldFaults {
		c.Faults = append(c.Faults, fmt.Sprintf(text, args...))
	}
}

// say notes what was found. The check holds unless there is a fault.
func (c *Check) say(text string, args ...any) {
	c.reached, c.Holds = true, c.Count == 0
	c.Says = fmt.Sprintf(text, args...)
}

// Report is what is known of an archive after all of it was looked at.
type Report struct {
	Archive string    `json:"archive"`
	Contest string    `json:"contest,omitempty"`
	Origin  string    `json:"origin,omitempty"`
	MadeAt  time.Time `json:"made_at,omitzero"`
	Votes   uint64    `json:"votes"`
	Root    string    `json:"root,omitempty"`
	// Statement is the digest of the statement's bytes, to be held against the one
	// that was published.
	Statement string   `json:"statement_sha256,omitempty"`
	Holds     bool     `json:"holds"`
	Checks    []*Check `json:"checks"`
	// Notes are what should be known besides.
	Notes []string `json:"notes,omitempty"`
	// Vote is the one whose secret was given, if it is among the openings.
	Vote *Found `json:"vote,omitempty"`
}

// Found is a vote that was looked for by its secret.
type Found struct {
	Leaf    uint64 `json:"leaf"`
	Channel string `json:"channel"`
	Name    string `json:"name"`
	Album   string `json:"album"`
	Year    int32  `json:"year"`
	Rank    string `json:"rank"`
	State   string `json:"state"`
}

func newReport(of string) *Report {
	r := &Report{Archive: of}
	for _, name := range checkNames {
		r.Checks = append(r.Checks, &Check{Name: name, Says: "not reached"})
	}
	return r
}

func (r *Report) check(name string) *Check {
	for _, c := range r.Checks {
		if c.Name == name {
			return c
		}
	}
	panic("verify: no check " + name) // a programmer's fault
}

func (r *Report) note(text string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(text, args...))
}

// end adds up the report: an archive holds if each check was reached and holds.
func (r *Report) end() {
	r.Holds = true
	for _, c := range r.Checks {
		if c.Count > 0 && c.Says == "not reached" {
			c.Says = ""
		}
		r.Holds = r.Holds && c.reached && c.Holds
	}
}

// broken names the checks that do not hold; those that were not reached are not of
// them.
func (r *Report) broken() string {
	var names []string
	for _, c := range r.Checks {
		if c.reached && !c.Holds {
			names = append(names, c.Name)
		}
	}
	return strings.Join(names, ", ")
}
