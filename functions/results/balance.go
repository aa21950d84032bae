package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"marimba/events"
	"marimba/functions/internal/annul"
	"marimba/functions/internal/counts"
)

// figured is how many votes ended how, as Redis has it.
type figured interface {
	Figures(ctx context.Context, c events.Contest) (counts.Figures, error)
	Pending(ctx context.Context, c events.Contest) (map[events.State]int64, error)
}

// balance is the books of a contest: each vote that was answered with success
// is in exactly one final state, or on its way.
type balance struct {
	Contest string                                    `json:"contest"`
	AsOf    time.Time                                 `json:"as_of"`
	Final   int64                                     `json:"final"` // votes in a final state
	States  map[events.State]int64                    `json:"states"`
	Channel map[events.Channel]map[events.State]int64 `json:"channels"`
	Refused map[events.Code]int64                     `json:"refusals"`
	// Replaced is how many of the counted votes that stand gave way to a later one of the
	// same voter. The board has the counted votes less these.
	Replaced int64 `json:"replaced"`
	// Pending are votes that are decided but not in the log yet. They are in no
	// other number here.
	Pending map[events.State]int64 `json:"pending"`
}

func (r *results) showBalance(w http.ResponseWriter, req *http.Request) error {
	c, err := r.contestOf(req)
	if err != nil {
		return err
	}
	r.lost.look(req.Context(), c)
	figures, err := r.counts.Figures(req.Context(), c)
	if err != nil {
		return err
	}
	undecided, err := r.counts.Pending(req.Context(), c)
	if err != nil {
		return err
	}
	dead, err := r.shelved.of(req.Context(), c.ID)
	if err != nil {
		return err
	}
	book, err := r.annulments.of(req.Context(), c)
	if err != nil {
		return err
	}
	b := makeBalance(figures, dead)
	b.annul(book.Effect)
	b.Contest, b.Pending = c.ID, undecided
	b.AsOf = r.now().UTC()
	return write(w, req, forAMoment, "", b)
}

// makeBalance adds up the books. Each state and channel is in them, if with 0.
func makeBalance(f counts.Figures, dead map[events.Channel]int64) balance {
	b := balance{
		States:  make(map[events.State]int64, len(events.States)),
		Channel: make(map[events.Channel]map[events.State]int64, len(events.Channels)),
		Refused: f.Reasons, Replaced: f.Replaced,
	}
	for _, channel := range events.Channels {
		in := make(map[events.State]int64, len(events.States))
		for _, state := range events.States {
			n := f.Votes[channel][state]
			if state == events.Dead {
				n = dead[channel]
			}
			in[state] = n
			b.States[state] += n
			b.Final += n
		}
		b.Channel[channel] = in
	}
	return b
}

// annul takes the annulled votes out of the counted ones: they are a state of their
// own in the books.
func (b *balance) annul(effect *annul.Effect) {
	b.States[events.Annulled] = effect.Votes()
	b.States[events.Counted] -= effect.Votes()
	for channel, in := range b.Channel {
		n := int64(0)
		if effect != nil {
			n = effect.Channels[channel]
		}
		in[events.Annulled] = n
		in[events.Counted] -= n
	}
	if effect != nil {
		b.Replaced -= effect.Replaced
	}
}

// deadFor is how long the number of dead votes is believed. It changes seldom,
// and MongoDB is not for polling.
const deadFor = time.Second

// shelved knows how many votes are dead.
type shelved struct {
	journal logged
	now     func() time.Time

	mu   sync.Mutex
	kept map[string]keptDead // by contest
}

type keptDead struct {
	votes map[events.Channel]int64
	read  time.Time
}

func newShelved(journal logged, now func() time.Time) *shelved {
	return &shelved{journal: journal, now: now, kept: make(map[string]keptDead)}
}

func (s *shelved) of(ctx context.Context, contest string) (map[events.Channel]int64, error) {
	now := s.now()
	s.mu.Lock()
	kept, ok := s.kept[contest]
	s.mu.Unlock()
	if ok && now.Sub(kept.read) < deadFor {
		return kept.votes, nil
	}
	votes, err := s.journal.DeadVotes(ctx, contest)
	if err != nil {
		return nil, fmt.Errorf("count dead votes of %s: %w", contest, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept[contest] = keptDead{votes, now}
	return votes, nil
}
