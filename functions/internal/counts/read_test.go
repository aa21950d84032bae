package counts

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"marimba/events"
)

// pass brings an entry all its way, once, and returns its votes' states. The
// contest's counts get a life if they have none.
func pass(t testing.TB, s *Store, c events.Contest, e Entry) []events.State {
	t.Helper()
	a, err := s.Count(t.Context(), c, e)
	if errors.Is(err, ErrLife) {
		begin(t, s, c)
		a, err = s.Count(t.Context(), c, e)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Settle(t.Context(), c, e, a, a.Attempt); err != nil {
		t.Fatal(err)
	}
	return a.States
}

// box makes an accepted entry.
func box(id, contest string, votes ...events.Vote) Entry {
	for i := range votes {
		votes[i].Index = i
		if votes[i].ID == "" {
			votes[i].ID = fmt.Sprintf("%s-%d", id, i)
		}
		if votes[i].At.IsZero() {
			votes[i].At = start
		}
	}
	return Entry{ID: id + "/accepted", Box: events.Box{ID: id, Contest: contest, Channel: events.ByHTTP, Votes: votes}}
}

// Spellings that fold alike are one band with the votes of all; the one with
// most votes is shown. Albums of two bands stay two.
func TestTallyJoinsSpellings(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		c := events.Contest{ID: "spellings", Shards: 4}
		pass(t, s, c, box("a", c.ID,
			events.Vote{Name: "Malacates Trébol Shop", Album: "Paquetecuete", Rank: 100},
			events.Vote{Name: "malacates trebol shop", Album: "paquetecuete", Rank: 100},
			events.Vote{Name: "Malacates Trébol Shop", Album: "Paquetecuete", Rank: 250},
			events.Vote{Name: "Bohemia Suburbana", Album: "Paquetecuete", Rank: 100},
			events.Vote{Name: "BOHEMIA SUBURBANA", Rank: 0},
		))
		got, err := s.Tally(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		want := Histogram{
			"Malacates Trébol Shop": {"Paquetecuete": {100: 2, 250: 1}},
			"BOHEMIA SUBURBANA":     {"Paquetecuete": {100: 1}, "": {0: 1}}, // equal votes: first by bytes
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %v\nwant %v", got, want)
		}
	})
}

// Version changes when the tally does, and only then. A band that loses its last
// vote is gone from everything that Grafana reads.
func TestVersionAndLastVote(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		c := events.Contest{ID: "version", Limit: events.Limit{Mode: events.Replace}}
		voter := []byte("the voter's key")
		first := box("a", c.ID, events.Vote{ID: "1", Name: "Viernes Verde", Album: "Alma", VoterKey: voter})
		second := box("b", c.ID, events.Vote{ID: "2", Name: "La Tona", VoterKey: voter, At: start.Add(time.Second)})
		late := box("c", c.ID, events.Vote{ID: "3", Name: "El Clubo", VoterKey: voter, At: start.Add(-time.Second)})
		version := func() int64 {
			n, err := s.Version(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		none := version()
		pass(t, s, c, first)
		one := version()
		pass(t, s, c, first) // duplicates
		pass(t, s, c, Entry{ID: "r/refused", Box: events.Box{ID: "r", Contest: c.ID, Votes: []events.Vote{{ID: "4", Name: "X", Reason: events.BandUnknown}}}})
		if again := version(); one == none || again != one {
			t.Errorf("version went %d, %d with a vote, %d without", none, one, again)
		}
		pass(t, s, c, second)
		pass(t, s, c, late)
		for key, want := range map[string][]string{"bands": {"La Tona"}, "albums": {}} {
			got, err := s.redis.ZRange(t.Context(), base(c.ID, 0)+":"+key, 0, -1).Result()
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s: got %v, %v, want %v", key, got, err, want)
			}
		}
		if f, err := s.Figures(t.Context(), c); err != nil || f.Replaced != 1 {
			t.Errorf("figures: %+v, %v, want one replaced", f, err)
		}
	})
}

// The newest votes are those with the latest time of receipt of all shards and
// contests, as many as were asked for, and never more than MaxNewest; neither
// ids nor voters are among what is kept of them.
func TestNewest(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		a, b := events.Contest{ID: "a", Shards: 4}, events.Contest{ID: "b"}
		large := make([]events.Vote, events.MaxBoxVotes)
		for i := range large {
			large[i] = events.Vote{Name: "Alux Nahual", Album: "Conquista", Year: 1982, Rank: 950, At: start.Add(time.Duration(i) * time.Millisecond)}
		}
		pass(t, s, a, box("large", a.ID, large...))
		refused := Entry{ID: "no/refused", Box: events.Box{ID: "no", Contest: b.ID, Channel: events.ByGRPC, Votes: []events.Vote{
			{ID: "n", Name: "Nobody", Index: 3, Reason: events.BandUnknown, VoterKey: []byte("key"), At: start.Add(497500 * time.Microsecond)},
		}}}
		pass(t, s, b, refused)

		got, err := s.Newest(t.Context(), 3, a, b)
		if err != nil {
			t.Fatal(err)
		}
		want := []Recent{
			{"large.499", "a", events.ByHTTP, large[499], events.Counted},
			{"large.498", "a", events.ByHTTP, large[498], events.Counted},
			{"no.3", "b", events.ByGRPC, refused.Box.Votes[0], events.Refused},
		}
		for i := range want {
			v := &want[i].Vote
			v.ID, v.VoterKey, v.At = "", nil, v.At.Truncate(time.Millisecond)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
		for n, want := range map[int]int{0: 0, -1: 0, 20: 20, 10_000: MaxNewest} {
			if got, err := s.Newest(t.Context(), n, a, b); err != nil || len(got) != want {
				t.Errorf("asked for %d: got %d, %v, want %d", n, len(got), err, want)
			}
		}
		if got, err := s.Newest(t.Context(), 5); err != nil || len(got) != 0 {
			t.Errorf("of no contest: got %v, %v", got, err)
		}
	})
}

// Of many small boxes only about a hundred are kept for Newest.
func TestNewestIsBounded(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		c := events.Contest{ID: "bounded"}
		for i := range 600 {
			pass(t, s, c, box(fmt.Sprint(i), c.ID, events.Vote{Name: "La Tona"}))
		}
		n, err := s.redis.XLen(t.Context(), base(c.ID, 0)+":newest").Result()
		if err != nil || n < newestBoxes || n > 3*newestBoxes {
			t.Errorf("stream holds %d boxes, %v", n, err)
		}
	})
}

// History has each vote in the second and minute of its receipt, joined by
// folded name, within the times that were asked for; it leaves out what would be
// dropped at once, and Redis is told to drop the rest in time.
func TestHistory(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		now := time.Date(2026, 11, 24, 20, 30, 0, 0, time.UTC)
		s.now = func() time.Time { return now }
		c := events.Contest{ID: "history", Shards: 2}
		at := func(ago time.Duration) time.Time { return now.Add(-ago) }
		pass(t, s, c, box("a", c.ID,
			events.Vote{ID: "1", Name: "La Tona", At: at(90 * time.Second)},
			events.Vote{ID: "2", Name: "la tona", At: at(90*time.Second - 999*time.Millisecond)},
			events.Vote{ID: "2", Name: "La Tona", At: at(90 * time.Second)},
			events.Vote{ID: "3", Name: "El Clubo", At: at(61 * time.Minute)},
			events.Vote{ID: "4", Name: "La Tona", At: at(5 * time.Hour)},
			events.Vote{ID: "5", Name: "La Tona", At: at(72 * time.Hour)},
		))
		seconds, err := s.Seconds(t.Context(), c, at(2*time.Hour), now)
		if err != nil {
			t.Fatal(err)
		}
		wantSeconds := []Second{
			{at(61 * time.Minute), map[events.State]int64{events.Counted: 1}},
			{at(90 * time.Second), map[events.State]int64{events.Counted: 2, events.Duplicate: 1}},
		}
		if !reflect.DeepEqual(seconds, wantSeconds) {
			t.Errorf("seconds\n got %v\nwant %v", seconds, wantSeconds)
		}
		minutes, err := s.Minutes(t.Context(), c, at(1000*time.Hour), at(-1000*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		wantMinutes := []Minute{
			{at(5 * time.Hour), map[string]int64{"La Tona": 1}},
			{at(61 * time.Minute), map[string]int64{"El Clubo": 1}},
			{at(2 * time.Minute), map[string]int64{"La Tona": 2}},
		}
		if !reflect.DeepEqual(minutes, wantMinutes) {
			t.Errorf("minutes\n got %v\nwant %v", minutes, wantMinutes)
		}
		// The ends: from is in, to is not.
		if got, err := s.Seconds(t.Context(), c, at(90*time.Second), at(89*time.Second)); err != nil || len(got) != 1 {
			t.Errorf("one second: got %v, %v", got, err)
		}
		if got, err := s.Seconds(t.Context(), c, at(89*time.Second), at(90*time.Second)); err != nil || len(got) != 0 {
			t.Errorf("no time: got %v, %v", got, err)
		}
		for pattern, most := range map[string]time.Duration{":seconds:*": secondsKept, ":minutes:*": minutesKept} {
			keys := 0
			for shard := range c.Shards {
				found, err := s.redis.Keys(t.Context(), "marimba:{history:"+fmt.Sprint(shard)+"}"+pattern).Result()
				if err != nil {
					t.Fatal(err)
				}
				for _, key := range found {
					keys++
					if left := s.redis.TTL(t.Context(), key).Val(); left <= 0 || left > most {
						t.Errorf("%s is kept %v", key, left)
					}
				}
			}
			if keys == 0 {
				t.Errorf("no keys %s", pattern)
			}
		}
	})
}

// An id belongs to its contest and voter: another voter's vote of the same id is
// no duplicate.
func TestIDBelongsToItsVoter(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		c := events.Contest{ID: "owner", Shards: 3}
		got := pass(t, s, c, box("a", c.ID,
			events.Vote{ID: "x", Name: "La Tona"},
			events.Vote{ID: "x", Name: "La Tona", VoterKey: []byte("one")},
			events.Vote{ID: "x", Name: "La Tona", VoterKey: []byte("two")},
			events.Vote{ID: "x", Name: "El Clubo", VoterKey: []byte("two")},
		))
		want := []events.State{events.Counted, events.Counted, events.Counted, events.Duplicate}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if got, ok, err := s.StateOf(t.Context(), c, []byte("three"), "x"); ok || err != nil {
			t.Errorf("of a voter who did not vote: %s, %v, %v", got, ok, err)
		}
	})
}

// A limit that was lifted does not make the votes over it new ones.
func TestLiftedLimit(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		c := events.Contest{ID: "lifted", Limit: events.Limit{Mode: events.PerContest, N: 1}}
		e := box("a", c.ID,
			events.Vote{ID: "1", Name: "La Tona", VoterKey: []byte("k")},
			events.Vote{ID: "2", Name: "La Tona", VoterKey: []byte("k")},
		)
		pass(t, s, c, e)
		c.Limit = events.Limit{}
		want := []events.State{events.Duplicate, events.Duplicate}
		if got := pass(t, s, c, e); !reflect.DeepEqual(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}
