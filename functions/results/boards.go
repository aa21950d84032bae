package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"marimba/events"
	"marimba/functions/internal/annul"
	"marimba/functions/internal/board"
	"marimba/functions/internal/counts"
)

// tallies are the counted votes, as Redis holds them.
type tallies interface {
	Tally(ctx context.Context, c events.Contest) (counts.Histogram, error)
	Version(ctx context.Context, c events.Contest) (int64, error)
}

// staleAfter is how long a board is believed to be right because its version
// has not changed. A version comes back by chance only, when counts were made
// anew.
const staleAfter = 5 * time.Second

// boardSheet is a board, and how much of a last word it is.
type boardSheet struct {
	board.Board
	Phase       events.Phase `json:"phase"`
	Provisional bool         `json:"provisional"` // until the contest is final
	// Withheld says what the public does not see; empty: nothing.
	Withheld events.Withheld `json:"withheld,omitempty"`
	// Annulled is how many votes the board is without because they are annulled.
	Annulled int64 `json:"annulled,omitempty"`
}

func (b boardSheet) cut(bands, albums int) boardSheet {
	b.Board = b.Cut(bands, albums)
	return b
}

// digest names what a board shows, whenever it was read.
func (b boardSheet) digest() (string, error) {
	b.AsOf = time.Time{}
	text, err := json.Marshal(b)
	if err != nil {
		return "", fmt.Errorf("write board of %s: %w", b.Contest, err)
	}
	return digestOf(text), nil
}

// boards computes each contest's board once for each change of its counts, for
// all who ask. The board of a final contest is that of its statement.
type boards struct {
	contests contests
	tallies  tallies
	finals   *finals
	annulled *annulments
	log      searched
	lost     *lost
	now      func() time.Time

	freezing chan struct{} // held while ice is looked at
	ice      map[string]frozenBoard

	mu   sync.Mutex
	kept map[string]*keptBoard // by contest
}

type keptBoard struct {
	turn     chan struct{} // held while the fields below are looked at
	board    boardSheet
	digest   string
	revision string // of the contest
	version  int64
	acts     int       // of the contest's book of annulments
	read     time.Time // zero: never
}

func newBoards(contests contests, tallies tallies, finals *finals, annulled *annulments, log searched, lost *lost, now func() time.Time) *boards {
	return &boards{
		contests: contests, tallies: tallies, finals: finals, annulled: annulled, log: log, lost: lost, now: now, kept: make(map[string]*keptBoard),
		freezing: make(chan struct{}, 1), ice: make(map[string]frozenBoard),
	}
}

// of returns the board of a contest as it is now, for those who may see all of
// it, and the digest of what it shows. The board's slices are shared and must
// not be changed.
func (b *boards) of(ctx context.Context, contest string) (boardSheet, string, error) {
	c, ok := b.contests.Contest(contest)
	if !ok {
		return boardSheet{}, "", events.Refuse(events.ContestUnknown, "contest", "contest", contest)
	}
	kept := b.keptOf(contest)
	select {
	case kept.turn <- struct{}{}:
		defer func() { <-kept.turn }()
	case <-ctx.Done():
		return boardSheet{}, "", fmt.Errorf("wait for the board of %s: %w", contest, ctx.Err())
	}
	phase := b.finals.phaseOf(ctx, c)
	book, err := b.annulled.of(ctx, c)
	if err != nil && phase == events.Final {
		return boardSheet{}, "", err
	}
	if phase == events.Final {
		return b.final(ctx, c, kept, book)
	}
	b.lost.look(ctx, c)
	now := b.now()
	version, err := b.tallies.Version(ctx, c)
	if err != nil {
		return boardSheet{}, "", err
	}
	if kept.read.IsZero() || version != kept.version || c.Revision != kept.revision || phase != kept.board.Phase || len(book.Acts) != kept.acts || now.Sub(kept.read) >= staleAfter {
		// The version is older than the tally or of the same age: a change between
		// the two is seen as one again, never missed.
		votes, err := b.tallies.Tally(ctx, c)
		if err != nil {
			return boardSheet{}, "", err
		}
		made := boardSheet{Phase: phase, Provisional: true}
		if book.Effect != nil {
			votes = votes.Less(book.Effect.Histogram())
			made.Annulled = book.Effect.Votes() - book.Effect.Replaced
		}
		made.Board = board.Make(c, votes, now)
		if kept.digest, err = made.digest(); err != nil {
			return boardSheet{}, "", err
		}
		kept.board, kept.revision, kept.version, kept.acts, kept.read = made, c.Revision, version, len(book.Acts), now
	}
	current := kept.board
	current.AsOf = now.UTC()
	return current, kept.digest, nil
}

// final returns the board of a contest's statement or, if votes are annulled, that
// of the last ruling. It does not move any more, whatever becomes of the counts.
func (b *boards) final(ctx context.Context, c events.Contest, kept *keptBoard, book *annul.Book) (boardSheet, string, error) {
	if kept.board.Phase == events.Final && kept.acts == len(book.Acts) {
		return kept.board, kept.digest, nil
	}
	shown := boardSheet{Phase: events.Final}
	if effect := book.Effect; effect != nil && len(effect.InForce) > 0 {
		shown.Board, shown.Annulled = effect.New, effect.Votes()-effect.Replaced
	} else {
		var err error
		if shown.Board, err = b.finals.boardOf(ctx, c.ID); err != nil {
			return boardSheet{}, "", err
		}
	}
	digest, err := shown.digest()
	if err != nil {
		return boardSheet{}, "", err
	}
	kept.board, kept.digest, kept.acts = shown, digest, len(book.Acts)
	return shown, digest, nil
}

func (b *boards) keptOf(contest string) *keptBoard {
	b.mu.Lock()
	defer b.mu.Unlock()
	kept := b.kept[contest]
	if kept == nil {
		kept = &keptBoard{turn: make(chan struct{}, 1)}
		b.kept[contest] = kept
	}
	return kept
}

// digestOf is 96 bits of a hash: enough to tell two boards of a contest apart.
func digestOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:12])
}
