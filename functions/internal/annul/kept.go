package annul

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"marimba/functions/internal/journal"
)

// Kept is where the acts are.
type Kept interface {
	Ruling(ctx context.Context, contest string, number int) (journal.Ruling, bool, error)
}

// Keeper keeps acts, of each number one.
type Keeper interface {
	Rule(ctx context.Context, r journal.Ruling) error
}

// Read returns the book of a contest.
func Read(ctx context.Context, log Kept, contest string) (*Book, error) {
	b := &Book{Contest: contest}
	_, err := b.Follow(ctx, log)
	return b, err
}

// Follow adds the acts that came since the book was read, and returns their number.
// An act that does not follow from those before it is an error: somebody has
// changed what is kept.
func (b *Book) Follow(ctx context.Context, log Kept) (added int, err error) {
	for {
		kept, ok, err := log.Ruling(ctx, b.Contest, len(b.Acts)+1)
		if err != nil || !ok {
			return added, err
		}
		var a Act
		if err := json.Unmarshal([]byte(kept.Text), &a); err != nil {
			return added, fmt.Errorf("read act %d of %s: %w", kept.Number, b.Contest, err)
		}
		if a.Before != b.last {
			return added, fmt.Errorf("act %d of %s does not name the act before it", kept.Number, b.Contest)
		}
		changes, err := b.Add(a)
		if err != nil {
			return added, fmt.Errorf("act %d of %s: %w", kept.Number, b.Contest, err)
		}
		if changes != (a.Effect != nil) {
			return added, fmt.Errorf("act %d of %s: whether it changes anything is not what it says", kept.Number, b.Contest)
		}
		b.last = digestOf(kept.Text)
		added++
	}
}

// Keep keeps the act that was added to the book last. journal.ErrRuled says that
// somebody else kept one of its number: the book is to be read again.
func (b *Book) Keep(ctx context.Context, log Keeper) error {
	a := &b.Acts[len(b.Acts)-1]
	a.Before = b.last
	text, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("write act: %w", err)
	}
	if err := log.Rule(ctx, journal.Ruling{Contest: b.Contest, Number: a.Number, At: a.At, Text: string(text)}); err != nil {
		return err
	}
	b.last = digestOf(string(text))
	return nil
}

func digestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
