package main

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/maphash"
	"slices"

	"github.com/google/uuid"

	"marimba/events"
)

// standing is where a vote is, in a byte: the place of its state in
// events.States or, last, nowhere yet.
type standing uint8

const (
	isCounted standing = iota
	isDuplicate
	isOverLimit
	isRefused
	isDead
	isOpen // cast, and neither logged nor dead
)

// standingOf returns the standing of a state of the log.
func standingOf(s events.State) (standing, bool) {
	i := slices.Index(events.States, s)
	return standing(i), i >= 0 && standing(i) < isDead
}

func (s standing) state() events.State { return events.States[s] }

// ledger is what an audit remembers of each vote in the log until it has met the
// vote in votes.cast: no text of it, but its state and two digests. The votes
// are numbered in the order in which they were read. There are no pointers in
// what grows with the votes, so that Go need not look through it for any.
type ledger struct {
	seed  maphash.Seed // drawn anew for each audit: nobody can prepare two votes of one digest
	boxes map[boxID]loggedBox
	names map[boxID]string  // of boxes whose ids are no UUIDs
	known map[string]uint32 // contests, by id: their numbers

	index     []uint16
	standings []standing
	sealings  []sealing
	cast      []uint64 // digests of what was cast
	judged    []uint64 // digests of what the rules made of it
}

// boxID is the id of a box: a UUID or, where that is none, a digest.
type boxID [16]byte

// loggedBox is a box that is in the log, in votes.cast, or in both.
type loggedBox struct {
	accepted, refused span
	record            uint64 // digest of the record it was cast in; 0: none was met
	contest           uint32 // number of the one that it is logged in; 0: it is not
}

// span is the votes of one document of the log.
type span struct {
	first uint32
	n     uint16
}

// maxVotes is how many votes a ledger numbers.
const maxVotes = 1<<32 - 1<<16

func newLedger() *ledger {
	return &ledger{seed: maphash.MakeSeed(), boxes: make(map[boxID]loggedBox), names: make(map[boxID]string), known: make(map[string]uint32)}
}

// contest returns the number of a contest, from 1.
func (l *ledger) contest(id string) uint32 {
	n, ok := l.known[id]
	if !ok {
		n = uint32(len(l.known) + 1)
		l.known[id] = n
	}
	return n
}

// id returns the id of a box by its text.
func (l *ledger) id(text string) boxID {
	id, isUUID := l.idOf(text)
	if !isUUID {
		l.names[id] = text
	}
	return id
}

// idOf is id for a box that the ledger need not know.
func (l *ledger) idOf(text string) (id boxID, isUUID bool) {
	if u, err := uuid.Parse(text); err == nil && u.String() == text {
		return boxID(u), true
	}
	sum := sha256.Sum256([]byte(text))
	return boxID(sum[:16]), false
}

// name is id's other way.
func (l *ledger) name(id boxID) string {
	if text, ok := l.names[id]; ok {
		return text
	}
	return uuid.UUID(id).String()
}

func (l *ledger) votes() int { return len(l.index) }

func (l *ledger) add(b *events.Box, v *events.Vote, s standing) {
	l.index = append(l.index, uint16(v.Index))
	l.standings = append(l.standings, s)
	l.sealings = append(l.sealings, false)
	l.cast = append(l.cast, l.castDigest(b, v))
	l.judged = append(l.judged, l.judgedDigest(v))
}

// castDigest is of all that the rules leave as it was cast.
func (l *ledger) castDigest(b *events.Box, v *events.Vote) uint64 {
	var h maphash.Hash
	h.SetSeed(l.seed)
	texts(&h, b.Contest, string(b.Channel), v.ID, string(v.VoterKey))
	castAt := int64(-1)
	if !v.CastAt.IsZero() {
		castAt = v.CastAt.UnixMilli()
	}
	numbers(&h, uint64(v.Year), uint64(v.Rank), uint64(v.At.UnixMilli()), uint64(castAt))
	return h.Sum64()
}

// judgedDigest is of all that the rules say.
func (l *ledger) judgedDigest(v *events.Vote) uint64 {
	var h maphash.Hash
	h.SetSeed(l.seed)
	texts(&h, v.Name, v.Album, string(v.Reason), v.Field)
	return h.Sum64()
}

// idKey is of what makes two votes the same one, within a contest.
func (l *ledger) idKey(v *events.Vote) uint64 {
	var h maphash.Hash
	h.SetSeed(l.seed)
	texts(&h, v.ID, string(v.VoterKey))
	return h.Sum64()
}

// limitKey is of what a contest's limit counts by; ok is false if the limit does
// not apply to the vote.
func (l *ledger) limitKey(c events.Contest, v *events.Vote) (key uint64, ok bool) {
	band := ""
	switch c.Limit.Mode {
	case events.PerContest, events.Replace:
	case events.PerBand:
		band = events.Fold(v.Name)
	default:
		return 0, false
	}
	var h maphash.Hash
	h.SetSeed(l.seed)
	texts(&h, string(v.VoterKey), band)
	return h.Sum64(), len(v.VoterKey) > 0
}

// texts adds texts with their lengths, so that no two lists are alike.
func texts(h *maphash.Hash, list ...string) {
	for _, s := range list {
		numbers(h, uint64(len(s)))
		h.WriteString(s) //nolint:errcheck // never fails
	}
}

func numbers(h *maphash.Hash, list ...uint64) {
	var b [8]byte
	for _, n := range list {
		binary.LittleEndian.PutUint64(b[:], n)
		h.Write(b[:]) //nolint:errcheck // never fails
	}
}

// recordDigest is of a record's value; it is never 0.
func (l *ledger) recordDigest(value []byte) uint64 { return maphash.Bytes(l.seed, value) | 1 }

// receipts returns the receipts of votes, by number. It goes through all boxes:
// it is for examples.
func (l *ledger) receipts(votes []uint32) map[uint32]string {
	slices.Sort(votes)
	out := make(map[uint32]string, len(votes))
	for id, b := range l.boxes {
		for _, s := range [...]span{b.accepted, b.refused} {
			i, _ := slices.BinarySearch(votes, s.first)
			for ; i < len(votes) && votes[i] < s.first+uint32(s.n); i++ {
				out[votes[i]] = events.Receipt(l.name(id), int(l.index[votes[i]]))
			}
		}
	}
	return out
}

// mark is a vote where votes are looked at in groups: those of one id, or those
// that one limit counts.
type mark struct {
	key      uint64
	at       int64  // time of receipt in ms
	vote     uint32 // number; of an open or dead one there is none
	standing standing
}

// groups calls visit with the marks of each key. It sorts the marks.
func groups(marks []mark, visit func([]mark)) {
	slices.SortFunc(marks, func(a, b mark) int {
		switch {
		case a.key < b.key:
			return -1
		case a.key > b.key:
			return 1
		}
		return 0
	})
	for len(marks) > 0 {
		n := 1
		for n < len(marks) && marks[n].key == marks[0].key {
			n++
		}
		visit(marks[:n])
		marks = marks[n:]
	}
}
