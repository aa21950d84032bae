package counts

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"marimba/events"
)

// separator stands between texts in one field. It is a control character, which
// no name or title holds.
const separator = "\x1f"

// Entry is a box as it was judged: the votes of one cast box that were admitted,
// or those that were refused. A refused vote has a Reason.
type Entry struct {
	ID  string // of the event that carried it: "<box id>/accepted"
	Box events.Box
}

// Answer is what became of an entry's votes.
type Answer struct {
	// Attempt names the decision: "<life>:<name>". It belongs into the log with the
	// states.
	Attempt string
	// Life is that of the counts in which it was made.
	Life int64
	// States has one of counted, duplicate, over_limit and refused for each vote
	// of the entry, in their order.
	States []events.State

	parts []part
}

// part is the votes of an entry that belong to one shard.
type part struct {
	shard  int
	votes  []int // indexes into the entry's votes
	places []place
}

var stateOf = map[byte]events.State{
	'c': events.Counted,
	'd': events.Duplicate,
	'o': events.OverLimit,
	'r': events.Refused,
}

var letterOf = map[events.State]byte{
	events.Counted:   'c',
	events.Duplicate: 'd',
	events.OverLimit: 'o',
	events.Refused:   'r',
}

// Count decides what becomes of each vote of an entry, and counts those that
// count. It is atomic for each shard and may be repeated, also while another
// process does the same: until the entry is settled every repetition has the
// same answer, and afterwards its votes are duplicates.
//
// Under a limit the votes that Redis comes to see first count, but in mode
// replace the latest by time of receipt does; of equal ones the greater hash of
// the id.
//
// ErrLife says that the counts are to be mended first, ErrHeld that they are
// just being recounted. After any other error it may or may not have happened.
// After each of them the entry is to be counted again.
func (s *Store) Count(ctx context.Context, c events.Contest, e Entry) (Answer, error) {
	parts := split(c, e)
	attempt := freshName()
	calls := make([]call, len(parts))
	for i, p := range parts {
		calls[i] = call{base(c.ID, p.shard), countArgs(c, e, p, attempt)}
	}
	cmds, err := s.run(ctx, countScript, calls)
	if err != nil {
		return Answer{}, fmt.Errorf("count %s: %w", e.ID, err)
	}
	answer := Answer{States: make([]events.State, len(e.Box.Votes)), parts: parts}
	names := make([]string, len(parts))
	for i, p := range parts {
		kept, err := cmds[i].Text()
		if err != nil {
			return Answer{}, fmt.Errorf("count %s: %w", e.ID, err)
		}
		life, name, letters, ok := parseKept(kept)
		if !ok || len(letters) != len(p.votes) {
			return Answer{}, fmt.Errorf("count %s: %d votes in shard %d are pending as %q", e.ID, len(p.votes), p.shard, kept)
		}
		if i > 0 && life != answer.Life {
			return Answer{}, fmt.Errorf("count %s: %w", e.ID, &LifeError{"another began meanwhile"})
		}
		answer.Life, names[i] = life, name
		for k, vote := range p.votes {
			answer.States[vote] = stateOf[letters[k]]
		}
	}
	answer.Attempt = fmt.Sprintf("%d:%s", answer.Life, strings.Join(names, ","))
	return answer, nil
}

// parseKept takes a decision apart, as it is kept under pending.
func parseKept(kept string) (life int64, name, letters string, ok bool) {
	attempt, letters, ok := strings.Cut(kept, "|")
	number, name, numbered := strings.Cut(attempt, ":")
	life, err := strconv.ParseInt(number, 10, 64)
	return life, name, letters, ok && numbered && err == nil
}

// split puts an entry's votes to their shards, in the order of the shards.
// Refused votes, of which only figures are kept, all go where the entry's id
// says.
func split(c events.Contest, e Entry) []part {
	parts := make([]part, shards(c))
	refused := markOf(len(parts), "refused", c.ID, e.ID, nil).shard
	for i, v := range e.Box.Votes {
		p := place{shard: refused}
		if v.Reason == "" {
			p = placeOf(c, v)
		}
		to := &parts[p.shard]
		to.shard = p.shard
		to.votes = append(to.votes, i)
		to.places = append(to.places, p)
	}
	return slices.DeleteFunc(parts, func(p part) bool { return len(p.votes) == 0 })
}

func countArgs(c events.Contest, e Entry, p part, attempt string) []any {
	type cell struct {
		band, album string
		rank        int32
	}
	numbers := make(map[cell]int) // of the fields, from 1
	var fields []any
	votes := make([]any, 0, 6*len(p.votes))
	mode := modeOf(c)
	limited := mode != string(events.NoLimit)
	for k, i := range p.votes {
		v, at := &e.Box.Votes[i], p.places[k]
		of := cell{v.Name, v.Album, v.Rank}
		n, ok := numbers[of]
		if !ok {
			fields = append(fields, fieldOf(v))
			n = len(fields)
			numbers[of] = n
		}
		votes = append(votes, at.id.bucket, at.id.member, n)
		if limited {
			votes = append(votes, at.voter.bucket, at.voter.member, v.At.UnixMilli())
		}
	}
	args := make([]any, 0, 6+len(fields)+len(votes))
	args = append(args, e.ID, attempt, mode, c.Limit.N, len(fields))
	return append(append(args, fields...), votes...)
}

func modeOf(c events.Contest) string { return string(cmp.Or(c.Limit.Mode, events.NoLimit)) }

// fieldOf is the field of the tally that a vote adds to.
func fieldOf(v *events.Vote) string {
	return v.Name + separator + v.Album + separator + strconv.Itoa(int(v.Rank))
}

// freshName is a name that nothing else has.
func freshName() string {
	var b [8]byte
	rand.Read(b[:]) //nolint:errcheck // never fails
	return hex.EncodeToString(b[:])
}
