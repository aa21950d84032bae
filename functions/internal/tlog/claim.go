package tlog

import (
	"context"
	"fmt"
	"slices"
)

// claim claims boxes for the batch behind the tail, and returns those that it got:
// the others are sealed. Each box is returned once.
func (t *tail) claim(ctx context.Context, boxes []Box) ([]Box, error) {
	var wanted []Box
	var claims []claimDocument
	asked := make(map[string]bool, len(boxes))
	for _, box := range boxes {
		if asked[box.ID] || t.recent.has(box.ID) {
			continue
		}
		asked[box.ID] = true
		wanted = append(wanted, box)
		claims = append(claims, claimDocument{claimID(t.contest, box.ID, 1), t.n + 1})
	}
	if len(wanted) == 0 {
		return nil, nil
	}
	there, err := t.store.claim(ctx, claims)
	if err != nil {
		return nil, err
	}
	if len(there) == 0 {
		return wanted, nil
	}
	held := held{tail: t, batches: make(map[int64][]string)}
	isSealed := make([]bool, len(wanted))
	for _, i := range there {
		if isSealed[i], err = held.has(ctx, wanted[i].ID); err != nil {
			return nil, err
		}
	}
	claimed := wanted[:0]
	for i, box := range wanted {
		if isSealed[i] {
			t.recent.add(box.ID)
			continue
		}
		claimed = append(claimed, box)
	}
	return claimed, nil
}

// held tells of boxes that were claimed before whether they are sealed.
type held struct {
	*tail
	batches map[int64][]string // their boxes
}

// has tells whether a box is sealed. If it is not, it is claimed for the batch
// behind the tail when this returns.
func (h held) has(ctx context.Context, box string) (bool, error) {
	for k := 1; k <= maxClaims; k++ {
		id := claimID(h.contest, box, k)
		n, ok, err := h.store.claimed(ctx, id)
		if err != nil {
			return false, err
		}
		if !ok {
			there, err := h.store.claim(ctx, []claimDocument{{id, h.n + 1}})
			if err != nil {
				return false, err
			}
			if len(there) == 0 {
				return false, nil
			}
			if n, ok, err = h.store.claimed(ctx, id); err != nil {
				return false, err
			}
			if !ok {
				return false, fmt.Errorf("claim %s is there, and is not", id)
			}
		}
		switch {
		case n > h.n+1: // whoever claimed it knew of batches that are not known here
			return false, fmt.Errorf("box %s is claimed for batch %d: %w", box, n, errBehind)
		case n == h.n+1:
			return false, nil
		}
		sealed, err := h.in(ctx, n, box)
		if err != nil || sealed {
			return sealed, err
		}
	}
	return false, fmt.Errorf("box %s is claimed more than %d times", box, maxClaims)
}

// in tells whether a committed batch holds a box.
func (h held) in(ctx context.Context, n int64, box string) (bool, error) {
	boxes, known := h.batches[n]
	if !known {
		var ok bool
		var err error
		if boxes, ok, err = h.store.boxes(ctx, h.contest, n); err != nil {
			return false, err
		}
		if !ok {
			return false, fmt.Errorf("batch %s is missing", batchID(h.contest, n))
		}
		h.batches[n] = boxes
	}
	return slices.Contains(boxes, box), nil
}
