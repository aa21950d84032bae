package mend

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"marimba/events"
	"marimba/functions/internal/counts"
)

// Bounds of waiting. A box waits for a mending no longer than patience, which is enough
// for the first vote of a contest; then it comes again. So the boxes of one
// contest do not keep those of others from their place. But one box keeps vigil:
// a function that has no request is put to sleep, and the mending with it, which
// would begin anew with each box that comes. Both are below the source's 30 s.
const (
	patience  = 2 * time.Second
	vigil     = 25 * time.Second
	pause     = 500 * time.Millisecond // after a mending that failed
	atOnce    = 2                      // contests
	mostKnown = 10_000                 // contests; far more than there are
)

type mends interface {
	Mend(ctx context.Context, c events.Contest) (r Result, ok bool, err error)
}

// Keeper has lost counts mended for all of a process who find them so, those of one
// contest once at a time.
type Keeper struct {
	mender mends
	ctx    context.Context // ends when the process is to end
	room   chan struct{}
	all    sync.WaitGroup

	mu    sync.Mutex
	turns map[string]*turn // by contest: the one that runs, or that failed last
}

// turn is one mending of a contest.
type turn struct {
	began time.Time
	awake chan struct{} // holds one: a box keeps vigil
	done  chan struct{} // closed at the end
	ended time.Time     // set before done is closed, like err
	err   error
}

// NewKeeper returns one that works until the context of the process ends.
func NewKeeper(ctx context.Context, m *Mender) *Keeper { return newKeeper(ctx, m) }

func newKeeper(ctx context.Context, m mends) *Keeper {
	return &Keeper{mender: m, ctx: ctx, room: make(chan struct{}, atOnce), turns: make(map[string]*turn)}
}

// ErrMending says that counts are being mended.
var ErrMending = errors.New("the counts are being mended")

// Begin has the counts of a contest mended and does not wait. They need not be lost:
// nothing is done to those that live.
func (k *Keeper) Begin(c events.Contest) { k.join(c) }

// Wait has the counts of a contest mended and waits until they are, within
// bounds. An error says that they are not yet.
func (k *Keeper) Wait(ctx context.Context, c events.Contest) error {
	r := k.join(c)
	limit := time.NewTimer(time.Until(r.began.Add(patience)))
	defer limit.Stop()
	select {
	case <-r.done:
		return r.err
	default:
	}
	select {
	case <-r.done:
		return r.err
	case <-limit.C:
		return r.watch(ctx)
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrMending, ctx.Err())
	}
}

// watch keeps vigil until the mending ends, unless another box does.
func (r *turn) watch(ctx context.Context) error {
	select {
	case r.awake <- struct{}{}:
		defer func() { <-r.awake }()
	default:
		return ErrMending
	}
	limit := time.NewTimer(vigil)
	defer limit.Stop()
	select {
	case <-r.done:
		return r.err
	case <-limit.C:
		return ErrMending
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrMending, ctx.Err())
	}
}

// join returns the mending of a contest that runs, or has just failed, or a new
// one.
func (k *Keeper) join(c events.Contest) *turn {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r, ok := k.turns[c.ID]; ok {
		select {
		case <-r.done:
			if time.Since(r.ended) < pause {
				return r
			}
		default:
			return r
		}
	}
	if len(k.turns) >= mostKnown {
		clear(k.turns) // at worst one is begun twice, and ends at the lock
	}
	r := &turn{began: time.Now(), awake: make(chan struct{}, 1), done: make(chan struct{})}
	k.turns[c.ID] = r
	k.all.Go(func() { k.run(c, r) })
	return r
}

func (k *Keeper) run(c events.Contest, r *turn) {
	r.err = k.mend(c)
	r.ended = time.Now()
	close(r.done)
	if r.err == nil {
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.turns[c.ID] == r {
			delete(k.turns, c.ID)
		}
	}
}

// mend mends, and tells of it in one line.
func (k *Keeper) mend(c events.Contest) error {
	select {
	case k.room <- struct{}{}:
		defer func() { <-k.room }()
	case <-k.ctx.Done():
		return k.ctx.Err()
	}
	began := time.Now()
	result, mended, err := k.mender.Mend(k.ctx, c)
	switch {
	case err == nil && mended:
		level := slog.LevelInfo
		if result.Life == 1 && result.Boxes == 0 {
			level = slog.LevelDebug // the first vote of a contest
		}
		slog.Log(k.ctx, level, "counts mended", "contest", c.ID, "life", result.Life, "cause", result.Cause,
			"found", result.Found.String(), "boxes", result.Boxes, "votes", result.Votes, "seconds", result.Took.Seconds())
	case errors.Is(err, counts.ErrLocked):
		return ErrMending // by another, who tells
	case err != nil && k.ctx.Err() == nil:
		slog.Warn("counts not mended", "contest", c.ID, "seconds", time.Since(began).Seconds(), "error", err)
	}
	return err
}

// Close waits until nothing is being mended; the process's context has ended.
func (k *Keeper) Close(ctx context.Context) error {
	ended := make(chan struct{})
	go func() {
		k.all.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop mending: %w", ctx.Err())
	}
}
