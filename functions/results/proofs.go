package main

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"marimba/events"
	"marimba/events/seal"
	"marimba/functions/internal/journal"
	"marimba/functions/internal/tlog"
)

// sealed is the public log of counted votes.
type sealed interface {
	Head(ctx context.Context, contest string) (tlog.Head, bool, error)
	Tiles(ctx context.Context, head tlog.Head) seal.Tiles
	Place(ctx context.Context, contest, boxID string, index int) (tlog.Place, bool, error)
	Leaves(ctx context.Context, contest string) iter.Seq2[[]tlog.Leaf, error]
}

// publicLog is the log as it is kept.
type publicLog struct{ *tlog.Log }

// Leaves returns all leaves in their order, a batch at a time.
func (p publicLog) Leaves(ctx context.Context, contest string) iter.Seq2[[]tlog.Leaf, error] {
	return func(yield func([]tlog.Leaf, error) bool) {
		for batch, err := range p.Batches(ctx, contest) {
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(slices.Collect(batch.Leaves()), nil) {
				return
			}
		}
	}
}

// proof shows that a vote is in the public log of its contest, to whoever knows the
// log's key. It is checked without asking anybody: commitment = SHA-256(salt ||
// opening), and from the leaf that holds it, the hashes lead to the checkpoint's
// root.
type proof struct {
	Index      uint64      `json:"index"` // of the leaf
	Size       uint64      `json:"size"`  // of the checkpoint
	Hashes     []seal.Hash `json:"hashes"`
	Commitment seal.Hash   `json:"commitment"`
	Salt       string      `json:"salt"`
	Checkpoint string      `json:"checkpoint"`
	Key        string      `json:"key"`
}

// prove returns the proof of a vote; nil if it is not in the log, or not yet.
func (r *results) prove(ctx context.Context, from journal.Row) (*proof, error) {
	if from.State != events.Counted {
		return nil, nil
	}
	box, index, ok := parseReceipt(from.Receipt)
	if !ok {
		return nil, fmt.Errorf("prove %s: it is no receipt", from.Receipt)
	}
	done, err := r.search(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	place, known, err := r.sealed.Place(ctx, from.Contest, box, index)
	if err != nil || !known {
		return nil, err
	}
	head, known, err := r.sealed.Head(ctx, from.Contest)
	if err != nil || !known || place.Leaf >= head.Size {
		return nil, err // the batch is in the log, the head is not there yet
	}
	secret, commitment := r.secrets.Commit(from.Contest, from.Channel, from.Receipt, &from.Vote)
	p := &proof{
		Index: place.Leaf, Size: head.Size, Commitment: commitment,
		Salt: secret.Salt().String(), Checkpoint: head.Checkpoint, Key: head.Key,
	}
	if p.Commitment != place.Entry {
		return nil, fmt.Errorf("leaf %d of %s is not the vote that the log of votes has: RECEIPT_SECRET is another, or one of them was changed", place.Leaf, from.Contest)
	}
	if p.Hashes, err = seal.Inclusion(head.Size, place.Leaf, r.sealed.Tiles(ctx, head)); err != nil {
		return nil, fmt.Errorf("prove leaf %d of %s: %w", place.Leaf, from.Contest, err)
	}
	if p.Hashes == nil {
		p.Hashes = []seal.Hash{} // of a log of one vote
	}
	return p, nil
}
