package counts

import (
	"crypto/sha256"
	"strconv"

	"marimba/events"
)

// Latest finds which counted votes of a contest a later vote of the same voter took
// the place of. Where the contest replaces none it takes no memory, and else some 100
// bytes for each voter.
type Latest struct {
	contest events.Contest
	held    map[brief]heldVote // by voter's key
}

// brief stands for a longer text. Two are equal by chance once in 2^64 of them.
type brief [16]byte

func briefOf(text []byte) brief {
	sum := sha256.Sum256(text)
	return brief(sum[:])
}

type heldVote struct {
	at, member int64
	receipt    brief
}

// NewLatest returns one to which nothing was added yet.
func NewLatest(c events.Contest) *Latest {
	return &Latest{contest: c, held: make(map[brief]heldVote)}
}

// Replaces reports whether the contest's votes may be replaced: else nothing need be
// added.
func (l *Latest) Replaces() bool { return l.contest.Limit.Mode == events.Replace }

// Add adds a counted vote of a box. Votes may come in any order, each once or more.
func (l *Latest) Add(box string, v *events.Vote) {
	if !l.Replaces() || len(v.VoterKey) == 0 {
		return
	}
	member, _ := strconv.ParseInt(placeOf(l.contest, *v).id.member, 10, 64) // it was written of one
	mine := heldVote{v.At.UnixMilli(), member, receiptOf(box, v)}
	key := briefOf(v.VoterKey)
	if other, ok := l.held[key]; ok && mine.before(other) {
		return
	}
	l.held[key] = mine
}

// before reports whether a vote gives way to another: as the counts have it, which
// compare marks as texts.
func (h heldVote) before(other heldVote) bool {
	if h.at != other.at {
		return h.at < other.at
	}
	return strconv.FormatInt(h.member, 10) < strconv.FormatInt(other.member, 10)
}

// Replaced reports whether a vote of a box gave way to a later one. All votes must
// have been added.
func (l *Latest) Replaced(box string, v *events.Vote) bool {
	if !l.Replaces() || len(v.VoterKey) == 0 {
		return false
	}
	return l.held[briefOf(v.VoterKey)].receipt != receiptOf(box, v)
}

func receiptOf(box string, v *events.Vote) brief {
	return briefOf([]byte(events.Receipt(box, v.Index)))
}
