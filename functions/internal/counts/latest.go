package counts

import "marimba/events"

// Latest finds which counted votes of a contest a later vote of the same voter took
// the place of. Where the contest replaces none it takes no memory, and else some 250
// bytes for each voter.
type Latest struct {
	contest events.Contest
	held    map[string]heldVote // by voter's key
}

type heldVote struct {
	at              int64
	member, receipt string
}

// NewLatest returns one to which nothing was added yet.
func NewLatest(c events.Contest) *Latest {
	return &Latest{contest: c, held: make(map[string]heldVote)}
}

// Replaces reports whether the contest's votes may be replaced: else nothing need be
// added.
func (l *Latest) Replaces() bool { return l.contest.Limit.Mode == events.Replace }

// Add adds a counted vote of a box. Votes may come in any order, each once or more.
func (l *Latest) Add(box string, v *events.Vote) {
	if !l.Replaces() || len(v.VoterKey) == 0 {
		return
	}
	mine := heldVote{v.At.UnixMilli(), placeOf(l.contest, *v).id.member, events.Receipt(box, v.Index)}
	other, ok := l.held[string(v.VoterKey)]
	if ok && (mine.at < other.at || mine.at == other.at && mine.member < other.member) {
		return
	}
	l.held[string(v.VoterKey)] = mine
}

// Replaced reports whether a vote of a box gave way to a later one. All votes must
// have been added.
func (l *Latest) Replaced(box string, v *events.Vote) bool {
	if !l.Replaces() || len(v.VoterKey) == 0 {
		return false
	}
	return l.held[string(v.VoterKey)].receipt != events.Receipt(box, v.Index)
}
