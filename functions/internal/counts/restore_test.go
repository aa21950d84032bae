package counts

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"marimba/events"
)

// Counts that are rebuilt from the log are those that the log was written with,
// in whatever order its boxes come: tally, figures, limits and ids.
func TestRestoreGivesTheSameCounts(t *testing.T) {
	limits := []events.Limit{
		{Mode: events.NoLimit}, {Mode: events.PerContest, N: 2}, {Mode: events.PerBand, N: 1}, {Mode: events.Replace},
	}
	onEach(t, func(t *testing.T, s *Store) {
		for _, limit := range limits {
			for seed := range uint64(6) {
				t.Run(fmt.Sprintf("%s/%d", limit.Mode, seed), func(t *testing.T) {
					d := dice{rand.New(rand.NewPCG(seed, 1))}
					ctx := t.Context()
					live := events.Contest{ID: strings.ReplaceAll(fmt.Sprintf("live-%s-%d", limit.Mode, seed), "_", "-"), Limit: limit, Shards: 4}
					want := newModel(live)
					type logged struct {
						entry  Entry
						states []events.State
					}
					var log []logged
					for n := range 30 {
						e := d.entry(live, n)
						states := make([]events.State, len(e.Box.Votes))
						want.take(e, -1, states)
						log = append(log, logged{e, states})
					}
					d.Shuffle(len(log), func(i, k int) { log[i], log[k] = log[k], log[i] })

					if empty, err := s.Empty(ctx, live); err != nil || !empty {
						t.Fatalf("before: empty %v, %v", empty, err)
					}
					for _, l := range log {
						if err := s.Restore(ctx, live, l.entry, l.states); err != nil {
							t.Fatal(err)
						}
					}
					if empty, err := s.Empty(ctx, live); err != nil || empty {
						t.Fatalf("after: empty %v, %v", empty, err)
					}
					check(t, s, live, want)

					// The next votes are decided as if nothing had happened.
					for n := range 10 {
						e := d.entry(live, 100+n)
						states := make([]events.State, len(e.Box.Votes))
						want.take(e, -1, states)
						a, err := s.Count(ctx, live, e)
						if err != nil {
							t.Fatal(err)
						}
						if !slices.Equal(a.States, states) {
							t.Errorf("%s got %v, want %v", e.ID, a.States, states)
						}
						if err := s.Settle(ctx, live, e, a, a.Attempt); err != nil {
							t.Fatal(err)
						}
					}
					check(t, s, live, want)
				})
			}
		}
	})
}

// Under mode replace the board is a matter of which votes there are, and not of
// the order in which they come.
func TestReplaceDoesNotDependOnOrder(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		d := dice{rand.New(rand.NewPCG(7, 7))}
		var first map[string]int64
		var votes []events.Vote
		for n := range 12 {
			votes = append(votes, d.entry(events.Contest{}, n).Box.Votes...)
		}
		for i := range votes {
			votes[i].Reason, votes[i].ID = "", fmt.Sprintf("id-%d", i)
		}
		for round := range 5 {
			c := events.Contest{ID: fmt.Sprintf("order-%d", round), Limit: events.Limit{Mode: events.Replace}, Shards: 2}
			// Ids of other contests have other hashes, so ties would fall elsewhere.
			for i := range votes {
				votes[i].At = start.Add(time.Duration(i) * time.Millisecond)
			}
			shuffled := slices.Clone(votes)
			d.Shuffle(len(shuffled), func(i, k int) { shuffled[i], shuffled[k] = shuffled[k], shuffled[i] })
			for i, v := range shuffled {
				e := Entry{ID: fmt.Sprintf("b%d/accepted", i), Box: events.Box{ID: fmt.Sprintf("b%d", i), Contest: c.ID, Votes: []events.Vote{v}}}
				if _, err := s.Count(t.Context(), c, e); err != nil {
					t.Fatal(err)
				}
			}
			tally, err := s.sum(t.Context(), c, "tally")
			if err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = tally
			}
			if !maps.Equal(tally, first) {
				t.Errorf("round %d\n got %v\nwant %v", round, tally, first)
			}
		}
	})
}
