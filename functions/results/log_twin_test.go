package main

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"iter"
	"slices"
	"sync"
	"testing"

	"marimba/events"
	"marimba/events/seal"
	"marimba/functions/internal/journal"
	"marimba/functions/internal/tlog"
)

// logTwin is the public log of one contest in memory.
type logTwin struct {
	mu     sync.Mutex
	head   tlog.Head // Size 0: nothing is sealed yet
	leaves []tlog.Leaf
	tiles  map[seal.TileName][]byte // of width 0
	away   error
}

const sealOrigin = "example.gt/marimba/rock"

// sign returns a checkpoint and its key.
func sign(t testing.TB, size uint64, root seal.Hash) (checkpoint, key string) {
	t.Helper()
	seed := [ed25519.SeedSize]byte{7}
	signer, err := seal.Signer(seed, sealOrigin)
	if err != nil {
		t.Fatal(err)
	}
	if checkpoint, err = seal.Sign(seal.Checkpoint{Origin: sealOrigin, Size: size, Root: root}, signer); err != nil {
		t.Fatal(err)
	}
	if key, err = seal.VerifierKey(seed, sealOrigin); err != nil {
		t.Fatal(err)
	}
	return checkpoint, key
}

// commitmentOf is what the log shows of a row.
func commitmentOf(r journal.Row) seal.Hash {
	salt := seal.NewSecrets([]byte(receiptSecret.Reveal())).Of(r.Contest, r.Receipt).Salt()
	return seal.OpeningOf(r.Contest, r.Channel, &r.Vote).Commit(salt)
}

// seal puts the counted ones of some rows into the log, as the first leaves that it
// has, and signs it.
func (l *logTwin) seal(t testing.TB, rows ...journal.Row) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tiles, l.leaves = make(map[seal.TileName][]byte), nil
	keep := func(tile seal.Tile) { l.tiles[seal.TileName{Level: tile.Level, Index: tile.Index}] = tile.Data }
	tree := seal.NewTree(keep)
	for _, r := range rows {
		box, index, ok := parseReceipt(r.Receipt)
		if !ok {
			t.Fatalf("%s is no receipt", r.Receipt)
		}
		if r.State != events.Counted {
			continue
		}
		entry := commitmentOf(r)
		l.leaves = append(l.leaves, tlog.Leaf{At: tree.Size(), Entry: entry, Box: box, Index: index})
		tree.Append(entry)
	}
	for _, tile := range tree.Edge() {
		keep(tile)
	}
	l.head = tlog.Head{Contest: "rock", N: 3, Size: tree.Size(), Root: tree.Root()}
	l.head.Checkpoint, l.head.Key = sign(t, tree.Size(), tree.Root())
}

func (l *logTwin) Head(_ context.Context, contest string) (tlog.Head, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head, contest == l.head.Contest, l.away
}

func (l *logTwin) Place(_ context.Context, contest, box string, index int) (tlog.Place, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, leaf := range l.leaves {
		if contest == l.head.Contest && leaf.Box == box && leaf.Index == index {
			return tlog.Place{Leaf: leaf.At, Entry: leaf.Entry}, true, l.away
		}
	}
	return tlog.Place{}, false, l.away
}

// Leaves gives them in batches of 100.
func (l *logTwin) Leaves(_ context.Context, contest string) iter.Seq2[[]tlog.Leaf, error] {
	return func(yield func([]tlog.Leaf, error) bool) {
		l.mu.Lock()
		leaves := l.leaves
		l.mu.Unlock()
		for batch := range slices.Chunk(leaves, 100) {
			if contest != l.head.Contest || !yield(batch, l.away) {
				return
			}
		}
	}
}

func (l *logTwin) Tiles(context.Context, tlog.Head) seal.Tiles { return twinTiles{l} }

type twinTiles struct{ log *logTwin }

func (t twinTiles) Tile(level int, index uint64, width int) ([]byte, error) {
	t.log.mu.Lock()
	defer t.log.mu.Unlock()
	data := t.log.tiles[seal.TileName{Level: level, Index: index}]
	if t.log.away != nil {
		return nil, t.log.away
	}
	if len(data) < width*seal.HashSize {
		return nil, fmt.Errorf("%d hashes at %d/%d: %w", width, level, index, tlog.ErrNoTile)
	}
	return data[:width*seal.HashSize], nil
}

func (l *logTwin) leave(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.away = err
}
