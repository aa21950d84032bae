package counts

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"marimba/events"
)

// What is replaced is what a recount leaves off the board, in whatever order votes
// come, also if two of a voter came in the same instant.
func TestLatestIsWhatARecountLeaves(t *testing.T) {
	c := events.Contest{ID: "c", Limit: events.Limit{Mode: events.Replace}}
	random := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		recount, latest := NewRecount(c), NewLatest(c)
		var boxes []events.Box
		for i := range 20 {
			b := events.Box{ID: fmt.Sprint("box", i), Contest: c.ID, Channel: events.ByHTTP}
			for k := range 5 {
				v := events.Vote{ID: fmt.Sprint(i, k), Name: fmt.Sprint("band", random.IntN(6)), Index: k, At: time.UnixMilli(int64(random.IntN(10)))}
				if random.IntN(10) > 0 {
					v.VoterKey = []byte{byte(random.IntN(9))}
				}
				b.Votes = append(b.Votes, v)
			}
			boxes = append(boxes, b)
		}
		for _, b := range boxes {
			states := make([]events.State, len(b.Votes))
			for k := range b.Votes {
				states[k] = events.Counted
				latest.Add(b.ID, &b.Votes[k])
			}
			if err := recount.Add(Entry{ID: b.ID, Box: b}, states); err != nil {
				t.Fatal(err)
			}
		}
		stands, replaced := make(Histogram), int64(0)
		for _, b := range boxes {
			for _, v := range b.Votes {
				if latest.Replaced(b.ID, &v) {
					replaced++
				} else {
					stands.Add(v.Name, v.Album, v.Rank, 1)
				}
			}
		}
		if err := recount.Tally().Differ(stands); err != nil || recount.Figures().Replaced != replaced || replaced == 0 {
			t.Fatalf("%d replaced, by recount %d: %v", replaced, recount.Figures().Replaced, err)
		}
	}
	none := NewLatest(events.Contest{ID: "c"})
	v := events.Vote{ID: "a", VoterKey: []byte{1}}
	none.Add("a", &v)
	if none.Replaced("b", &v) || len(none.held) > 0 {
		t.Error("a contest that replaces none has replaced votes")
	}
}
