// Package journaltest is the log in memory, for tests of what writes and reads
// it. A test of package journal holds the two against each other.
package journaltest

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	"marimba/functions/internal/journal"
)

// Log is a log in memory. It is safe for concurrent use.
type Log struct {
	mu      sync.Mutex
	entries map[string]journal.Entry
	order   []string                  // ids, as they were appended
	lives   map[string][]journal.Life // by contest
	seals   map[string]map[journal.Mark]bool
}

// New returns an empty log.
func New() *Log {
	return &Log{
		entries: make(map[string]journal.Entry),
		lives:   make(map[string][]journal.Life), seals: make(map[string]map[journal.Mark]bool),
	}
}

// Append is as in journal.
func (l *Log) Append(_ context.Context, e journal.Entry) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if held, ok := l.entries[e.ID]; ok {
		return held.Attempt, nil
	}
	l.entries[e.ID] = e
	l.order = append(l.order, e.ID)
	return e.Attempt, nil
}

// Replace is as in journal.
func (l *Log) Replace(_ context.Context, e journal.Entry, void string) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	held, ok := l.entries[e.ID]
	if !ok {
		return "", fmt.Errorf("replace %s: it is not there", e.ID)
	}
	if held.Attempt != void {
		return held.Attempt, nil
	}
	l.entries[e.ID] = e
	return e.Attempt, nil
}

// Latest is as in journal.
func (l *Log) Latest(_ context.Context, contest string) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.latest(contest), nil
}

func (l *Log) latest(contest string) int64 { return int64(len(l.lives[contest])) }

// Lives is as in journal.
func (l *Log) Lives(_ context.Context, contest string) ([]journal.Life, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.lives[contest]), nil
}

// Begin is as in journal.
func (l *Log) Begin(_ context.Context, life journal.Life, stands []journal.Mark) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch latest := l.latest(life.Contest); {
	case life.Number <= latest:
		return fmt.Errorf("begin life %d: %w", life.Number, journal.ErrBegun)
	case life.Number > latest+1:
		return fmt.Errorf("begin life %d after %d", life.Number, latest)
	}
	seal := make(map[journal.Mark]bool)
	for _, m := range stands {
		seal[m] = true
	}
	l.lives[life.Contest] = append(l.lives[life.Contest], life)
	l.seals[fmt.Sprint(life.Contest, "/", life.Number)] = seal
	return nil
}

// Stands is as in journal.
func (l *Log) Stands(_ context.Context, contest, id, attempt string) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stands(contest, id, journal.LifeOf(attempt))
}

func (l *Log) stands(contest, id string, life int64) (bool, error) {
	seal, ok := l.seals[fmt.Sprint(contest, "/", life+1)]
	if !ok {
		return false, fmt.Errorf("life %d of %s has not begun", life+1, contest)
	}
	return seal[journal.MarkOf(id)], nil
}

// Held is as in journal.
func (l *Log) Held(_ context.Context, id string) (journal.Entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	held, ok := l.entries[id]
	if !ok {
		return journal.Entry{}, fmt.Errorf("look for box %s: it is not there", id)
	}
	return held, nil
}

// IDs is as in journal. What is appended while it goes on it does not see.
func (l *Log) IDs(_ context.Context, contest string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, e := range l.All(contest) {
			if !yield(e.ID, nil) {
				return
			}
		}
	}
}

// Entries is as in journal. What is appended while it goes on it does not see.
func (l *Log) Entries(ctx context.Context, contest string) iter.Seq2[journal.Entry, error] {
	return l.standing(func(e journal.Entry) bool { return contest == "" || e.Box.Contest == contest })
}

// EntriesOf is as in journal.
func (l *Log) EntriesOf(_ context.Context, ids []string) iter.Seq2[journal.Entry, error] {
	return l.standing(func(e journal.Entry) bool { return slices.Contains(ids, e.ID) })
}

func (l *Log) standing(of func(journal.Entry) bool) iter.Seq2[journal.Entry, error] {
	return func(yield func(journal.Entry, error) bool) {
		for _, e := range l.All("") {
			if !of(e) {
				continue
			}
			stands, err := true, error(nil)
			l.mu.Lock()
			if life := journal.LifeOf(e.Attempt); life < l.latest(e.Box.Contest) {
				stands, err = l.stands(e.Box.Contest, e.ID, life)
			}
			l.mu.Unlock()
			if err != nil {
				yield(journal.Entry{}, err)
				return
			}
			if stands && !yield(e, nil) {
				return
			}
		}
	}
}

// All returns the entries of a contest ("" is all), void ones too, as they were
// appended.
func (l *Log) All(contest string) []journal.Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []journal.Entry
	for _, id := range l.order {
		if e := l.entries[id]; contest == "" || e.Box.Contest == contest {
			out = append(out, e)
		}
	}
	return out
}

// Contests is as in journal.
func (l *Log) Contests(context.Context) ([]string, error) {
	seen := make(map[string]bool)
	var out []string
	for _, e := range l.All("") {
		if !seen[e.Box.Contest] {
			seen[e.Box.Contest] = true
			out = append(out, e.Box.Contest)
		}
	}
	slices.SortFunc(out, strings.Compare)
	return out, nil
}
