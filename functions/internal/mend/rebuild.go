package mend

import (
	"context"
	"fmt"
	"time"

	"marimba/events"
	"marimba/functions/internal/counts"
	"marimba/functions/internal/journal"
)

// rebuild is a contest's counts on their way from the log into a shadow.
type rebuild struct {
	counts  Counts
	log     Log
	contest events.Contest
	life    int64 // the latest
	shadow  *counts.Shadow
	proof   *counts.Recount // the same, without Redis
	seen    map[journal.Mark]struct{}
	stands  []journal.Mark // of the entries of the latest life
	boxes   int64
	votes   int64

	drainMost time.Duration
}

func (m *Mender) begin(ctx context.Context, c events.Contest) (*rebuild, error) {
	life, err := m.log.Latest(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	shadow, err := m.counts.Shadow(ctx, c)
	if err != nil {
		return nil, err
	}
	return &rebuild{
		drainMost: m.drain, counts: m.counts, log: m.log, contest: c, life: life,
		shadow: shadow, proof: counts.NewRecount(c), seen: make(map[journal.Mark]struct{}),
	}, nil
}

// add adds an entry of the log. One that was added before stays as it is.
func (b *rebuild) add(ctx context.Context, e journal.Entry) error {
	mark := journal.MarkOf(e.ID)
	if _, ok := b.seen[mark]; ok {
		return nil
	}
	entry := counts.Entry{ID: e.ID, Box: e.Box}
	if err := b.proof.Add(entry, e.States); err != nil {
		return err
	}
	if err := b.shadow.Add(ctx, entry, e.States); err != nil {
		return err
	}
	b.seen[mark] = struct{}{}
	if journal.LifeOf(e.Attempt) == b.life {
		b.stands = append(b.stands, mark)
	}
	b.boxes++
	b.votes += int64(len(e.Box.Votes))
	return nil
}

// live begins the next life of the counts with what was added, which must be all
// that the log holds. Nothing comes to live that was not proven.
func (b *rebuild) live(ctx context.Context, cause string) (Result, error) {
	if err := b.prove(ctx); err != nil {
		return Result{}, err
	}
	found, err := b.found(ctx)
	if err != nil {
		return Result{}, err
	}
	r := Result{Contest: b.contest.ID, Life: b.life + 1, Boxes: b.boxes, Votes: b.votes, Cause: cause, Found: found}
	life := journal.Life{
		Contest: r.Contest, Number: r.Life, At: time.Now().UTC().Truncate(time.Millisecond),
		Cause: r.Cause, Found: found.String(), Boxes: r.Boxes, Votes: r.Votes,
	}
	if err := b.log.Begin(ctx, life, b.stands); err != nil {
		return Result{}, err
	}
	if err := b.shadow.Live(ctx, r.Life); err != nil {
		return Result{}, err
	}
	_, _ = b.counts.Draw(ctx, b.contest) // the counts live; what is not drawn now the next vote draws
	return r, nil
}

// prove holds the shadow against a recount without Redis.
func (b *rebuild) prove(ctx context.Context) error {
	if err := b.shadow.Flush(ctx); err != nil {
		return err
	}
	difference, err := b.compare(ctx, b.shadow.Tally, b.shadow.Figures)
	if err != nil {
		return err
	}
	if difference != nil {
		return fmt.Errorf("prove %s: log and rebuilt counts differ: %w", b.contest.ID, difference)
	}
	return nil
}

// found compares the living counts with the log, before they are replaced.
func (b *rebuild) found(ctx context.Context) (Found, error) {
	var found Found
	tally, err := b.counts.Tally(ctx, b.contest)
	if err != nil {
		return Found{}, err
	}
	found.Votes = tally.Votes()
	pending, err := b.counts.Pending(ctx, b.contest)
	if err != nil {
		return Found{}, err
	}
	found.Pending = pending[events.Counted]
	difference, err := b.compare(ctx,
		func(context.Context) (counts.Histogram, error) { return tally, nil },
		func(ctx context.Context) (counts.Figures, error) { return b.counts.Figures(ctx, b.contest) })
	if err != nil {
		return Found{}, err
	}
	if difference != nil {
		found.Difference = difference.Error()
	}
	return found, nil
}

// compare holds counts against the recount.
func (b *rebuild) compare(
	ctx context.Context,
	tally func(context.Context) (counts.Histogram, error),
	figures func(context.Context) (counts.Figures, error),
) (difference, err error) {
	board, err := tally(ctx)
	if err != nil {
		return nil, err
	}
	if err := b.proof.Tally().Differ(board); err != nil {
		return err, nil
	}
	states, err := figures(ctx)
	if err != nil {
		return nil, err
	}
	return b.proof.Figures().Differ(states), nil
}

// discard clears the shadow of a rebuild that came to nothing. If that fails too,
// the next one clears it.
func (b *rebuild) discard(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), discardMost)
	defer cancel()
	_ = b.shadow.Discard(ctx)
}

const discardMost = 5 * time.Second

func (f Found) String() string {
	if f.Difference == "" {
		return "the same"
	}
	return fmt.Sprintf("%d votes on the board, %d of them pending: %s", f.Votes, f.Pending, f.Difference)
}
