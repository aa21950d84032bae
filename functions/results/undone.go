package main

import (
	"context"
	"fmt"
	"time"

	"marimba/events"
	"marimba/functions/internal/annul"
	"marimba/functions/internal/journal"
)

// undoneTimeout bounds the reading of the annulled votes from the log. It is done
// once for each ruling, when the history is first asked for.
const undoneTimeout = 5 * time.Minute

// undone is the annulled votes by the time of their receipt, which Redis's history
// still has as counted.
type undone struct {
	acts    int // of the book that it was read by
	seconds map[int64]int64
	minutes map[int64]map[string]int64 // by folded name of the band
}

// undoneOf returns the annulled votes of the time that history shows. The first who
// asks reads them, for all.
func (r *results) undoneOf(ctx context.Context, c events.Contest) (undone, error) {
	book, _ := r.annulments.of(ctx, c) // its error is told by what shows it
	if book.Effect.Votes() == 0 {
		return undone{}, nil
	}
	select {
	case r.undoing <- struct{}{}:
		defer func() { <-r.undoing }()
	case <-ctx.Done():
		return undone{}, fmt.Errorf("wait for the annulled votes of %s: %w", c.ID, ctx.Err())
	}
	if kept := r.undone[c.ID]; kept.acts == len(book.Acts) {
		return kept, nil
	}
	read, err := r.readUndone(ctx, c, book)
	if err == nil {
		r.undone[c.ID] = read
	}
	return read, err
}

func (r *results) readUndone(ctx context.Context, c events.Contest, book *annul.Book) (undone, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoneTimeout) // the answer is for all
	defer cancel()
	out := undone{len(book.Acts), make(map[int64]int64), make(map[int64]map[string]int64)}
	filter := journal.Filter{Contest: c.ID, State: events.Counted, From: r.now().Add(-mostByMinute)}
	for row, err := range r.journal.Rows(ctx, filter) {
		if err != nil {
			return undone{}, fmt.Errorf("read the annulled votes of %s: %w", c.ID, err)
		}
		if row.State != events.Counted || book.Of(row.Channel, &row.Vote) == 0 {
			continue
		}
		out.seconds[row.Vote.At.Unix()]++
		minute := row.Vote.At.Unix() / 60
		if out.minutes[minute] == nil {
			out.minutes[minute] = make(map[string]int64)
		}
		out.minutes[minute][events.Fold(row.Vote.Name)]++
	}
	return out, nil
}

// from takes the annulled votes of a second out of the counted ones.
func (u undone) from(at time.Time, states map[events.State]int64) {
	if n := min(u.seconds[at.Unix()], states[events.Counted]); n > 0 {
		states[events.Counted] -= n
		states[events.Annulled] = n
	}
}

// of returns how many of a band's votes of a minute are annulled.
func (u undone) of(at time.Time, band string) int64 {
	return u.minutes[at.Unix()/60][events.Fold(band)]
}
