package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"marimba/events"
	"marimba/functions/internal/counts"
)

// living knows whether counts are what the log says.
type living interface {
	Life(ctx context.Context, c events.Contest) (int64, error)
}

// lived knows whether a contest ever had counts: how many lives they had.
type lived interface {
	Latest(ctx context.Context, contest string) (int64, error)
}

// mending has the counts of a contest rebuilt, and does not wait for it.
type mending interface{ Begin(c events.Contest) }

// lookEvery is the time between two looks whether the counts of a contest are lost.
const lookEvery = time.Second

// lost has counts rebuilt that Redis lost while no vote comes. The tally sees it with
// the next vote only, which after the last minute of a contest is never, and until then
// the board would be that of another time.
type lost struct {
	counts  living
	log     lived
	mending mending
	now     func() time.Time

	mu     sync.Mutex
	looked map[string]time.Time // by contest
}

func newLost(counts living, log lived, mending mending, now func() time.Time) *lost {
	return &lost{counts: counts, log: log, mending: mending, now: now, looked: make(map[string]time.Time)}
}

// look looks after the counts of a contest that somebody is about to see. It
// refuses nobody: what is shown meanwhile is what Redis has.
func (l *lost) look(ctx context.Context, c events.Contest) {
	if !l.due(c.ID) {
		return
	}
	_, err := l.counts.Life(ctx, c)
	if !errors.Is(err, counts.ErrLife) {
		return // that Redis is away is told by who reads the counts themselves
	}
	switch n, err := l.log.Latest(ctx, c.ID); {
	case err != nil:
		slog.Warn("counts are lost, and the log is away", "contest", c.ID, "error", err)
	case n > 0: // else no vote ever came
		l.mending.Begin(c)
	}
}

func (l *lost) due(contest string) bool {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.looked[contest]) < lookEvery {
		return false
	}
	l.looked[contest] = now
	return true
}
