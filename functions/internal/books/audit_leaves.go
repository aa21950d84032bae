package main

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"

	"marimba/events"
	"marimba/events/seal"
	"marimba/functions/internal/journal"
	"marimba/functions/internal/kafka"
	"marimba/functions/internal/tlog"
)

// publicLog is the log of counted votes that everyone can check.
type publicLog interface {
	Batches(ctx context.Context, contest string) iter.Seq2[sealedBatch, error]
	Checkpoint(ctx context.Context, contest string) (sealedAs, bool, error)
}

// sealedAs is what a checkpoint says of a public log.
type sealedAs struct {
	Origin string `json:"origin"`
	Size   uint64 `json:"size"`
	Root   string `json:"root"` // in hex
}

// sealedBatch is what the public log got at one time.
type sealedBatch struct {
	n               int64
	first, size     uint64 // leaves before it, and with it
	root            seal.Hash
	checkpoint, key string
	leaves          iter.Seq[tlog.Leaf]
}

// sealedVotes is the public log in MongoDB.
type sealedVotes struct{ *tlog.Log }

func (s sealedVotes) Batches(ctx context.Context, contest string) iter.Seq2[sealedBatch, error] {
	return func(yield func(sealedBatch, error) bool) {
		for b, err := range s.Log.Batches(ctx, contest) {
			if !yield(sealedBatch{b.N, b.First, b.Size, b.Root, b.Checkpoint, b.Key, b.Leaves()}, err) {
				return
			}
		}
	}
}

// Checkpoint opens the newest checkpoint of a contest's log; ok is false if nothing
// of it was sealed.
func (s sealedVotes) Checkpoint(ctx context.Context, contest string) (as sealedAs, ok bool, err error) {
	head, ok, err := s.Head(ctx, contest)
	if err != nil || !ok {
		return sealedAs{}, false, err
	}
	verifier, err := seal.Verifier(head.Key)
	if err != nil {
		return sealedAs{}, false, err
	}
	c, err := seal.Open(head.Checkpoint, verifier)
	if err != nil {
		return sealedAs{}, false, err
	}
	return sealedAs{c.Origin, c.Size, c.Root.String()}, true, nil
}

// delivered tells how many events the sources have yet to deliver.
type delivered interface {
	Behind(ctx context.Context) (int64, error)
}

// sourceGroups asks Kafka how far the sources' groups are.
type sourceGroups struct{ topics *kafka.Client }

func (g sourceGroups) Behind(ctx context.Context) (int64, error) {
	var left int64
	for _, route := range events.Routes {
		for _, topic := range route.Reads {
			reach, err := g.topics.Reach(ctx, topic)
			if err != nil {
				return 0, err
			}
			committed, err := g.topics.Committed(ctx, events.GroupOf(route.Function), topic)
			if err != nil {
				return 0, err
			}
			for _, n := range reach.Behind(committed) {
				left += n
			}
		}
	}
	return left, nil
}

// sealing is what an audit knows of a logged vote and the public log: whether it
// was met there.
type sealing bool

// auditedLog is the public log of a contest, as an audit found it.
type auditedLog struct {
	Batches  int64  `json:"batches"`
	Leaves   int64  `json:"leaves"`
	Root     string `json:"root,omitempty"`
	Unsealed int64  `json:"unsealed"` // counted votes whose leaf is on its way
	Shelved  int64  `json:"shelved"`  // counted votes whose announcement is a dead letter
}

// readLeaves goes through the public log of each contest: its batches follow one on
// the other, each is what its checkpoint has signed, and each leaf is that of a vote
// which the log of votes calls counted, and of no other leaf.
func (a *audit) readLeaves(ctx context.Context) error {
	for _, id := range slices.Sorted(maps.Keys(a.accounts)) {
		if err := a.readLeavesOf(ctx, a.accounts[id]); err != nil {
			return err
		}
	}
	return nil
}

func (a *audit) readLeavesOf(ctx context.Context, of *account) error {
	tree := seal.NewTree(nil)
	for b, err := range a.public.Batches(ctx, of.contest.ID) {
		if err != nil {
			return err
		}
		of.sealed.Batches++
		if b.n != of.sealed.Batches || b.first != tree.Size() {
			a.faults.tell(logForged, of.contest.ID, 0, "batch %d begins at leaf %d, and %d batches before it end at %d", b.n, b.first, of.sealed.Batches-1, tree.Size())
		}
		boxes := make(map[string]*[events.MaxBoxVotes]uint32)
		for leaf := range b.leaves {
			tree.Append(leaf.Entry)
			places := boxes[leaf.Box]
			if places == nil {
				places = a.ledger.placesOf(of.contest.ID, leaf.Box)
				boxes[leaf.Box] = places
			}
			if err := a.leaf(ctx, of, leaf, places); err != nil {
				return err
			}
		}
		of.sealed.Leaves, of.sealed.Root = int64(tree.Size()), tree.Root().String()
		if err := signed(b, tree); err != nil {
			a.faults.tell(logForged, of.contest.ID, 0, "batch %d: %v", b.n, err)
		}
	}
	return nil
}

// signed returns an error unless a batch's checkpoint is of the tree that its
// leaves make.
func signed(b sealedBatch, tree *seal.Tree) error {
	if root := tree.Root(); b.root != root || b.size != tree.Size() {
		return fmt.Errorf("it says that the root of %d leaves is %s; that of %d leaves is %s", b.size, b.root, tree.Size(), root)
	}
	verifier, err := seal.Verifier(b.key)
	if err != nil {
		return err
	}
	c, err := seal.Open(b.checkpoint, verifier)
	if err != nil {
		return err
	}
	if c.Size != b.size || c.Root != b.root {
		return fmt.Errorf("its checkpoint is of %d leaves and root %s, and not of %d and %s", c.Size, c.Root, b.size, b.root)
	}
	return nil
}

// leaf holds a leaf against the log of votes. One of a box that was not there when
// the log was read may have come since: the log is asked once more.
func (a *audit) leaf(ctx context.Context, of *account, leaf tlog.Leaf, places *[events.MaxBoxVotes]uint32) error {
	receipt := events.Receipt(leaf.Box, leaf.Index)
	number := uint32(0)
	if leaf.Index >= 0 && leaf.Index < events.MaxBoxVotes {
		number = places[leaf.Index]
	}
	if number == 0 {
		row, ok, err := a.journal.Vote(ctx, leaf.Box, leaf.Index)
		switch {
		case err != nil:
			return err
		case !ok || row.Contest != of.contest.ID || row.State == events.Dead:
			a.faults.tell(leavesUnknown, of.contest.ID, 1, "leaf %d is of %s", leaf.At, receipt)
		case row.State != events.Counted:
			a.faults.tell(leavesMany, of.contest.ID, 1, "leaf %d is of %s, which is %s", leaf.At, receipt, row.State)
		}
		return nil
	}
	switch at := number - 1; {
	case a.ledger.standings[at] != isCounted:
		a.faults.tell(leavesMany, of.contest.ID, 1, "leaf %d is of %s, which is %s", leaf.At, receipt, a.ledger.standings[at].state())
	case bool(a.ledger.sealings[at]):
		a.faults.tell(leavesMany, of.contest.ID, 1, "leaf %d is of %s, which has another", leaf.At, receipt)
	default:
		a.ledger.sealings[at] = true
	}
	return nil
}

// placesOf returns, by index, the numbers in the ledger, plus 1, of the votes of a
// contest's box.
func (l *ledger) placesOf(contest, box string) *[events.MaxBoxVotes]uint32 {
	places := new([events.MaxBoxVotes]uint32)
	id, _ := l.idOf(box)
	in := l.boxes[id]
	if in.contest != l.contest(contest) {
		return places
	}
	for _, s := range [...]span{in.accepted, in.refused} {
		for number := s.first; number < s.first+uint32(s.n); number++ {
			places[l.index[number]] = number + 1
		}
	}
	return places
}

// checkLeaf looks whether a counted vote that was cast has its leaf. It is due if
// all that was cast before the audit began had been delivered to its end, the
// notary included, before the public log was read.
func (a *audit) checkLeaf(of *account, box string, index int, number uint32, newer bool) {
	switch {
	case a.ledger.standings[number] != isCounted || bool(a.ledger.sealings[number]):
	case a.unannounced[box]:
		of.sealed.Shelved++
	case newer || a.behind > 0:
		of.sealed.Unsealed++
	default:
		a.faults.tell(leavesFew, of.contest.ID, 1, "%s", events.Receipt(box, index))
	}
}

// isAnnouncement reports whether a dead letter tells of votes that are counted: none
// of them is dead with it.
func isAnnouncement(d journal.DeadLetter) bool { return d.Type == events.TypeCounted }
