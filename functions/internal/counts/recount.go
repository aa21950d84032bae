package counts

import (
	"errors"
	"fmt"
	"maps"
	"strings"

	"marimba/events"
)

// Recount adds up what the log says of one contest, without Redis. It is what
// the counts in Redis are held against. It takes memory for each band, album and
// rank and, in mode replace, some 150 bytes for each voter.
type Recount struct {
	contest events.Contest
	tally   Histogram
	lines   map[line]*line  // in mode replace: those that a voter's vote is for
	latest  map[string]held // in mode replace: by voter's key
	figures Figures

	annuls   func(events.Channel, *events.Vote) bool // nil: none is
	annulled Annulled
}

// Annulled is what of the counted votes is annulled.
type Annulled struct {
	Votes map[events.Channel]int64
	// Replaced is how many of them are not on the board anyway: a later vote of the
	// same voter had taken their place.
	Replaced int64
	Tally    Histogram // of the others: what the board is without
}

// line is what a vote is for.
type line struct {
	name, album string
	rank        int32
}

// held is the vote of a voter that counts, in mode replace.
type held struct {
	at     int64
	member string
	line   *line

	annulled bool
}

// NewRecount returns a recount to which nothing was added yet.
func NewRecount(c events.Contest) *Recount {
	return &Recount{
		contest: c, tally: make(Histogram), lines: make(map[line]*line), latest: make(map[string]held),
		figures: Figures{
			Votes:   make(map[events.Channel]map[events.State]int64),
			Reasons: make(map[events.Code]int64),
		},
		annulled: Annulled{Votes: make(map[events.Channel]int64), Tally: make(Histogram)},
	}
}

// Annul says which of the counted votes are annulled, before any is added. Tally and
// Figures are the same with it and without.
func (r *Recount) Annul(which func(events.Channel, *events.Vote) bool) { r.annuls = which }

// Add adds an entry of the log with the states that the log holds. The entries
// may come in any order, each once.
func (r *Recount) Add(e Entry, states []events.State) error {
	if len(states) != len(e.Box.Votes) {
		return fmt.Errorf("recount %s: %d states for %d votes", e.ID, len(states), len(e.Box.Votes))
	}
	channel := r.figures.Votes[e.Box.Channel]
	if channel == nil {
		channel = make(map[events.State]int64)
		r.figures.Votes[e.Box.Channel] = channel
	}
	for i, v := range e.Box.Votes {
		channel[states[i]]++
		switch states[i] {
		case events.Refused:
			r.figures.Reasons[v.Reason]++
		case events.Counted:
			r.count(e.Box.Channel, v)
		}
	}
	return nil
}

func (r *Recount) count(channel events.Channel, v events.Vote) {
	to := line{v.Name, v.Album, v.Rank}
	annulled := r.annuls != nil && r.annuls(channel, &v)
	if annulled {
		r.annulled.Votes[channel]++
	}
	if r.contest.Limit.Mode != events.Replace || len(v.VoterKey) == 0 {
		r.stand(to, annulled, 1)
		return
	}
	if r.lines[to] == nil {
		kept := to.cloned()
		r.lines[kept] = &kept
	}
	mine := held{v.At.UnixMilli(), placeOf(r.contest, v).id.member, r.lines[to], annulled}
	other, ok := r.latest[string(v.VoterKey)]
	if ok {
		r.figures.Replaced++
		if mine.at < other.at || mine.at == other.at && mine.member < other.member {
			r.give(mine)
			return
		}
		r.give(other)
		r.stand(*other.line, other.annulled, -1)
	}
	r.latest[string(v.VoterKey)] = mine
	r.stand(to, annulled, 1)
}

// stand puts votes on the board, or takes them off it.
func (r *Recount) stand(to line, annulled bool, n int64) {
	r.tally.Add(to.name, to.album, to.rank, n)
	if annulled {
		r.annulled.Tally.Add(to.name, to.album, to.rank, n)
	}
}

// give notes that a vote gave way to a later one.
func (r *Recount) give(way held) {
	if way.annulled {
		r.annulled.Replaced++
	}
}

// cloned shares no memory with the box that the line was read from.
func (l line) cloned() line {
	return line{strings.Clone(l.name), strings.Clone(l.album), l.rank}
}

// Tally is what Store.Tally should say.
func (r *Recount) Tally() Histogram { return r.tally.Folded() }

// Figures is what Store.Figures should say.
func (r *Recount) Figures() Figures { return r.figures }

// Annulled is what of the votes is annulled. Annulling the vote that took another's
// place does not bring the other back: its voter had given it up.
func (r *Recount) Annulled() Annulled { return r.annulled }

// Differ returns an error that names the differences between two figures, or nil
// if they are the same.
func (f Figures) Differ(other Figures) error {
	var faults []error
	for _, channel := range events.Channels {
		for _, state := range events.States {
			if a, b := f.Votes[channel][state], other.Votes[channel][state]; a != b {
				faults = append(faults, fmt.Errorf("%s %s: %d and %d", channel, state, a, b))
			}
		}
	}
	if f.Replaced != other.Replaced {
		faults = append(faults, fmt.Errorf("replaced: %d and %d", f.Replaced, other.Replaced))
	}
	if !maps.Equal(f.Reasons, other.Reasons) {
		faults = append(faults, fmt.Errorf("reasons: %v and %v", f.Reasons, other.Reasons))
	}
	return errors.Join(faults...)
}
