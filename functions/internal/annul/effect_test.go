package annul

import (
	"fmt"
	"testing"
	"time"

	"marimba/events"
	"marimba/functions/internal/board"
	"marimba/functions/internal/counts"
)

var rock = events.Contest{ID: "rock", RankMode: events.Position, RankMax: 10_00, Standing: events.ByVotes, MeanFrom: 1, Shards: 1}

// vote is one counted vote of these tests: minutes after noon, channel, band, voter.
type vote struct {
	minute  int
	channel events.Channel
	band    string
	voter   string
}

func reckon(t *testing.T, c events.Contest, votes []vote, old, now []Filter) *Effect {
	t.Helper()
	book := func(filters []Filter) *Book {
		b := &Book{Contest: c.ID}
		for i, f := range filters {
			b.Cases = append(b.Cases, &Case{Number: i + 1, State: InForce, Filter: f})
		}
		return b
	}
	r := NewReckoning(c, book(old), book(now))
	for i, v := range votes {
		box := events.Box{ID: fmt.Sprint("box", i), Contest: c.ID, Channel: v.channel, Votes: []events.Vote{{
			ID: fmt.Sprint("id", i), Name: v.band, Album: "X", Rank: 100, VoterKey: []byte(v.voter), At: noon.Add(time.Duration(v.minute) * time.Minute),
		}}}
		if err := r.Add(counts.Entry{ID: box.ID + "/accepted", Box: box}, []events.State{events.Counted}); err != nil {
			t.Fatal(err)
		}
	}
	e, err := r.Effect(noon)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func bandsOf(e *Effect) string {
	text := ""
	for _, b := range e.New.Bands {
		text += fmt.Sprintf("%s %d ", b.Name, b.Votes)
	}
	return text
}

// What two annulments choose is annulled once; the board goes from what the older
// ones left to what all leave, and both are the log's without the annulled votes.
func TestUnionIsAnnulledOnce(t *testing.T) {
	votes := []vote{
		{0, events.ByHTTP, "Alux", ""}, {1, events.ByHTTP, "Alux", ""}, {2, events.ByGRPC, "Alux", ""},
		{3, events.ByHTTP, "Trébol", ""}, {4, events.ByGRPC, "Trébol", ""},
	}
	byHTTP, early := Filter{Channel: events.ByHTTP}, Filter{To: noon.Add(2*time.Minute + 1)}
	e := reckon(t, rock, votes, []Filter{byHTTP}, []Filter{byHTTP, early})
	if e.Votes() != 4 || e.Channels[events.ByHTTP] != 3 || e.Channels[events.ByGRPC] != 1 || e.Replaced != 0 {
		t.Errorf("annulled are %v, replaced %d", e.Channels, e.Replaced)
	}
	if got := bandsOf(e); got != "Trébol 1 " {
		t.Errorf("the board is %s", got)
	}
	if e.Old.Totals.Votes != 2 || e.New.Totals.Votes != 1 {
		t.Errorf("the board had %d votes before and %d after", e.Old.Totals.Votes, e.New.Totals.Votes)
	}
	if n := e.Histogram().Votes(); n != 4 {
		t.Errorf("%d votes are off the board", n)
	}
	back := reckon(t, rock, votes, []Filter{byHTTP, early}, nil)
	if back.Votes() != 0 || back.New.Totals.Votes != 5 || len(back.Annulled) != 0 {
		t.Errorf("revoked, %d are annulled and %d on the board", back.Votes(), back.New.Totals.Votes)
	}
	if e.Differ(e) != nil || e.Differ(back) == nil {
		t.Error("effects are not told apart")
	}
}

// Where a voter's later vote takes the place of the earlier: to annul the one that
// was replaced changes no board, and to annul the later does not bring the earlier
// back.
func TestReplacedVoteDoesNotComeBack(t *testing.T) {
	c := rock
	c.Limit.Mode = events.Replace
	votes := []vote{{0, events.ByHTTP, "Alux", "ana"}, {1, events.ByGRPC, "Trébol", "ana"}, {2, events.ByGRPC, "Alux", "eva"}}
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}} { // the log has no order
		var shuffled []vote
		for _, i := range order {
			shuffled = append(shuffled, votes[i])
		}
		first := reckon(t, c, shuffled, nil, []Filter{{Channel: events.ByHTTP}})
		if first.Votes() != 1 || first.Replaced != 1 || bandsOf(first) != "Alux 1 Trébol 1 " {
			t.Errorf("%v: the replaced annulled: %d, %d, %s", order, first.Votes(), first.Replaced, bandsOf(first))
		}
		later := reckon(t, c, shuffled, nil, []Filter{{Band: "trebol"}})
		if later.Votes() != 1 || later.Replaced != 0 || bandsOf(later) != "Alux 1 " {
			t.Errorf("%v: the later annulled: %d, %d, %s", order, later.Votes(), later.Replaced, bandsOf(later))
		}
		both := reckon(t, c, shuffled, nil, []Filter{{Channel: events.ByHTTP}, {Band: "trebol"}})
		if both.Votes() != 2 || both.Replaced != 1 || bandsOf(both) != "Alux 1 " {
			t.Errorf("%v: both annulled: %d, %d, %s", order, both.Votes(), both.Replaced, bandsOf(both))
		}
	}
}

// A histogram taken off another matches spellings, and leaves nothing below zero.
func TestLessMatchesSpellings(t *testing.T) {
	h := board.Histogram{"Trébol": {"X": {100: 5, 200: 1}}, "Alux": {"": {100: 1}}}
	got := h.Less(board.Histogram{"TREBOL": {"x": {100: 2, 200: 9}}, "Nadie": {"": {1: 1}}})
	want := board.Histogram{"Trébol": {"X": {100: 3}}, "Alux": {"": {100: 1}}}
	if err := want.Differ(got); err != nil {
		t.Error(err)
	}
	if h.Votes() != 7 {
		t.Error("the histogram itself was changed")
	}
}
