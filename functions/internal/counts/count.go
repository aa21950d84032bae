package counts

import (
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
	// Attempt names the decision. It belongs into the log with the states.
	Attempt string
	// States has one of counted, duplicate, over_limit and refused for each vote
	// of the entry, in their order.
	States []events.State

	parts []part
}

// part is the votes of an entry that belong to one shard.
type part struct {
	shard   int
	votes   []int // indexes into the entry's votes
	places  []place
	attempt string
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
// An error says that it may or may not have happened: it is to be repeated.
func (s *Store) Count(ctx context.Context, c events.Contest, e Entry) (Answer, error) {
	return s.count(ctx, c, e, freshAttempt(), nil)
}

// Restore puts an entry of the log back into counts that lost it: the states
// that the log holds are carried out, not decided again. It is for counts that
// are empty when the first entry comes (Empty tells), since what it adds to the
// figures it adds each time. The entries may come in any order.
func (s *Store) Restore(ctx context.Context, c events.Contest, e Entry, states []events.State) error {
	if len(states) != len(e.Box.Votes) {
		return fmt.Errorf("restore %s: %d states for %d votes", e.ID, len(states), len(e.Box.Votes))
	}
	answer, err := s.count(ctx, c, e, "restore", states)
	if err != nil {
		return err
	}
	// What the votes did to the counts is one thing, what the log says of them
	// another: the figures are the log's.
	answer.States = states
	return s.Settle(ctx, c, e, answer, answer.Attempt)
}

func (s *Store) count(ctx context.Context, c events.Contest, e Entry, attempt string, decided []events.State) (Answer, error) {
	parts := split(c, e)
	calls := make([]call, len(parts))
	for i, p := range parts {
		calls[i] = call{base(c.ID, p.shard), countArgs(c, e, p, attempt, decided)}
	}
	cmds, err := s.run(ctx, countScript, countSource, calls)
	if err != nil {
		return Answer{}, fmt.Errorf("count %s: %w", e.ID, err)
	}
	answer := Answer{States: make([]events.State, len(e.Box.Votes)), parts: parts}
	attempts := make([]string, len(parts))
	for i, p := range parts {
		kept, err := cmds[i].Text()
		if err != nil {
			return Answer{}, fmt.Errorf("count %s: %w", e.ID, err)
		}
		name, letters, ok := strings.Cut(kept, "|")
		if !ok || len(letters) != len(p.votes) {
			return Answer{}, fmt.Errorf("count %s: %d votes in shard %d are pending as %q", e.ID, len(p.votes), p.shard, kept)
		}
		parts[i].attempt, attempts[i] = name, name
		for k, vote := range p.votes {
			answer.States[vote] = stateOf[letters[k]]
		}
	}
	answer.Attempt = strings.Join(attempts, ",")
	return answer, nil
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

func countArgs(c events.Contest, e Entry, p part, attempt string, decided []events.State) []any {
	mode := c.Limit.Mode
	if mode == "" {
		mode = events.NoLimit
	}
	var letters []byte
	if decided != nil {
		for _, i := range p.votes {
			letters = append(letters, letterOf[decided[i]])
		}
	}
	numbers := make(map[string]int) // of the fields, from 1
	var fields []any
	votes := make([]any, 0, 6*len(p.votes))
	for k, i := range p.votes {
		v, at := &e.Box.Votes[i], p.places[k]
		field := fieldOf(v)
		n, ok := numbers[field]
		if !ok {
			fields = append(fields, field)
			n = len(fields)
			numbers[field] = n
		}
		votes = append(votes, at.id.bucket, at.id.member, n,
			at.voter.bucket, at.voter.member, v.At.UnixMilli())
	}
	args := make([]any, 0, 6+len(fields)+len(votes))
	args = append(args, e.ID, attempt, string(mode), c.Limit.N, string(letters), len(fields))
	return append(append(args, fields...), votes...)
}

// fieldOf is the field of the tally that a vote adds to.
func fieldOf(v *events.Vote) string {
	return v.Name + separator + v.Album + separator + strconv.Itoa(int(v.Rank))
}

// freshAttempt is a name that no other attempt has.
func freshAttempt() string {
	var b [8]byte
	rand.Read(b[:]) //nolint:errcheck // never fails
	return hex.EncodeToString(b[:])
}
