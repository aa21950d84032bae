package counts

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"marimba/events"
)

// drawn draws a contest and returns whether its standings have the point.
func drawn(t *testing.T, s *Store, c events.Contest) bool {
	t.Helper()
	pointed, err := s.Draw(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return pointed
}

// scores reads a chart of bands or albums as Grafana does, most votes first.
func scores(t *testing.T, s *Store, c events.Contest, name string) []score {
	t.Helper()
	found, err := s.redis.ZRangeArgsWithScores(t.Context(), redis.ZRangeArgs{
		Key: chartBase(c.ID) + ":" + name, Start: 0, Stop: -1, Rev: true}).Result()
	if err != nil {
		t.Fatal(err)
	}
	var out []score
	for _, z := range found {
		out = append(out, score{z.Member.(string), int64(z.Score)})
	}
	return out
}

// The charts show what the counts hold: random boxes in many shards, drawn, are
// the sums of the tally by band and by album, and of the figures by state; also
// after a rebuilding, and after one that leaves nothing.
func TestChartsAreTheCounts(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		c := events.Contest{ID: "charts", Shards: 5, Limit: events.Limit{Mode: events.Replace}}
		d := dice{rand.New(rand.NewPCG(7, 11))}
		var log []logged
		look := func() {
			t.Helper()
			drawn(t, s, c)
			tally, err := s.Tally(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			bands, albums := make(map[string]int64), make(map[string]int64)
			for band, titles := range tally {
				for album, ranks := range titles {
					for _, n := range ranks {
						bands[band] += n
						if album != "" {
							albums[events.Fold(band+" — "+album)] += n
						}
					}
				}
			}
			got := make(map[string]int64)
			for _, b := range scores(t, s, c, "bands") {
				got[b.name] = b.votes
			}
			if !maps.Equal(got, bands) {
				t.Errorf("bands %v, tally %v", got, bands)
			}
			got = make(map[string]int64)
			for _, a := range scores(t, s, c, "albums") {
				got[events.Fold(a.name)] = a.votes
			}
			if !maps.Equal(got, albums) {
				t.Errorf("albums %v, tally %v", got, albums)
			}
			figures, err := s.Figures(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]int64{"replaced": figures.Replaced}
			for _, states := range figures.Votes {
				for state, n := range states {
					want[string(state)] += n
				}
			}
			got = make(map[string]int64)
			for state, n := range s.redis.HGetAll(t.Context(), chartBase(c.ID)+":states").Val() {
				got[state], _ = strconv.ParseInt(n, 10, 64)
			}
			if !maps.Equal(got, want) {
				t.Errorf("states %v, figures %v", got, want)
			}
			if !s.redis.SIsMember(t.Context(), ChartsKey, c.ID).Val() {
				t.Error("the contest is not among those that have charts")
			}
		}
		for n := range 40 {
			e := d.entry(c, n)
			log = append(log, logged{e, pass(t, s, c, e)})
			if n%10 == 9 {
				look()
			}
		}
		rebuilt(t, s, c, 2, log[:20])
		look()
		rebuilt(t, s, c, 3, nil)
		drawn(t, s, c)
		if keys := s.redis.Keys(t.Context(), "marimba:{"+c.ID+"}*").Val(); len(keys) > 0 {
			t.Errorf("nothing is counted, and there is %v", keys)
		}
		if s.redis.SIsMember(t.Context(), ChartsKey, c.ID).Val() {
			t.Error("nothing is counted, and it is among the contests that have charts")
		}
	})
}

// Standings get one point in ten seconds at most, none that says nothing new, and
// the last counts whenever they are drawn in a later ten seconds.
func TestStandings(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		now := start.Truncate(pointEvery)
		s.now = func() time.Time { return now }
		c := events.Contest{ID: "standings"}
		vote := func(id, band string) { pass(t, s, c, box(id, c.ID, events.Vote{Name: band, Album: "8"})) }
		for _, step := range []struct {
			band    string // votes for it; "" none
			after   time.Duration
			pointed bool
		}{
			{"La Tona", 0, true},
			{"", 0, true},
			{"Alux Nahual", 3 * time.Second, false},
			{"", 6 * time.Second, false},
			{"", 1 * time.Second, true},
			{"La Tona", pointEvery, true},
			{"", time.Hour, true},
		} {
			now = now.Add(step.after)
			if step.band != "" {
				vote(now.String(), step.band)
			}
			if pointed := drawn(t, s, c); pointed != step.pointed {
				t.Errorf("%+v: pointed is %v", step, pointed)
			}
		}
		points, err := s.redis.XRange(t.Context(), chartBase(c.ID)+":standings", "-", "+").Result()
		if err != nil {
			t.Fatal(err)
		}
		at := func(after time.Duration) string {
			return strconv.FormatInt(start.Truncate(pointEvery).Add(after).UnixMilli(), 10) + "-0"
		}
		want := []redis.XMessage{
			{ID: at(0), Values: map[string]any{"La Tona": "1"}},
			{ID: at(10 * time.Second), Values: map[string]any{"Alux Nahual": "1", "La Tona": "1"}},
			{ID: at(20 * time.Second), Values: map[string]any{"Alux Nahual": "1", "La Tona": "2"}},
		}
		if !slices.EqualFunc(points, want, func(a, b redis.XMessage) bool {
			return a.ID == b.ID && maps.Equal(a.Values, b.Values)
		}) {
			t.Errorf("got %v, want %v", points, want)
		}
	})
}

// Whoever draws from older counts than somebody else did changes nothing.
func TestOlderCountsAreNotDrawn(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		c := events.Contest{ID: "older"}
		pass(t, s, c, box("a", c.ID, events.Vote{Name: "La Tona"}))
		drawn(t, s, c)
		key := chartBase(c.ID) + ":drawn"
		version, err := s.Version(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		for later, drawnFrom := range map[string]string{
			"counts":  strconv.FormatInt(version+10, 10) + " 0",
			"figures": strconv.FormatInt(version, 10) + " 9",
		} {
			s.redis.Set(t.Context(), key, drawnFrom, 0)
			s.redis.ZAdd(t.Context(), chartBase(c.ID)+":bands", redis.Z{Score: 5, Member: "El Clubo"})
			drawn(t, s, c)
			if got := scores(t, s, c, "bands"); len(got) != 2 {
				t.Errorf("later %s were drawn, and then older ones: %v", later, got)
			}
		}
		pass(t, s, c, box("b", c.ID, events.Vote{Name: "La Tona"}))
		s.redis.Set(t.Context(), key, strconv.FormatInt(version, 10)+" 9", 0)
		drawn(t, s, c)
		if got, want := scores(t, s, c, "bands"), []score{{"La Tona", 2}}; !slices.Equal(got, want) {
			t.Errorf("bands %v, want %v", got, want)
		}
	})
}
