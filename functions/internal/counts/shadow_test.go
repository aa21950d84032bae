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

					sh, err := s.Shadow(ctx, live)
					if err != nil {
						t.Fatal(err)
					}
					for _, l := range log {
						if err := sh.Add(ctx, l.entry, l.states); err != nil {
							t.Fatal(err)
						}
					}
					if tally, err := s.Tally(ctx, live); err != nil || len(tally) > 0 {
						t.Errorf("before the shadow lives: %v, %v", tally, err)
					}
					if err := sh.Live(ctx, 1); err != nil {
						t.Fatal(err)
					}
					check(t, s, live, want)

					// A recount of the same log, without Redis, says the same.
					again := NewRecount(live)
					for _, l := range log {
						if err := again.Add(l.entry, l.states); err != nil {
							t.Fatal(err)
						}
					}
					tally, err := s.Tally(ctx, live)
					if err != nil {
						t.Fatal(err)
					}
					figures, err := s.Figures(ctx, live)
					if err != nil {
						t.Fatal(err)
					}
					if err := again.Tally().Differ(tally); err != nil {
						t.Errorf("recount differs from Redis: %v", err)
					}
					if err := again.Figures().Differ(figures); err != nil {
						t.Errorf("recount differs from Redis: %v", err)
					}

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
			begin(t, s, c)
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
			tally, err := s.sum(t.Context(), bases(c), "tally")
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

// A difference between two boards or figures is found on either side, and named.
func TestDiffer(t *testing.T) {
	board := func(n int64) Histogram { return Histogram{"Alux Nahual": {"Conquista": {100: n}}} }
	if err := board(3).Differ(board(3)); err != nil {
		t.Errorf("same boards: %v", err)
	}
	for say, pair := range map[string][2]Histogram{
		"other number":  {board(3), board(2)},
		"only one side": {board(3), {}},
		"only other":    {{}, board(3)},
	} {
		if err := pair[0].Differ(pair[1]); err == nil || !strings.Contains(err.Error(), "Alux Nahual, Conquista") {
			t.Errorf("%s: %v", say, err)
		}
	}
	figures := func(n int64) Figures {
		return Figures{Votes: map[events.Channel]map[events.State]int64{events.ByGRPC: {events.Counted: n}}}
	}
	if err := figures(3).Differ(figures(3)); err != nil {
		t.Errorf("same figures: %v", err)
	}
	if err := figures(3).Differ(figures(2)); err == nil || !strings.Contains(err.Error(), "grpc counted: 3 and 2") {
		t.Errorf("other figures: %v", err)
	}
}
