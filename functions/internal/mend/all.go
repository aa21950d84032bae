package mend

import (
	"context"
	"errors"
	"fmt"

	"marimba/events"
	"marimba/functions/internal/counts"
)

// Restored says what was done to the counts of all contests.
type Restored struct {
	Contests int   `json:"contests"` // whose counts were rebuilt
	Kept     int   `json:"kept"`     // whose counts have a life, and were left alone
	Boxes    int64 `json:"boxes"`
	Votes    int64 `json:"votes"`
}

func (done *Restored) add(r Result) {
	done.Contests++
	done.Boxes += r.Boxes
	done.Votes += r.Votes
}

// MendAll rebuilds the counts that have no life of these contests, and of those
// that only the log knows. It reads the log once, or once more for each of the
// latter.
func (m *Mender) MendAll(ctx context.Context, contests []events.Contest) (done Restored, err error) {
	work := make(map[string]*rebuild) // nil: its counts live
	defer func() {
		for _, b := range work {
			if err != nil && b != nil {
				b.discard(ctx)
			}
		}
	}()
	for _, c := range contests {
		held, unlock, err := m.lock(ctx, c)
		if err != nil {
			return Restored{}, err
		}
		defer unlock() //nolint:gocritic // all at the end
		ctx = held     // who lost one lock has lost all
		b, err := m.beginLost(ctx, c)
		if err != nil {
			return Restored{}, err
		}
		if work[c.ID] = b; b == nil {
			done.Kept++
		}
	}
	var others []string // contests that have no file any more
	for e, err := range ahead(ctx, m.log.Entries(ctx, "")) {
		if err != nil {
			return Restored{}, err
		}
		b, known := work[e.Box.Contest]
		if !known {
			work[e.Box.Contest] = nil
			others = append(others, e.Box.Contest)
		}
		if b == nil {
			continue
		}
		if err := b.add(ctx, e); err != nil {
			return Restored{}, err
		}
	}
	for _, c := range contests {
		b := work[c.ID]
		if b == nil {
			continue
		}
		r, err := b.live(ctx, "start")
		if err != nil {
			return Restored{}, fmt.Errorf("restore %s: %w", c.ID, err)
		}
		done.add(r)
	}
	for _, id := range others {
		r, mended, err := m.Mend(ctx, events.Contest{ID: id})
		if err != nil {
			return Restored{}, fmt.Errorf("restore %s: %w", id, err)
		}
		if mended {
			done.add(r)
		} else {
			done.Kept++
		}
	}
	return done, nil
}

// beginLost begins the rebuilding of counts if they have no life.
func (m *Mender) beginLost(ctx context.Context, c events.Contest) (*rebuild, error) {
	_, err := m.counts.Life(ctx, c)
	if err == nil || !errors.Is(err, counts.ErrLife) {
		return nil, err
	}
	if err := m.counts.EndLife(ctx, c); err != nil {
		return nil, err
	}
	return m.begin(ctx, c)
}
