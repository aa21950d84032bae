package counts

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"marimba/events"
)

// A model of the counts in the plainest Go: it is told each vote once, in the
// order in which they are first decided.
type model struct {
	contest  events.Contest
	seen     map[string]events.State // by voter and id: what the first vote of it came to
	votes    map[string]events.Vote  // the first of each
	counted  map[string]int64
	latest   map[string]events.Vote
	tally    map[string]int64
	figures  map[events.Channel]map[events.State]int64
	reasons  map[events.Code]int64
	replaced int64
}

func newModel(c events.Contest) *model {
	return &model{
		contest: c,
		seen:    make(map[string]events.State), votes: make(map[string]events.Vote), counted: make(map[string]int64), latest: make(map[string]events.Vote),
		tally: make(map[string]int64), reasons: make(map[events.Code]int64),
		figures: make(map[events.Channel]map[events.State]int64),
	}
}

// take decides the votes of an entry that are in one shard, or all (-1).
func (m *model) take(e Entry, shard int, states []events.State) {
	for _, p := range split(m.contest, e) {
		if shard < 0 || p.shard == shard {
			m.takeVotes(e, p.votes, states)
		}
	}
}

func (m *model) takeVotes(e Entry, votes []int, states []events.State) {
	for _, i := range votes {
		v := e.Box.Votes[i]
		states[i] = m.decide(v)
		if m.figures[e.Box.Channel] == nil {
			m.figures[e.Box.Channel] = make(map[events.State]int64)
		}
		m.figures[e.Box.Channel][states[i]]++
		if states[i] == events.Refused {
			m.reasons[v.Reason]++
		}
	}
}

func (m *model) decide(v events.Vote) events.State {
	if v.Reason != "" {
		return events.Refused
	}
	id := fmt.Sprintf("%x/%s", v.VoterKey, v.ID)
	if m.seen[id] != "" {
		return events.Duplicate
	}
	m.votes[id], m.seen[id] = v, m.admit(v)
	return m.seen[id]
}

func (m *model) admit(v events.Vote) events.State {
	voter := string(v.VoterKey)
	if voter != "" {
		switch m.contest.Limit.Mode {
		case events.PerBand:
			voter += events.Fold(v.Name)
			fallthrough
		case events.PerContest:
			if m.counted[voter] == m.contest.Limit.N {
				return events.OverLimit
			}
			m.counted[voter]++
		case events.Replace:
			if held, ok := m.latest[voter]; ok {
				if !m.later(v, held) {
					return events.OverLimit
				}
				m.add(held, -1)
				m.replaced++
			}
			m.latest[voter] = v
		}
	}
	m.add(v, 1)
	return events.Counted
}

func (m *model) later(a, b events.Vote) bool {
	if by := a.At.Compare(b.At); by != 0 {
		return by > 0
	}
	return placeOf(m.contest, a).id.member > placeOf(m.contest, b).id.member
}

func (m *model) add(v events.Vote, n int64) {
	field := fieldOf(&v)
	m.tally[field] += n
	if m.tally[field] == 0 {
		delete(m.tally, field)
	}
}

// dice makes random entries in which everything that matters repeats: ids,
// voters, bands and times.
type dice struct{ *rand.Rand }

func (d dice) entry(c events.Contest, n int) Entry {
	box := events.Box{
		ID: fmt.Sprintf("box-%d", n), Contest: c.ID,
		Channel: events.Channels[d.IntN(len(events.Channels))],
	}
	kind := "accepted"
	refused := d.IntN(6) == 0
	if refused {
		kind = "refused"
	}
	for i := range 1 + d.IntN(12) {
		v := events.Vote{
			ID:    fmt.Sprintf("id-%d", d.IntN(60)),
			Name:  []string{"Alux Nahual", "Bohemia Suburbana", "Viernes Verde", "La Tona", "Sobrevivencia", "El Clubo"}[d.IntN(6)],
			Album: []string{"", "Conquista", "Sombras en el jardín"}[d.IntN(3)],
			Year:  1990, Rank: int32(100 * d.IntN(3)), Index: i,
			At: start.Add(time.Duration(d.IntN(5)) * time.Millisecond),
		}
		if d.IntN(3) > 0 {
			v.VoterKey = bytes.Repeat([]byte{byte(1 + d.IntN(6))}, 32)
		}
		if refused {
			v.Reason = []events.Code{events.BandUnknown, events.TooLate}[d.IntN(2)]
		}
		box.Votes = append(box.Votes, v)
	}
	return Entry{ID: box.ID + "/" + kind, Box: box}
}

var start = time.Now().UTC().Truncate(time.Minute)

// delivery is one delivery of an entry on its way through the three steps. It
// may stop behind any of them, as if the process had been killed there.
type delivery struct {
	entry  Entry
	step   int
	until  int // the step that is not reached any more
	answer Answer
	logged string
}

// The counts are those of a model that takes each entry once, however the steps
// of deliveries interleave and wherever each of them stops, if one that stopped
// is followed by another, which may stop as well. So says a source. A step may
// also happen in some shards only, or happen and yet fail.
func TestCountsAreThoseOfOneCleanPass(t *testing.T) {
	limits := []events.Limit{
		{Mode: events.NoLimit}, {Mode: events.PerContest, N: 2}, {Mode: events.PerBand, N: 1}, {Mode: events.Replace},
	}
	onEach(t, func(t *testing.T, s *Store) {
		cut := &cutter{}
		s.redis.AddHook(cut)
		for _, limit := range limits {
			for _, shards := range []int{1, 4} {
				for seed := range uint64(2) {
					name := fmt.Sprintf("%s/%d/%d", limit.Mode, shards, seed)
					t.Run(name, func(t *testing.T) {
						c := events.Contest{ID: strings.ReplaceAll(strings.ReplaceAll(name, "/", "-"), "_", "-"), Limit: limit, Shards: shards}
						cut.dice = dice{rand.New(rand.NewPCG(seed, 0))}
						interleave(t, s, c, cut)
					})
				}
			}
		}
	})
}

func interleave(t *testing.T, s *Store, c events.Contest, d *cutter) {
	ctx := t.Context()
	begin(t, s, c)
	d.on = true
	const steps = 3
	window := []int{2, 6, 100}[d.IntN(3)] // deliveries that are in flight together
	var running []*delivery
	for n := range 12 {
		e := d.entry(c, n)
		for range d.IntN(8) {
			running = append(running, &delivery{entry: e, until: d.IntN(steps + 1)})
		}
		running = append(running, &delivery{entry: e, until: steps})
	}
	d.Shuffle(len(running), func(i, k int) { running[i], running[k] = running[k], running[i] })

	want := newModel(c)
	decided := make(map[string][]events.State) // by the model, when first counted in a shard
	counted := make(map[string]bool)           // entry in shard
	journal := make(map[string]Answer)
	for len(running) > 0 {
		at := d.IntN(min(len(running), window))
		one := running[at]
		if one.step == one.until {
			running = slices.Delete(running, at, at+1)
			if one.until < steps {
				running = append(running, &delivery{entry: one.entry, until: d.IntN(steps + 1)})
			}
			continue
		}
		var err error
		switch one.step {
		case 0:
			d.ran = nil
			one.answer, err = s.Count(ctx, c, one.entry)
			id := one.entry.ID
			if decided[id] == nil {
				decided[id] = make([]events.State, len(one.entry.Box.Votes))
			}
			for _, p := range split(c, one.entry) {
				if at := base(c.ID, p.shard); slices.Contains(d.ran, at) && !counted[id+at] {
					counted[id+at] = true
					want.take(one.entry, p.shard, decided[id])
				}
			}
		case 1:
			if _, there := journal[one.entry.ID]; !there {
				journal[one.entry.ID] = one.answer
			}
			one.logged = journal[one.entry.ID].Attempt
		case 2:
			err = s.Settle(ctx, c, one.entry, one.answer, one.logged)
		}
		if errors.Is(err, errCut) {
			one.until = one.step // it answers with an error, and comes again
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		one.step++
	}
	d.on = false
	for id, states := range decided {
		if got := journal[id].States; !slices.Equal(got, states) {
			t.Errorf("log of %s has %v, want %v", id, got, states)
		}
	}
	check(t, s, c, want)
}

// check holds all that can be read of a contest against the model.
func check(t *testing.T, s *Store, c events.Contest, want *model) {
	t.Helper()
	ctx := t.Context()
	raw, err := s.sum(ctx, bases(c), "tally")
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(raw, want.tally) {
		t.Errorf("tally\n got %v\nwant %v", raw, want.tally)
	}
	f, err := s.Figures(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(f, Figures{Votes: want.figures, Reasons: want.reasons, Replaced: want.replaced}) {
		t.Errorf("figures\n got %+v\nwant %v %v %d", f, want.figures, want.reasons, want.replaced)
	}
	pending, err := s.Pending(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	if len(pending) > 0 {
		t.Errorf("%v is pending at the end", pending)
	}
	for id, state := range want.seen {
		v := want.votes[id]
		got, ok, err := s.StateOf(ctx, c, v.VoterKey, v.ID)
		if err != nil || !ok || got != state {
			t.Errorf("state of %s is %s, %v, %v, want %s", id, got, ok, err, state)
		}
	}
	bands, albums := make(map[string]float64), make(map[string]float64)
	for field, n := range want.tally {
		at := strings.Split(field, separator)
		bands[at[0]] += float64(n)
		if at[1] != "" {
			albums[at[0]+" — "+at[1]] += float64(n)
		}
	}
	for key, want := range map[string]map[string]float64{"bands": bands, "albums": albums} {
		got := make(map[string]float64)
		for shard := range shards(c) {
			ranked, err := s.redis.ZRangeWithScores(ctx, base(c.ID, shard)+":"+key, 0, -1).Result()
			if err != nil {
				t.Fatal(err)
			}
			for _, z := range ranked {
				got[z.Member.(string)] += z.Score
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s\n got %v\nwant %v", key, got, want)
		}
	}
	perState := make(map[events.State]int64)
	seconds, err := s.Seconds(ctx, c, start, start.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	for _, second := range seconds {
		for state, n := range second.Votes {
			perState[state] += n
		}
	}
	inAll := make(map[events.State]int64)
	for _, states := range want.figures {
		for state, n := range states {
			inAll[state] += n
		}
	}
	if !maps.Equal(perState, inAll) {
		t.Errorf("seconds have %v, want %v", perState, inAll)
	}
}
