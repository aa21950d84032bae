package tlog

import (
	"context"
	"fmt"
	"iter"

	"marimba/events/seal"
)

// Rebuilt says what a log was rebuilt from, and to.
type Rebuilt struct {
	Contest string    `json:"contest"`
	Batches int64     `json:"batches"`
	Leaves  uint64    `json:"leaves"`
	Tiles   int64     `json:"tiles"` // finished ones
	Root    seal.Hash `json:"root"`
}

// Rebuild makes again all of a contest's log that follows from its batches: tiles,
// head, and the claims of its boxes. What is there already is replaced if it is
// another. Each batch is held against its root, and against its checkpoint. It may
// be repeated, and be done while votes are sealed; but if claims were lost, nothing
// may be sealed until it has ended, or boxes that come again are sealed again.
func (l *Log) Rebuild(ctx context.Context, contest string) (Rebuilt, error) {
	r, err := rebuild(ctx, l.store, contest)
	if err != nil {
		return Rebuilt{}, fmt.Errorf("rebuild the public log of %s: %w", contest, err)
	}
	return r, nil
}

func rebuild(ctx context.Context, s store, contest string) (Rebuilt, error) {
	r := Rebuilt{Contest: contest, Root: seal.EmptyRoot}
	t := &tail{store: claiming{s}, contest: contest}
	t.tree = seal.NewTree(t.finished)
	err := t.follow(ctx, func(ctx context.Context, b Batch) error {
		if len(t.full) > 0 {
			if err := s.mend(ctx, t.documents()); err != nil {
				return err
			}
			r.Tiles += int64(len(t.full))
			t.full = nil
		}
		return s.advance(ctx, t.headOf(b))
	})
	if err != nil {
		return Rebuilt{}, err
	}
	r.Batches, r.Leaves, r.Root = t.n, t.tree.Size(), t.tree.Root()
	return r, nil
}

// claiming is a store of which each batch that is read is held against its
// checkpoint, and has claims for its boxes then.
type claiming struct{ store }

func (c claiming) batch(ctx context.Context, contest string, n int64) (batchDocument, bool, error) {
	d, ok, err := c.store.batch(ctx, contest, n)
	if err != nil || !ok {
		return d, ok, err
	}
	err = c.hold(ctx, contest, d)
	return d, err == nil, err
}

func (c claiming) scan(ctx context.Context, contest string) iter.Seq2[batchDocument, error] {
	return func(yield func(batchDocument, error) bool) {
		for d, err := range c.store.scan(ctx, contest) {
			if err == nil {
				err = c.hold(ctx, contest, d)
			}
			if !yield(d, err) || err != nil {
				return
			}
		}
	}
}

// hold holds a batch against its checkpoint, and claims its boxes.
func (c claiming) hold(ctx context.Context, contest string, d batchDocument) error {
	b, err := d.batch()
	if err == nil {
		err = b.verify()
	}
	if err != nil {
		return err
	}
	return c.restore(ctx, contest, b)
}

// verify holds a batch's checkpoint against its key and its root.
func (b Batch) verify() error {
	verifier, err := seal.Verifier(b.Key)
	if err != nil {
		return fmt.Errorf("batch %d: %w", b.N, err)
	}
	said, err := seal.Open(b.Checkpoint, verifier)
	if err != nil {
		return fmt.Errorf("batch %d: %w", b.N, err)
	}
	if said.Size != b.Size || said.Root != b.Root {
		return fmt.Errorf("batch %d: its checkpoint is of %d leaves and root %s, and it has %d and %s", b.N, said.Size, said.Root, b.Size, b.Root)
	}
	return nil
}

// restore claims a batch's boxes for it, as its writer did.
func (c claiming) restore(ctx context.Context, contest string, b Batch) error {
	claims := make([]claimDocument, len(b.Boxes))
	for i, box := range b.Boxes {
		claims[i] = claimDocument{claimID(contest, box, 1), b.N}
	}
	there, err := c.claim(ctx, claims)
	if err != nil {
		return err
	}
	for _, i := range there {
		if err := c.ensure(ctx, contest, b.Boxes[i], b.N); err != nil {
			return err
		}
	}
	return nil
}

// ensure has a claim of a box for the batch that holds it. Claims that were made
// before for batches without it come first.
func (c claiming) ensure(ctx context.Context, contest, box string, n int64) error {
	for k := 1; k <= maxClaims; k++ {
		id := claimID(contest, box, k)
		claimed, ok, err := c.claimed(ctx, id)
		if err != nil {
			return err
		}
		if ok && claimed == n {
			return nil
		}
		if ok && claimed > n {
			return fmt.Errorf("box %s is in batch %d, and was claimed for %d then", box, n, claimed)
		}
		if !ok {
			if _, err := c.claim(ctx, []claimDocument{{id, n}}); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("box %s is claimed more than %d times", box, maxClaims)
}
