package main

import (
	"context"
	"fmt"
	"time"

	"marimba/events"
	"marimba/functions/internal/board"
	"marimba/functions/internal/counts"
	"marimba/functions/internal/journal"
)

// withheld says what of a contest's results the public does not see now.
func (r *results) withheld(ctx context.Context, c events.Contest) events.Withheld {
	if c.Showing == (events.Showing{}) {
		return ""
	}
	return c.Showing.At(r.finals.phaseOf(ctx, c), r.now())
}

// withheldAt reports whether a vote that was received at an instant is not shown
// to the public.
func (r *results) withheldAt(ctx context.Context, contest string, at time.Time) bool {
	c, ok := r.contests.Contest(contest)
	if !ok {
		return false
	}
	switch r.withheld(ctx, c) {
	case events.Hidden:
		return true
	case events.Frozen:
		return !at.Before(c.Showing.FrozenFrom)
	}
	return false
}

// publicStep is how exactly the public log tells when a vote was received. A
// receipt's number holds the time of its box: told to the millisecond here too, it
// would lead from the one to the other. By the minute the history tells it anyway.
const publicStep = time.Minute

// shown is a row as its reader may see it: one that is withheld says how its vote
// ended, not what it is for.
func (r *results) shown(ctx context.Context, from journal.Row, full bool) row {
	out := rowOf(from, full)
	if out.AnnulledBy = r.annulledBy(ctx, from); out.AnnulledBy > 0 {
		out.State = events.Annulled
	}
	out.Key = r.secrets.Of(from.Contest, "row/"+from.Receipt).String() // no receipt has a slash
	if !full {
		out.At = out.At.Truncate(publicStep)
	}
	if !full && r.withheldAt(ctx, from.Contest, from.Vote.At) {
		out.Name, out.Album, out.Year, out.Rank, out.Withheld = "", "", 0, 0, true
	}
	return out
}

// mayFilter keeps a search by band from telling what is withheld by what it
// finds: one of all contests leaves out those that withhold anything, one of a
// hidden contest is refused, and one of a frozen contest finds what came before.
func (r *results) mayFilter(ctx context.Context, f *journal.Filter) error {
	if f.Band == "" {
		return nil
	}
	for _, id := range r.contests.IDs() {
		c, ok := r.contests.Contest(id)
		if !ok || f.Contest != "" && f.Contest != id {
			continue
		}
		switch withheld := r.withheld(ctx, c); {
		case withheld == "":
		case f.Contest == "":
			f.Except = append(f.Except, id)
		case withheld == events.Frozen:
			if f.To.IsZero() || f.To.After(c.Showing.FrozenFrom) {
				f.To = c.Showing.FrozenFrom
			}
		default:
			return events.Refuse(events.TokenRequired, "band")
		}
	}
	return nil
}

// Of how the board was when it froze: how long it may take to read it from the
// log, and how long it is believed. Votes that were received before are counted
// a little later, or much later if they were dead. Reading takes no more than
// a part in frozenShare of the time.
const (
	frozenTimeout = 5 * time.Minute
	frozenFor     = 30 * time.Second
	frozenShare   = 50
)

// frozenBoard is what is known of a board at its freeze.
type frozenBoard struct {
	sheet    boardSheet
	digest   string
	revision string
	until    time.Time // it is believed
}

// public returns the board of a contest as everybody may see it.
func (b *boards) public(ctx context.Context, contest string) (boardSheet, string, error) {
	sheet, digest, err := b.of(ctx, contest)
	c, ok := b.contests.Contest(contest)
	if err != nil || !ok {
		return sheet, digest, err
	}
	switch c.Showing.At(sheet.Phase, b.now()) {
	case events.Hidden:
		sheet.Withheld = events.Hidden
		sheet.Bands, sheet.Totals = []board.Band{}, board.Totals{Votes: sheet.Totals.Votes}
		digest, err = sheet.digest()
		return sheet, digest, err
	case events.Frozen:
		return b.frozen(ctx, c, sheet.Phase)
	}
	return sheet, digest, nil
}

// frozen returns the board of the votes that were received before the freeze. The
// first who asks reads it, for all.
func (b *boards) frozen(ctx context.Context, c events.Contest, phase events.Phase) (boardSheet, string, error) {
	select {
	case b.freezing <- struct{}{}:
		defer func() { <-b.freezing }()
	case <-ctx.Done():
		return boardSheet{}, "", fmt.Errorf("wait for the frozen board of %s: %w", c.ID, ctx.Err())
	}
	kept, ok := b.ice[c.ID]
	began := b.now()
	if ok && kept.revision == c.Revision && kept.sheet.Phase == phase && began.Before(kept.until) {
		return kept.sheet, kept.digest, nil
	}
	votes, err := b.before(ctx, c)
	if err != nil {
		return boardSheet{}, "", err
	}
	sheet := boardSheet{Board: board.Make(c, votes, c.Showing.FrozenFrom), Phase: phase, Provisional: true, Withheld: events.Frozen}
	digest, err := sheet.digest()
	if err != nil {
		return boardSheet{}, "", err
	}
	took := b.now().Sub(began)
	b.ice[c.ID] = frozenBoard{sheet, digest, c.Revision, b.now().Add(max(frozenFor, frozenShare*took))}
	return sheet, digest, nil
}

// before adds up the counted votes that were received before a contest's freeze.
func (b *boards) before(ctx context.Context, c events.Contest) (counts.Histogram, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), frozenTimeout) // the answer is for all
	defer cancel()
	votes := make(counts.Histogram)
	filter := journal.Filter{Contest: c.ID, State: events.Counted, To: c.Showing.FrozenFrom}
	for row, err := range b.log.Rows(ctx, filter) {
		if err != nil {
			return nil, fmt.Errorf("read the votes before the freeze of %s: %w", c.ID, err)
		}
		albums := votes[row.Vote.Name]
		if albums == nil {
			albums = make(map[string]map[int32]int64)
			votes[row.Vote.Name] = albums
		}
		ranks := albums[row.Vote.Album]
		if ranks == nil {
			ranks = make(map[int32]int64)
			albums[row.Vote.Album] = ranks
		}
		ranks[row.Vote.Rank]++
	}
	return votes, nil
}
