package annul

import (
	"context"
	"errors"
	"strings"
	"testing"

	"marimba/events"
	"marimba/functions/internal/journal"
)

// memory keeps acts, each number once.
type memory map[int]journal.Ruling

func (m memory) Ruling(_ context.Context, _ string, number int) (journal.Ruling, bool, error) {
	r, ok := m[number]
	return r, ok, nil
}

func (m memory) Rule(_ context.Context, r journal.Ruling) error {
	if _, ok := m[r.Number]; ok {
		return journal.ErrRuled
	}
	m[r.Number] = r
	return nil
}

// Of two people who have read the same book, one adds the next act.
func TestSecondOfOneNumberIsNotKept(t *testing.T) {
	log := memory{}
	first, second := &Book{Contest: "rock"}, &Book{Contest: "rock"}
	for _, b := range []*Book{first, second} {
		if _, err := b.Add(step{Propose, 0, "Ana", ""}.act(1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := first.Keep(t.Context(), log); err != nil {
		t.Fatal(err)
	}
	if err := second.Keep(t.Context(), log); !errors.Is(err, journal.ErrRuled) {
		t.Errorf("got %v", err)
	}
}

// What is kept is read back as it was, act by act; a book that was changed is not
// believed.
func TestBookIsReadBack(t *testing.T) {
	log := memory{}
	b := &Book{Contest: "rock"}
	effect := reckon(t, rock, []vote{{0, events.ByHTTP, "Alux", ""}}, nil, []Filter{{Channel: events.ByHTTP}})
	for _, s := range []step{{Propose, 0, "Ana", ""}, {Approve, 1, "Eva", ""}, {Approve, 1, "Luis", ""}} {
		changes, err := b.Add(s.act(len(b.Acts) + 1))
		if err != nil {
			t.Fatal(err)
		}
		if changes {
			b.Acts[len(b.Acts)-1].Effect = effect
		}
		if err := b.Keep(t.Context(), log); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Read(t.Context(), log, "rock")
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Acts) != 3 || got.Effect.Votes() != 1 || got.Case(1).State != InForce || got.Of(events.ByHTTP, &events.Vote{}) != 1 || got.Of(events.ByGRPC, &events.Vote{}) != 0 {
		t.Errorf("read back: %+v", got)
	}
	if clone, err := got.Clone(); err != nil || clone.Effect.Votes() != 1 || clone.Case(1) == got.Case(1) {
		t.Errorf("cloned: %+v, %v", clone, err)
	}
	for say, change := range map[string]func(memory){
		"an act in between was exchanged": func(m memory) {
			r := m[2]
			r.Text = strings.Replace(r.Text, "Eva", "Iva", 1)
			m[2] = r
		},
		"an approval has no effect": func(m memory) {
			r := m[3]
			at := strings.Index(r.Text, `"effect"`)
			r.Text = r.Text[:at] + r.Text[strings.Index(r.Text, `"previous_sha256"`):]
			m[3] = r
		},
		"an approval is the proposer's": func(m memory) {
			r := m[3]
			r.Text = strings.Replace(r.Text, "Luis", "Ana", 1)
			m[3] = r
		},
	} {
		changed := memory{1: log[1], 2: log[2], 3: log[3]}
		change(changed)
		if _, err := Read(t.Context(), changed, "rock"); err == nil {
			t.Errorf("%s, and it is believed", say)
		}
	}
}
