// Package mend rebuilds a contest's counts in Redis from the log: when Redis has
// lost them, and when somebody asks for it.
//
// It is safe to do at any time, by any number of processes at once, and to be
// killed in: counts are either known to be what the log says, or nothing is
// counted. How that is, package counts tells under "Lives".
package mend

import (
	"context"
	"errors"
	"iter"
	"time"

	"marimba/events"
	"marimba/functions/internal/counts"
	"marimba/functions/internal/journal"
)

// Bounds of a recount. A contest is held no longer than holdMost, whatever
// happens to who holds it; boxes on their way get drainMost of it to end.
const (
	holdMost  = time.Minute
	drainMost = 5 * time.Second
	drainLook = 20 * time.Millisecond
	idsAtOnce = 100
)

// Counts is what a mender needs of the counts in Redis.
type Counts interface {
	Lock(ctx context.Context, c events.Contest) (*counts.Lock, error)
	Life(ctx context.Context, c events.Contest) (int64, error)
	Hold(ctx context.Context, c events.Contest, most time.Duration) error
	Release(ctx context.Context, c events.Contest) error
	EndLife(ctx context.Context, c events.Contest) error
	Shadow(ctx context.Context, c events.Contest) (*counts.Shadow, error)
	Tally(ctx context.Context, c events.Contest) (counts.Histogram, error)
	Figures(ctx context.Context, c events.Contest) (counts.Figures, error)
	Pending(ctx context.Context, c events.Contest) (map[events.State]int64, error)
	Draw(ctx context.Context, c events.Contest) (pointed bool, err error)
}

// Log is what a mender needs of the log.
type Log interface {
	Entries(ctx context.Context, contest string) iter.Seq2[journal.Entry, error]
	EntriesOf(ctx context.Context, ids []string) iter.Seq2[journal.Entry, error]
	IDs(ctx context.Context, contest string) iter.Seq2[string, error]
	Latest(ctx context.Context, contest string) (int64, error)
	Begin(ctx context.Context, l journal.Life, stands []journal.Mark) error
}

// Mender rebuilds counts. It is safe for concurrent use.
type Mender struct {
	counts Counts
	log    Log
	drain  time.Duration // at most, of boxes on their way when a contest is held
}

// New returns a mender of the counts by the log.
func New(counts Counts, log Log) *Mender { return &Mender{counts, log, drainMost} }

// Found says how the counts were, held against the log.
type Found struct {
	Votes   int64 `json:"votes"`   // on the board
	Pending int64 `json:"pending"` // of them, decided and not yet in the log
	// Difference names one between the counts and the log; "" if there is none.
	// What was pending is one.
	Difference string `json:"difference,omitempty"`
}

// Result says what was done to a contest's counts.
type Result struct {
	Contest string `json:"contest"`
	Life    int64  `json:"life"`  // that they have now
	Boxes   int64  `json:"boxes"` // of the log that they were rebuilt from
	Votes   int64  `json:"votes"`
	// Void are boxes in the log that count for nothing until they are delivered
	// again. Only a recount looks for them.
	Void  int64         `json:"void,omitempty"`
	Cause string        `json:"cause"`
	Found Found         `json:"found"`
	Held  time.Duration `json:"-"` // how long nothing was counted, of a recount
	Took  time.Duration `json:"-"`
}

// Mend rebuilds the counts of a contest that have no life. It does nothing, and
// says so with ok false, if they have one by now. counts.ErrLocked says that
// somebody else is at it.
func (m *Mender) Mend(ctx context.Context, c events.Contest) (r Result, ok bool, err error) {
	began := time.Now()
	ctx, unlock, err := m.lock(ctx, c)
	if err != nil {
		return Result{}, false, err
	}
	defer unlock()
	_, err = m.counts.Life(ctx, c)
	if err == nil {
		return Result{}, false, nil
	}
	if !errors.Is(err, counts.ErrLife) {
		return Result{}, false, err
	}
	r, err = m.mend(ctx, c, causeOf(err))
	r.Took = time.Since(began)
	return r, err == nil, err
}

func causeOf(err error) string {
	var lost *counts.LifeError
	if errors.As(err, &lost) {
		return lost.Why
	}
	return err.Error()
}

func (m *Mender) mend(ctx context.Context, c events.Contest, cause string) (Result, error) {
	b, err := m.begin(ctx, c)
	if err != nil {
		return Result{}, err
	}
	r, err := b.mend(ctx, cause)
	if err != nil {
		b.discard(ctx)
		return Result{}, err
	}
	return r, nil
}

func (b *rebuild) mend(ctx context.Context, cause string) (Result, error) {
	if err := b.counts.EndLife(ctx, b.contest); err != nil {
		return Result{}, err
	}
	for e, err := range ahead(ctx, b.log.Entries(ctx, b.contest.ID)) {
		if err != nil {
			return Result{}, err
		}
		if err := b.add(ctx, e); err != nil {
			return Result{}, err
		}
	}
	return b.live(ctx, cause)
}

// Recount rebuilds the counts of a contest beside the living ones, while these
// go on. Only at the end nothing is counted for as long as it takes to catch up
// with the log. Counts that have no life are mended.
func (m *Mender) Recount(ctx context.Context, c events.Contest) (Result, error) {
	began := time.Now()
	ctx, unlock, err := m.lock(ctx, c)
	if err != nil {
		return Result{}, err
	}
	defer unlock()
	var r Result
	_, err = m.counts.Life(ctx, c)
	switch {
	case errors.Is(err, counts.ErrLife):
		r, err = m.mend(ctx, c, causeOf(err))
	case err == nil:
		r, err = m.recount(ctx, c)
	}
	r.Took = time.Since(began)
	return r, err
}

func (m *Mender) recount(ctx context.Context, c events.Contest) (Result, error) {
	b, err := m.begin(ctx, c)
	if err != nil {
		return Result{}, err
	}
	r, err := b.beside(ctx)
	if err != nil {
		b.discard(ctx)
		// If the life was ended, nothing is to be released, and the tally mends.
		_ = m.counts.Release(context.WithoutCancel(ctx), c)
		return Result{}, err
	}
	return r, nil
}

func (b *rebuild) beside(ctx context.Context) (Result, error) {
	for e, err := range ahead(ctx, b.log.Entries(ctx, b.contest.ID)) {
		if err != nil {
			return Result{}, err
		}
		if err := b.add(ctx, e); err != nil {
			return Result{}, err
		}
	}
	// What is wrong with the log is to be found while the counts still live.
	if err := b.prove(ctx); err != nil {
		return Result{}, err
	}
	held := time.Now()
	if err := b.counts.Hold(ctx, b.contest, holdMost); err != nil {
		return Result{}, err
	}
	if err := b.drain(ctx); err != nil {
		return Result{}, err
	}
	if err := b.counts.EndLife(ctx, b.contest); err != nil {
		return Result{}, err
	}
	void, err := b.catchUp(ctx)
	if err != nil {
		return Result{}, err
	}
	r, err := b.live(ctx, "recount")
	r.Void, r.Held = void, time.Since(held)
	return r, err
}

// drain waits until no box is on its way, but not long: one that is left is no
// harm, only more work for the tally.
func (b *rebuild) drain(ctx context.Context) error {
	end := time.After(b.drainMost)
	look := time.NewTicker(drainLook)
	defer look.Stop()
	for {
		pending, err := b.counts.Pending(ctx, b.contest)
		if err != nil || len(pending) == 0 {
			return err
		}
		select {
		case <-look.C:
		case <-end:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// catchUp adds what the log holds and was not added yet, and returns how many
// boxes are void.
func (b *rebuild) catchUp(ctx context.Context) (void int64, err error) {
	var missing []string
	for id, err := range b.log.IDs(ctx, b.contest.ID) {
		if err != nil {
			return 0, err
		}
		if _, ok := b.seen[journal.MarkOf(id)]; !ok {
			missing = append(missing, id)
		}
	}
	before := b.boxes
	for n := 0; n < len(missing); n += idsAtOnce {
		for e, err := range b.log.EntriesOf(ctx, missing[n:min(n+idsAtOnce, len(missing))]) {
			if err != nil {
				return 0, err
			}
			if err := b.add(ctx, e); err != nil {
				return 0, err
			}
		}
	}
	return int64(len(missing)) - (b.boxes - before), nil
}

func (m *Mender) lock(ctx context.Context, c events.Contest) (held context.Context, unlock func(), err error) {
	lock, err := m.counts.Lock(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	held, unlock = lock.Keep(ctx)
	return held, unlock, nil
}
