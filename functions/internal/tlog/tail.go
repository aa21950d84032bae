package tlog

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"marimba/events/seal"
)

// tail is the end of a contest's log as a writer knows it: the last batch, and the
// tree's edge. It is of no use any more after an error, of which it cannot tell
// what was done; the log is opened again then.
type tail struct {
	store   store
	contest string
	n       int64 // the last batch
	tree    *seal.Tree
	full    []seal.Tile // finished, and not kept yet
	recent  recent
}

// errBehind says that the log has gone on without this tail.
var errBehind = errors.New("the log is longer than was known")

// While a tail follows a log it rolls forward each so many tiles, which takes 2 MiB,
// or batches, so that whoever runs out of time has come further.
const (
	rollTiles   = 256
	rollBatches = 256
)

// open opens a contest's log at its end. What a writer before left undone of its
// last batch is done.
func open(ctx context.Context, s store, contest string) (*tail, error) {
	d, ok, err := s.head(ctx, contest)
	if err != nil {
		return nil, err
	}
	t := &tail{store: s, contest: contest}
	if !ok {
		t.tree = seal.NewTree(t.finished)
		return t, t.follow(ctx, t.advance)
	}
	h, err := d.read()
	if err != nil {
		return nil, err
	}
	t.n = h.N
	if t.tree, err = seal.RestoreTree(h.Size, tiles{ctx, s, h}, t.finished); err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", contest, err)
	}
	if t.tree.Root() != h.Root {
		return nil, fmt.Errorf("open the log of %s: its head is not of its root; the log is to be rebuilt", contest)
	}
	return t, t.follow(ctx, t.advance)
}

func (t *tail) finished(tile seal.Tile) {
	if tile.Level != 0 { // which is made of the entries
		t.full = append(t.full, tile)
	}
}

// follow goes along the batches behind the tail, and rolls them forward with roll.
func (t *tail) follow(ctx context.Context, roll func(context.Context, Batch) error) error {
	var last Batch
	for b, err := range batches(ctx, t.store, t.contest, t.n+1) {
		if err != nil {
			return err
		}
		if err := t.add(b); err != nil {
			return err
		}
		last = b
		if len(t.full) >= rollTiles || b.N%rollBatches == 0 {
			if err := roll(ctx, b); err != nil {
				return err
			}
			last = Batch{}
		}
	}
	if last.N == 0 {
		return nil
	}
	return roll(ctx, last)
}

// add grows the tree by a batch that is committed, and holds it against what the
// batch says of itself.
func (t *tail) add(b Batch) error {
	if b.First != t.tree.Size() || b.N != t.n+1 {
		return fmt.Errorf("batch %d of %s begins at %d, and the log ends at %d", b.N, t.contest, b.First, t.tree.Size())
	}
	for i := range int(b.Size - b.First) {
		t.tree.Append(b.entry(i))
	}
	t.n = b.N
	if root := t.tree.Root(); root != b.Root {
		return fmt.Errorf("batch %d of %s says that its root is %s, and it is %s", b.N, t.contest, b.Root, root)
	}
	return nil
}

// advance keeps the finished tiles and replaces the head: steps 3 and 4 of a
// batch.
func (t *tail) advance(ctx context.Context, b Batch) error {
	if len(t.full) > 0 {
		if err := t.store.keep(ctx, t.documents()); err != nil {
			return err
		}
		t.full = nil
	}
	return t.store.advance(ctx, t.headOf(b))
}

func (t *tail) documents() []tileDocument {
	out := make([]tileDocument, len(t.full))
	for i, tile := range t.full {
		out[i] = tileDocument{tileID(t.contest, tile.Level, tile.Index), tile.Data}
	}
	return out
}

func (t *tail) headOf(b Batch) headDocument {
	h := headDocument{
		Contest: t.contest, N: b.N, Size: int64(b.Size), Root: b.Root[:], Checkpoint: b.Checkpoint, Key: b.Key,
		Edge: []edgeDocument{}, // an array in any case
	}
	for _, tile := range t.tree.Edge() {
		if tile.Level != 0 {
			h.Edge = append(h.Edge, edgeDocument{int32(tile.Level), tile.Data})
		}
	}
	return h
}

// seal brings boxes into the log that are not in it, as one batch, and returns
// when all of them are and the head tells so.
func (t *tail) seal(ctx context.Context, p pen, boxes []Box) error {
	claimed, err := t.claim(ctx, boxes)
	if err != nil || len(claimed) == 0 {
		return err
	}
	d, err := t.grow(p, claimed)
	if err != nil {
		return err
	}
	ok, err := t.store.commit(ctx, d)
	if err != nil {
		return err
	}
	if !ok {
		return errBehind
	}
	b, err := d.batch()
	if err != nil {
		return err
	}
	if err := t.advance(ctx, b); err != nil {
		return err
	}
	for _, box := range claimed {
		t.recent.add(box.ID)
	}
	return nil
}

// leaf is a leaf of a batch that is being made.
type leaf struct {
	begin      uint64 // of the entry: leaves are put in order by it, which takes half the time
	entry      *seal.Hash
	box, index uint16
}

func (a leaf) compare(b leaf) int {
	if a.begin != b.begin {
		return cmp.Compare(a.begin, b.begin)
	}
	return bytes.Compare(a.entry[:], b.entry[:])
}

// grow makes the next batch of boxes, and grows the tree by it.
func (t *tail) grow(p pen, boxes []Box) (batchDocument, error) {
	names, votes := make([]string, len(boxes)), 0
	for i, box := range boxes {
		names[i] = box.ID
		votes += len(box.Votes)
	}
	leaves := make([]leaf, 0, votes)
	for i, box := range boxes {
		for j := range box.Votes {
			v := &box.Votes[j]
			leaves = append(leaves, leaf{binary.BigEndian.Uint64(v.Entry[:]), &v.Entry, uint16(i), uint16(v.Index)})
		}
	}
	slices.SortFunc(leaves, leaf.compare)
	t.n++
	d := batchDocument{
		ID: batchID(t.contest, t.n), Contest: t.contest, N: t.n, First: int64(t.tree.Size()), Boxes: names,
		Order: make([]byte, 0, len(leaves)*placeSize), Leaves: make([]byte, 0, len(leaves)*seal.HashSize),
	}
	for i := range leaves {
		one := &leaves[i]
		d.Order = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(d.Order, one.box), one.index)
		d.Leaves = append(d.Leaves, one.entry[:]...)
		t.tree.Append(*one.entry)
	}
	root := t.tree.Root()
	d.Size, d.Root, d.Key = int64(t.tree.Size()), root[:], p.key
	var err error
	d.Checkpoint, err = p.sign(t.tree.Size(), root)
	return d, err
}

// recentSize bounds the boxes that a tail remembers to be sealed, of which a
// source may send some again.
const recentSize = 1024

// recent remembers the boxes that were sealed last.
type recent struct {
	known map[string]struct{}
	ring  []string
	next  int
}

func (r *recent) has(box string) bool {
	_, ok := r.known[box]
	return ok
}

func (r *recent) add(box string) {
	if r.has(box) {
		return
	}
	if r.known == nil {
		r.known = make(map[string]struct{})
	}
	r.known[box] = struct{}{}
	if len(r.ring) < recentSize {
		r.ring = append(r.ring, box)
		return
	}
	delete(r.known, r.ring[r.next])
	r.ring[r.next] = box
	r.next = (r.next + 1) % recentSize
}
