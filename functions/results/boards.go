package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"marimba/events"
	"marimba/functions/internal/counts"
)

// tallies are the counted votes, as Redis holds them.
type tallies interface {
	Tally(ctx context.Context, c events.Contest) (counts.Histogram, error)
	Version(ctx context.Context, c events.Contest) (int64, error)
}

// staleAfter is how long a board is believed to be right because its version
// has not changed. A version comes back by chance only, when counts were made
// anew.
const staleAfter = 5 * time.Second

// boards computes each contest's board once for each change of its counts, for
// all who ask.
type boards struct {
	tallies tallies
	now     func() time.Time
	kept    map[string]*keptBoard // by contest; does not change
}

type keptBoard struct {
	contest events.Contest
	turn    chan struct{} // held while the fields below are looked at
	board   board
	digest  string
	version int64
	read    time.Time // zero: never
}

func newBoards(contests contests, tallies tallies, now func() time.Time) *boards {
	b := &boards{tallies: tallies, now: now, kept: make(map[string]*keptBoard)}
	for _, id := range contests.IDs() {
		if c, ok := contests.Contest(id); ok {
			b.kept[id] = &keptBoard{contest: c, turn: make(chan struct{}, 1)}
		}
	}
	return b
}

// of returns the board of a contest that there is, as it is now, and the digest
// of what it shows. The board's slices are shared and must not be changed.
func (b *boards) of(ctx context.Context, contest string) (board, string, error) {
	kept := b.kept[contest]
	select {
	case kept.turn <- struct{}{}:
		defer func() { <-kept.turn }()
	case <-ctx.Done():
		return board{}, "", fmt.Errorf("wait for the board of %s: %w", contest, ctx.Err())
	}
	now := b.now()
	version, err := b.tallies.Version(ctx, kept.contest)
	if err != nil {
		return board{}, "", err
	}
	if kept.read.IsZero() || version != kept.version || now.Sub(kept.read) >= staleAfter {
		// The version is older than the tally or of the same age: a change between
		// the two is seen as one again, never missed.
		votes, err := b.tallies.Tally(ctx, kept.contest)
		if err != nil {
			return board{}, "", err
		}
		made := makeBoard(kept.contest, votes, now)
		digest, err := made.digest()
		if err != nil {
			return board{}, "", fmt.Errorf("write board of %s: %w", contest, err)
		}
		kept.board, kept.digest, kept.version, kept.read = made, digest, version, now
	}
	current := kept.board
	current.AsOf = now.UTC()
	return current, kept.digest, nil
}

// digestOf is 96 bits of a hash: enough to tell two boards of a contest apart.
func digestOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:12])
}
