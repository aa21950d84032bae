package tlog

import (
	"context"
	"iter"
	"maps"
	"sync"
)

// memory is a store in memory. It is safe for concurrent use.
type memory struct {
	mu     sync.Mutex
	leaves map[string]batchDocument
	sealed map[string]int64
	tiles  map[string][]byte
	logs   map[string]headDocument
}

func newMemory() *memory {
	return &memory{
		leaves: make(map[string]batchDocument), sealed: make(map[string]int64),
		tiles: make(map[string][]byte), logs: make(map[string]headDocument),
	}
}

func (m *memory) head(_ context.Context, contest string) (headDocument, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	h, ok := m.logs[contest]
	return h, ok, nil
}

func (m *memory) batch(_ context.Context, contest string, n int64) (batchDocument, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.leaves[batchID(contest, n)]
	return b, ok, nil
}

// scan gives the batches in no order.
func (m *memory) scan(_ context.Context, contest string) iter.Seq2[batchDocument, error] {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := maps.Clone(m.leaves)
	return func(yield func(batchDocument, error) bool) {
		for _, b := range all {
			if b.Contest == contest && !yield(b, nil) {
				return
			}
		}
	}
}

func (m *memory) boxes(ctx context.Context, contest string, n int64) ([]string, bool, error) {
	b, ok, err := m.batch(ctx, contest, n)
	return b.Boxes, ok, err
}

func (m *memory) claimed(_ context.Context, id string) (int64, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, ok := m.sealed[id]
	return n, ok, nil
}

func (m *memory) tile(_ context.Context, id string) ([]byte, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.tiles[id]
	return data, ok, nil
}

func (m *memory) claim(_ context.Context, claims []claimDocument) (there []int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, c := range claims {
		if _, ok := m.sealed[c.ID]; ok {
			there = append(there, i)
			continue
		}
		m.sealed[c.ID] = c.N
	}
	return there, nil
}

func (m *memory) commit(_ context.Context, b batchDocument) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.leaves[b.ID]; ok {
		return false, nil
	}
	m.leaves[b.ID] = b
	return true, nil
}

func (m *memory) keep(_ context.Context, tiles []tileDocument) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range tiles {
		if _, ok := m.tiles[t.ID]; !ok {
			m.tiles[t.ID] = t.Data
		}
	}
	return nil
}

func (m *memory) advance(_ context.Context, h headDocument) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.logs[h.Contest].N <= h.N {
		m.logs[h.Contest] = h
	}
	return nil
}

func (m *memory) mend(_ context.Context, tiles []tileDocument) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range tiles {
		m.tiles[t.ID] = t.Data
	}
	return nil
}
