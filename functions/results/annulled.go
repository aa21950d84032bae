package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"marimba/events"
	"marimba/functions/internal/annul"
	"marimba/functions/internal/board"
	"marimba/functions/internal/journal"
)

// How often the journal is asked for the next act about a contest's votes, and for
// how long. It is asked only while somebody looks at a contest that has closed.
const (
	actsFor     = time.Second
	actsTimeout = 5 * time.Second
	actsRest    = 10 * time.Second // after it did not answer
)

// annulments knows what is annulled.
type annulments struct {
	journal annul.Kept
	now     func() time.Time

	mu   sync.Mutex
	kept map[string]*keptBook // by contest
}

type keptBook struct {
	asking sync.Mutex // held by the one who asks the journal
	again  time.Time  // it is not asked before; of the one who asks

	mu   sync.Mutex
	book *annul.Book // never changed; nil: it was never read
}

func newAnnulments(journal annul.Kept, now func() time.Time) *annulments {
	return &annulments{journal: journal, now: now, kept: make(map[string]*keptBook)}
}

// of returns the book of a contest, which must not be changed. While the journal is
// away it is the one that was read last; one that never was is an error, and empty:
// then nothing may be said to be the last word.
func (a *annulments) of(ctx context.Context, c events.Contest) (*annul.Book, error) {
	if c.PhaseAt(a.now()) != events.Closed { // nor final: then none can be annulled
		return &annul.Book{Contest: c.ID}, nil
	}
	a.mu.Lock()
	kept := a.kept[c.ID]
	if kept == nil {
		kept = new(keptBook)
		a.kept[c.ID] = kept
	}
	a.mu.Unlock()
	if err := a.refresh(ctx, c.ID, kept); err != nil {
		return &annul.Book{Contest: c.ID}, err
	}
	return kept.get(), nil
}

func (k *keptBook) get() *annul.Book {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.book
}

// refresh asks the journal if it is time. Who comes while it is asked waits for the
// answer, and takes it.
func (a *annulments) refresh(ctx context.Context, contest string, kept *keptBook) error {
	kept.asking.Lock()
	defer kept.asking.Unlock()
	book := kept.get()
	if book != nil && a.now().Before(kept.again) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), actsTimeout) // the answer is for all
	defer cancel()
	next := &annul.Book{Contest: contest}
	var err error
	if book != nil {
		next, err = book.Clone()
	}
	added := 0
	if err == nil {
		added, err = next.Follow(ctx, a.journal)
	}
	switch {
	case err != nil && book == nil:
		return fmt.Errorf("read what is annulled in %s: %w", contest, err)
	case err != nil:
		kept.again = a.now().Add(actsRest)
		slog.Warn("what is annulled is not known anew", "contest", contest, "error", err)
		return nil
	}
	kept.again = a.now().Add(actsFor)
	if book != nil && added == 0 {
		return nil
	}
	kept.mu.Lock()
	defer kept.mu.Unlock()
	kept.book = next
	return nil
}

// annulledBy returns the number of the case that annuls a counted vote; 0: it
// stands, or that is not known.
func (r *results) annulledBy(ctx context.Context, row journal.Row) int {
	c, ok := r.contests.Contest(row.Contest)
	if !ok || row.State != events.Counted {
		return 0
	}
	book, _ := r.annulments.of(ctx, c) // its error is told by what shows it
	return book.Of(row.Channel, &row.Vote)
}

// standing makes a filter of counted votes one of those that stand, and one of
// annulled votes one of the counted that do not.
func (r *results) standing(ctx context.Context, f *journal.Filter) {
	switch f.State {
	case events.Annulled:
		f.State = events.Counted
		f.Where = func(row journal.Row) bool { return r.annulledBy(ctx, row) > 0 }
	case events.Counted:
		f.Where = func(row journal.Row) bool { return r.annulledBy(ctx, row) == 0 }
	}
}

// Bounds of what is told of an act's boards.
const (
	actBands  = 50
	actAlbums = 5
)

// annulledSheet is what of a contest's votes is annulled, and how that came.
type annulledSheet struct {
	Contest  string                   `json:"contest"`
	Votes    int64                    `json:"votes"` // that are annulled now
	Channels map[events.Channel]int64 `json:"channels"`
	// Replaced is how many of them are not on the board anyway: later votes of the same
	// voters had taken their places.
	Replaced int64        `json:"replaced"`
	Cases    []annul.Case `json:"cases"`
	Rulings  []rulingLine `json:"rulings"`
	Withheld bool         `json:"withheld,omitempty"` // the boards, and which bands are concerned
}

// rulingLine is an act that changed what is annulled.
type rulingLine struct {
	Number  int          `json:"number"`
	At      time.Time    `json:"at"`
	Kind    annul.Kind   `json:"kind"`
	Case    int          `json:"case,omitempty"`
	InForce []int        `json:"in_force"` // from then on
	Votes   int64        `json:"votes"`
	Before  *board.Board `json:"board_before,omitempty"`
	After   *board.Board `json:"board_after,omitempty"`
}

// showAnnulments publishes a contest's book: who proposed and approved what, and the
// board before and after each change.
func (r *results) showAnnulments(w http.ResponseWriter, req *http.Request) error {
	full, err := r.access.given(req)
	if err != nil {
		return err
	}
	c, err := r.contestOf(req)
	if err != nil {
		return err
	}
	book, err := r.annulments.of(req.Context(), c)
	if err != nil {
		return err
	}
	withheld := !full && r.withheld(req.Context(), c) != ""
	return write(w, req, keptBy(full), "", annulledSheetOf(book, withheld))
}

func annulledSheetOf(book *annul.Book, withheld bool) annulledSheet {
	sheet := annulledSheet{
		Contest: book.Contest, Votes: book.Effect.Votes(), Channels: make(map[events.Channel]int64),
		Cases: make([]annul.Case, len(book.Cases)), Rulings: []rulingLine{}, Withheld: withheld,
	}
	if book.Effect != nil {
		sheet.Replaced = book.Effect.Replaced
		for channel, n := range book.Effect.Channels {
			sheet.Channels[channel] = n
		}
	}
	for i, one := range book.Cases {
		sheet.Cases[i] = *one
		if withheld { // how many votes a band has is not public
			sheet.Cases[i].Filter.Band, sheet.Cases[i].Votes = "", 0
		}
	}
	for _, a := range book.Acts {
		if a.Effect == nil {
			continue
		}
		line := rulingLine{Number: a.Number, At: a.At, Kind: a.Kind, Case: a.Case, InForce: a.Effect.InForce, Votes: a.Effect.Votes()}
		if !withheld {
			before, after := a.Effect.Old.Cut(actBands, actAlbums), a.Effect.New.Cut(actBands, actAlbums)
			line.Before, line.After = &before, &after
		}
		sheet.Rulings = append(sheet.Rulings, line)
	}
	return sheet
}
