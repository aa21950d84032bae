package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"marimba/events"
	"marimba/functions/internal/counts"
	"marimba/functions/internal/mend"
)

// Bounds of mending. A box waits for it no longer than patience, which is enough
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

type mender interface {
	Mend(ctx context.Context, c events.Contest) (r mend.Result, ok bool, err error)
}

// mending has lost counts mended, those of one contest once at a time.
type mending struct {
	mender mender
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

func newMending(ctx context.Context, m mender) *mending {
	return &mending{mender: m, ctx: ctx, room: make(chan struct{}, atOnce), turns: make(map[string]*turn)}
}

var errMending = errors.New("the counts are being mended")

// wait has the counts of a contest mended and waits until they are, within
// bounds. An error says that they are not yet.
func (m *mending) wait(ctx context.Context, c events.Contest) error {
	r := m.join(c)
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
		return fmt.Errorf("%w: %w", errMending, ctx.Err())
	}
}

// watch keeps vigil until the mending ends, unless another box does.
func (r *turn) watch(ctx context.Context) error {
	select {
	case r.awake <- struct{}{}:
		defer func() { <-r.awake }()
	default:
		return errMending
	}
	limit := time.NewTimer(vigil)
	defer limit.Stop()
	select {
	case <-r.done:
		return r.err
	case <-limit.C:
		return errMending
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", errMending, ctx.Err())
	}
}

// join returns the mending of a contest that runs, or has just failed, or a new
// one.
func (m *mending) join(c events.Contest) *turn {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r, ok := m.turns[c.ID]; ok {
		select {
		case <-r.done:
			if time.Since(r.ended) < pause {
				return r
			}
		default:
			return r
		}
	}
	if len(m.turns) >= mostKnown {
		clear(m.turns) // at worst one is begun twice, and ends at the lock
	}
	r := &turn{began: time.Now(), awake: make(chan struct{}, 1), done: make(chan struct{})}
	m.turns[c.ID] = r
	m.all.Go(func() { m.run(c, r) })
	return r
}

func (m *mending) run(c events.Contest, r *turn) {
	r.err = m.mend(c)
	r.ended = time.Now()
	close(r.done)
	if r.err == nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.turns[c.ID] == r {
			delete(m.turns, c.ID)
		}
	}
}

// mend mends, and tells of it in one line.
func (m *mending) mend(c events.Contest) error {
	select {
	case m.room <- struct{}{}:
		defer func() { <-m.room }()
	case <-m.ctx.Done():
		return m.ctx.Err()
	}
	began := time.Now()
	result, mended, err := m.mender.Mend(m.ctx, c)
	switch {
	case err == nil && mended:
		level := slog.LevelInfo
		if result.Life == 1 && result.Boxes == 0 {
			level = slog.LevelDebug // the first vote of a contest
		}
		slog.Log(m.ctx, level, "counts mended", "contest", c.ID, "life", result.Life, "cause", result.Cause,
			"found", result.Found.String(), "boxes", result.Boxes, "votes", result.Votes, "seconds", result.Took.Seconds())
	case errors.Is(err, counts.ErrLocked):
		return errMending // by another, who tells
	case err != nil && m.ctx.Err() == nil:
		slog.Warn("counts not mended", "contest", c.ID, "seconds", time.Since(began).Seconds(), "error", err)
	}
	return err
}

// close waits until nothing is being mended; the process's context has ended.
func (m *mending) close(ctx context.Context) error {
	ended := make(chan struct{})
	go func() {
		m.all.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop mending: %w", ctx.Err())
	}
}
