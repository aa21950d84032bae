// Package desk is where a ballot is handed in, by whichever door: it is read,
// the contest's rules are asked for early feedback, and the voter's name is
// exchanged for a key. What passes is ready to be cast.
package desk

import (
	"log/slog"
	"time"

	"marimba/events"
	"marimba/events/rules"
	"marimba/functions/internal/judges"
	"marimba/functions/internal/telemetry"
)

// Keys exchanges a voter for a key that tells nothing about the voter.
type Keys interface {
	// Key returns an error if the contest's key is not to be had: then a voter
	// would be another one.
	Key(contest, voter string) ([]byte, error)
}

// Desk admits ballots. It may be used by many goroutines.
type Desk struct {
	judges *judges.Judges
	keys   Keys
	now    func() time.Time
}

// New returns a desk for the contests that there are, as they stand when a ballot
// comes.
func New(contests judges.Contests, keys Keys) *Desk {
	telemetry.Door()
	return &Desk{judges: judges.Of(contests), keys: keys, now: time.Now}
}

// Has returns a refusal if there is no such contest.
func (d *Desk) Has(contest string) *events.Refusal {
	if d.judges.For(contest) == nil {
		return unknown(contest)
	}
	return nil
}

func unknown(contest string) *events.Refusal {
	return events.Refuse(events.ContestUnknown, "contest", "contest", contest)
}

// Read returns the ballot that one vote in JSON is, or why it is none: the bytes
// of whoever sends some are read in a sandbox. A strict reader refuses fields
// that are not known, and numbers where a text belongs.
func Read(data []byte, strict bool) (events.Ballot, *events.Refusal) {
	b, no, err := rules.Read(data, strict)
	if err != nil {
		slog.Error("vote not read", "error", err)
		return events.Ballot{}, events.Refuse(events.Unavailable, "")
	}
	return b, no
}

// Admit returns the vote that a ballot holds and the contest it is for, or why
// it is refused. A ballot that names no contest is for the default one.
func (d *Desk) Admit(reading *events.Reading, b events.Ballot) (contest string, v events.Vote, no *events.Refusal) {
	if v, no = reading.Read(b); no != nil {
		return "", events.Vote{}, no
	}
	contest = b.Contest
	if contest == "" {
		contest = events.DefaultContest
	}
	if no = d.Judge(contest, b.Voter, &v); no != nil {
		return "", events.Vote{}, no
	}
	return contest, v, nil
}

// Judge applies the contest's rules to a vote that has been read, and sets its
// voter key and its time of receipt, which it keeps: a vote that is admitted here
// is in time. The rest is early feedback: screen judges again, and decides. If the
// rules give no answer, or there is no key, the refusal is events.Unavailable, and the one that may be
// another when the vote is handed in again.
func (d *Desk) Judge(contest, voter string, v *events.Vote) *events.Refusal {
	judge := d.judges.For(contest)
	if judge == nil {
		return unknown(contest)
	}
	if voter != "" {
		key, err := d.keys.Key(contest, voter)
		if err != nil {
			slog.Error("voter's key not made", "contest", contest, "error", err)
			return events.Refuse(events.Unavailable, "")
		}
		v.VoterKey = key
	}
	v.At = d.now().UTC().Truncate(time.Millisecond)
	no, err := judge.Judge(v)
	if err != nil {
		slog.Error("vote not judged", "contest", contest, "error", err)
		return events.Refuse(events.Unavailable, "")
	}
	return no
}
