package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"marimba/events"
)

// pace is the time between two drawings: as far as charts are behind the votes.
const pace = 2 * time.Second

// drawTimeout bounds the drawing of one contest.
const drawTimeout = 5 * time.Second

type drawer interface {
	Draw(ctx context.Context, c events.Contest) (pointed bool, err error)
}

// drawing keeps the charts of those contests up to date whose votes this process
// counts. It is beside the way of a vote: no box waits for it, and what goes wrong
// with it is told and tried again.
type drawing struct {
	drawer drawer
	pace   time.Duration
	wake   chan struct{} // holds one: there is something due
	ended  chan struct{} // closed when run has returned

	mu  sync.Mutex
	due map[string]events.Contest
}

func newDrawing(ctx context.Context, d drawer, pace time.Duration) *drawing {
	out := &drawing{drawer: d, pace: pace, wake: make(chan struct{}, 1), ended: make(chan struct{}), due: make(map[string]events.Contest)}
	go func() {
		defer close(out.ended)
		out.run(ctx)
	}()
	return out
}

// changed says that votes of a contest came to their end.
func (d *drawing) changed(c events.Contest) {
	d.mu.Lock()
	d.due[c.ID] = c
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

func (d *drawing) run(ctx context.Context) {
	for {
		select {
		case <-d.wake:
		case <-ctx.Done():
			return
		}
		d.draw(ctx)
		rest := time.NewTimer(d.pace)
		select {
		case <-rest.C:
		case <-ctx.Done():
			rest.Stop()
			return
		}
	}
}

// draw draws what is due. What failed, or has no point yet, is due again.
func (d *drawing) draw(ctx context.Context) {
	d.mu.Lock()
	due := d.due
	d.due = make(map[string]events.Contest)
	d.mu.Unlock()
	for _, c := range due {
		one, cancel := context.WithTimeout(ctx, drawTimeout)
		pointed, err := d.drawer.Draw(one, c)
		cancel()
		if err != nil && ctx.Err() == nil {
			slog.Warn("charts not drawn", "contest", c.ID, "error", err)
		}
		if err != nil || !pointed {
			d.changed(c)
		}
	}
}

// close draws what is due a last time. The process's context has ended, and no
// box is at work.
func (d *drawing) close(ctx context.Context) error {
	select {
	case <-d.ended:
	case <-ctx.Done():
		return ctx.Err()
	}
	d.draw(ctx)
	return nil
}
