package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"marimba/events"
	"marimba/functions/internal/board"
	"marimba/functions/internal/journal"
)

// stated is where the statements are that make contests final.
type stated interface {
	Statement(ctx context.Context, contest string) (journal.Statement, bool, error)
	Final(ctx context.Context) (map[string]bool, error)
}

// How often the journal is asked which contests are final, and for how long. It
// is asked only while somebody looks at a contest that is closed and not final;
// what is final stays so.
const (
	finalsFor     = time.Second
	finalsTimeout = 2 * time.Second
	finalsRest    = 10 * time.Second // after it did not answer
)

// finals knows which contests are final.
type finals struct {
	journal stated
	now     func() time.Time

	asking sync.Mutex // held by the one who asks the journal
	again  time.Time  // it is not asked before; of the one who asks

	mu    sync.Mutex
	known map[string]bool
}

func newFinals(journal stated, now func() time.Time) *finals {
	return &finals{journal: journal, now: now, known: make(map[string]bool)}
}

// phaseOf returns the phase of a contest now. While the journal is away, a
// contest is closed that may be final: its result is not said to be the last word
// before that is known.
func (f *finals) phaseOf(ctx context.Context, c events.Contest) events.Phase {
	phase := c.PhaseAt(f.now())
	if phase == events.Closed && !f.has(c.ID) {
		f.refresh(ctx)
	}
	if f.has(c.ID) {
		return events.Final
	}
	return phase
}

func (f *finals) has(contest string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.known[contest]
}

// refresh asks the journal if it is time. Who comes while it is asked waits for
// the answer, and takes it.
func (f *finals) refresh(ctx context.Context) {
	f.asking.Lock()
	defer f.asking.Unlock()
	if f.now().Before(f.again) {
		return
	}
	ctx = context.WithoutCancel(ctx) // the answer is for all
	ctx, cancel := context.WithTimeout(ctx, finalsTimeout)
	defer cancel()
	final, err := f.journal.Final(ctx)
	if err != nil {
		f.again = f.now().Add(finalsRest)
		slog.Warn("which contests are final is not known", "error", err)
		return
	}
	f.again = f.now().Add(finalsFor)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.known = final
}

// boardOf returns the board of a contest's statement.
func (f *finals) boardOf(ctx context.Context, contest string) (board.Board, error) {
	s, ok, err := f.journal.Statement(ctx, contest)
	if err != nil {
		return board.Board{}, err
	}
	if !ok {
		return board.Board{}, fmt.Errorf("statement of %s is not there", contest)
	}
	var said struct{ Board board.Board }
	if err := json.Unmarshal([]byte(s.Text), &said); err != nil {
		return board.Board{}, fmt.Errorf("read statement of %s: %w", contest, err)
	}
	return said.Board, nil
}

// showStatement shows the statement as it was declared, byte for byte: its digest
// is of just this text.
func (r *results) showStatement(w http.ResponseWriter, req *http.Request) error {
	c, err := r.contestOf(req)
	if err != nil {
		return err
	}
	s, ok, err := r.journal.Statement(req.Context(), c.ID)
	if err != nil {
		return err
	}
	if !ok {
		return events.Refuse(events.NotFinal, "contest")
	}
	h := w.Header()
	h.Set("Cache-Control", forAMinute)
	h.Set("ETag", `"`+s.Digest+`"`)
	if sameTag(req, s.Digest) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Type", "application/json; charset=utf-8")
	_, _ = fmt.Fprintf(w, "{\"sha256\":%q,\"statement\":%s}\n", s.Digest, s.Text) // a reader who went away needs no answer
	return nil
}
