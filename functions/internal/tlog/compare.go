package tlog

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"
	"sort"

	"marimba/events"
	"marimba/events/seal"
	"marimba/functions/internal/journal"
)

// Comparison says how the public log of a contest and the log of its votes stand to
// each other.
type Comparison struct {
	Contest string `json:"contest"`
	Batches int64  `json:"batches"`
	Leaves  uint64 `json:"leaves"`
	Votes   uint64 `json:"votes"` // counted ones in the log of votes
	// Few are votes that counted and have no leaf, Many leaves that no counted vote
	// stands behind. One of each is named.
	Few    uint64    `json:"leaves_few"`
	Many   uint64    `json:"leaves_many"`
	AFew   string    `json:"a_vote_without_leaf,omitempty"` // a receipt
	AMany  string    `json:"a_leaf_without_vote,omitempty"` // a place in the log
	Root   seal.Hash `json:"root"`                          // of the leaves, which the newest checkpoint has signed
	Behind bool      `json:"behind,omitempty"`              // the head does not tell of all batches
}

// Same reports whether the two are the same: each counted vote has its one leaf,
// and each leaf its vote.
func (c Comparison) Same() bool { return c.Few == 0 && c.Many == 0 }

// Compare holds the public log of a contest against the entries of its log of
// votes, of which each commitment is made again. So if the two are the same, the
// leaves, the tiles and the root follow from the log of votes. Every batch is held
// against its root and checkpoint first; an error says where one is not.
//
// It takes 40 bytes of memory for each leaf.
func (l *Log) Compare(
	ctx context.Context, contest string, secrets *seal.Secrets, entries iter.Seq2[journal.Entry, error],
) (Comparison, error) {
	c := Comparison{Contest: contest}
	leaves, err := l.leavesOf(ctx, &c)
	if err != nil {
		return Comparison{}, fmt.Errorf("compare the public log of %s: %w", contest, err)
	}
	for e, err := range entries {
		if err != nil {
			return Comparison{}, fmt.Errorf("compare the public log of %s: %w", contest, err)
		}
		for i := range e.Box.Votes {
			if e.Box.Contest != contest || e.States[i] != events.Counted {
				continue
			}
			v := &e.Box.Votes[i]
			receipt := events.Receipt(e.Box.ID, v.Index)
			c.Votes++
			if !leaves.mark(Commit(secrets, e.Box, v)) {
				c.Few, c.AFew = c.Few+1, receipt
			}
		}
	}
	for at, found := range leaves.found {
		if !found {
			c.Many, c.AMany = c.Many+1, fmt.Sprint(at)
		}
	}
	return c, nil
}

// Commit returns the commitment to a vote of a box: the entry of its leaf.
func Commit(secrets *seal.Secrets, b events.Box, v *events.Vote) seal.Hash {
	_, commitment := secrets.Commit(b.Contest, b.Channel, events.Receipt(b.ID, v.Index), v)
	return commitment
}

// leaves are the entries of a log, to be found by what they are.
type leaves struct {
	entries []seal.Hash // in the order of the log
	sorted  []uint32    // places in it, in the order of the entries
	found   []bool
}

func (l *Log) leavesOf(ctx context.Context, c *Comparison) (*leaves, error) {
	t := &tail{store: l.store, contest: c.Contest}
	t.tree = seal.NewTree(nil)
	all := new(leaves)
	for b, err := range batches(ctx, l.store, c.Contest, 1) {
		if err == nil {
			err = t.add(b)
		}
		if err == nil {
			err = b.verify()
		}
		if err != nil {
			return nil, err
		}
		for i := range int(b.Size - b.First) {
			all.entries = append(all.entries, b.entry(i))
		}
	}
	head, _, err := l.Head(ctx, c.Contest)
	if err != nil {
		return nil, err
	}
	c.Batches, c.Leaves, c.Root, c.Behind = t.n, t.tree.Size(), t.tree.Root(), head.N < t.n
	all.sorted = make([]uint32, len(all.entries))
	for i := range all.sorted {
		all.sorted[i] = uint32(i)
	}
	slices.SortFunc(all.sorted, func(a, b uint32) int { return bytes.Compare(all.entries[a][:], all.entries[b][:]) })
	all.found = make([]bool, len(all.entries))
	return all, nil
}

// mark notes that a vote stands behind a leaf of an entry, and reports whether
// there is one that none did before.
func (l *leaves) mark(entry seal.Hash) bool {
	i := sort.Search(len(l.sorted), func(i int) bool { return bytes.Compare(l.entries[l.sorted[i]][:], entry[:]) >= 0 })
	for ; i < len(l.sorted) && l.entries[l.sorted[i]] == entry; i++ {
		if at := l.sorted[i]; !l.found[at] {
			l.found[at] = true
			return true
		}
	}
	return false
}
