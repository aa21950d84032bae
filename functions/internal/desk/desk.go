// Package desk is where a ballot is handed in, by whichever door: it is read,
// the contest's rules are asked for early feedback, and the voter's name is
// exchanged for a key. What passes is ready to be cast.
package desk

import (
	"time"

	"marimba/events"
	"marimba/events/rules"
)

// Keys exchanges a voter for a key that tells nothing about the voter.
type Keys interface {
	Key(contest, voter string) []byte
}

// Contests finds a contest by its id.
type Contests interface {
	Contest(id string) (events.Contest, bool)
	IDs() []string
}

// Desk admits ballots. It may be used by many goroutines.
type Desk struct {
	rules map[string]*rules.Rules // by contest
	keys  Keys
	now   func() time.Time
}

// New returns a desk for the contests that there are.
func New(contests Contests, keys Keys) *Desk {
	d := &Desk{rules: make(map[string]*rules.Rules), keys: keys, now: time.Now}
	for _, id := range contests.IDs() {
		if c, ok := contests.Contest(id); ok {
			d.rules[id] = rules.New(c)
		}
	}
	return d
}

// Has returns a refusal if there is no such contest.
func (d *Desk) Has(contest string) *events.Refusal {
	if d.rules[contest] == nil {
		return events.Refuse(events.ContestUnknown, "contest", "contest", contest)
	}
	return nil
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
// voter key. It is early feedback: screen judges again, and decides.
func (d *Desk) Judge(contest, voter string, v *events.Vote) *events.Refusal {
	if no := d.Has(contest); no != nil {
		return no
	}
	if voter != "" {
		v.VoterKey = d.keys.Key(contest, voter)
	}
	v.At = d.now()
	return d.rules[contest].Judge(v)
}
