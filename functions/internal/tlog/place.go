package tlog

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	"marimba/events/seal"
)

// Place is where a vote is in its contest's log.
type Place struct {
	Leaf  uint64
	Entry seal.Hash
	N     int64 // of its batch
}

// maxClaims bounds how often a box can be claimed: once, and once more for each
// time that a writer ended between its claim and its batch.
const maxClaims = 1000

// Place returns where the vote with an index in a box is, and whether it is in the
// log. It may be there a moment before the head tells of it.
func (l *Log) Place(ctx context.Context, contest, box string, index int) (Place, bool, error) {
	for k := 1; k <= maxClaims; k++ {
		n, ok, err := l.store.claimed(ctx, claimID(contest, box, k))
		if err != nil || !ok {
			return Place{}, false, err
		}
		b, ok, err := l.batch(ctx, contest, n)
		if err != nil || !ok {
			return Place{}, false, err
		}
		if ordinal := slices.Index(b.Boxes, box); ordinal >= 0 {
			place, ok := b.find(ordinal, index)
			return place, ok, nil
		}
	}
	return Place{}, false, fmt.Errorf("box %s is claimed more than %d times", box, maxClaims)
}

func (b Batch) find(ordinal, index int) (Place, bool) {
	for i := range len(b.order) / placeSize {
		place := b.order[i*placeSize:]
		if int(binary.BigEndian.Uint16(place)) == ordinal && int(binary.BigEndian.Uint16(place[2:])) == index {
			return Place{b.First + uint64(i), b.entry(i), b.N}, true
		}
	}
	return Place{}, false
}

// batch reads a batch, or has it from before.
func (l *Log) batch(ctx context.Context, contest string, n int64) (Batch, bool, error) {
	id := batchID(contest, n)
	if b, ok := l.read.get(id); ok {
		return b, true, nil
	}
	b, ok, err := batchOf(ctx, l.store, contest, n)
	if ok {
		l.read.put(id, b)
	}
	return b, ok, err
}

// shelfSize bounds the batches that are kept, each of which takes up to 150 kB.
const shelfSize = 32

// shelf keeps the batches that were read last. A batch never changes.
type shelf struct {
	mu    sync.Mutex
	kept  map[string]Batch
	order []string // of reading
}

func (s *shelf) get(id string) (Batch, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.kept[id]
	return b, ok
}

func (s *shelf) put(id string, b Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.kept[id]; ok {
		return
	}
	if s.kept == nil {
		s.kept = make(map[string]Batch)
	}
	if len(s.order) == shelfSize {
		delete(s.kept, s.order[0])
		s.order = s.order[1:]
	}
	s.kept[id] = b
	s.order = append(s.order, id)
}
