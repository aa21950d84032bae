package annul

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"marimba/events"
	"marimba/functions/internal/board"
	"marimba/functions/internal/counts"
)

// Effect is what all annulments in force come to, reckoned from the log.
type Effect struct {
	InForce  []int                    `json:"in_force"` // numbers of the cases
	Channels map[events.Channel]int64 `json:"channels"` // annulled votes, each once
	// Replaced is how many of them were not on the board anyway: later votes of the
	// same voters had taken their places.
	Replaced int64       `json:"replaced"`
	Annulled []Line      `json:"annulled"` // what the others were for
	Old      board.Board `json:"board_before"`
	New      board.Board `json:"board_after"`
}

// Line is annulled votes for one thing.
type Line struct {
	Band  string `json:"band"`
	Album string `json:"album"`
	Rank  int32  `json:"rank_hundredths"`
	Votes int64  `json:"votes"`
}

// Votes is the number of annulled votes.
func (e *Effect) Votes() int64 {
	if e == nil {
		return 0
	}
	var n int64
	for _, votes := range e.Channels {
		n += votes
	}
	return n
}

// Histogram is what the board is without.
func (e *Effect) Histogram() board.Histogram {
	h := make(board.Histogram)
	for _, line := range e.Annulled {
		h.Add(line.Band, line.Album, line.Rank, line.Votes)
	}
	return h
}

// Differ returns an error that names the first difference between what two effects
// take away, or nil if it is the same.
func (e *Effect) Differ(other *Effect) error {
	for _, channel := range events.Channels {
		if a, b := e.Channels[channel], other.Channels[channel]; a != b {
			return fmt.Errorf("%s: %d and %d annulled votes", channel, a, b)
		}
	}
	if e.Replaced != other.Replaced {
		return fmt.Errorf("%d and %d of them were replaced", e.Replaced, other.Replaced)
	}
	if len(e.Annulled) != len(other.Annulled) {
		return fmt.Errorf("they were for %d and %d different things", len(e.Annulled), len(other.Annulled))
	}
	for i, line := range e.Annulled {
		if line != other.Annulled[i] {
			return fmt.Errorf("%s, %s: %d and %d annulled votes", line.Band, line.Album, line.Votes, other.Annulled[i].Votes)
		}
	}
	return nil
}

// Reckoning adds up the log of one contest.
type Reckoning struct {
	contest  events.Contest
	inForce  []int
	old, new *counts.Recount
}

// NewReckoning returns one of what is in force in a book, seen from what was in
// force in an older state of it; it takes memory as two recounts do.
func NewReckoning(c events.Contest, old, now *Book) *Reckoning {
	r := &Reckoning{contest: c, inForce: []int{}, old: counts.NewRecount(c), new: counts.NewRecount(c)}
	for _, one := range now.InForce() {
		r.inForce = append(r.inForce, one.Number)
	}
	r.old.Annul(old.Annuls())
	r.new.Annul(now.Annuls())
	return r
}

// Add adds an entry of the log, in any order, each once.
func (r *Reckoning) Add(e counts.Entry, states []events.State) error {
	if err := r.old.Add(e, states); err != nil {
		return err
	}
	return r.new.Add(e, states)
}

// Bounds of an effect, so that its act fits a document: the first pair is for nearly
// all contests. In one of open roster there may be more bands than that holds.
var boardAtMost = [][2]int{{5000, 500}, {1000, 50}, {200, 20}}

const (
	maxBoard = 3 << 20
	maxLines = 3 << 20
)

// Sum is an effect but for its boards.
func Sum(annulled counts.Annulled) *Effect {
	e := &Effect{Channels: make(map[events.Channel]int64), Replaced: annulled.Replaced, Annulled: linesOf(annulled.Tally)}
	for _, channel := range events.Channels {
		e.Channels[channel] = annulled.Votes[channel]
	}
	return e
}

// Effect returns what it comes to.
func (r *Reckoning) Effect(at time.Time) (*Effect, error) {
	e := Sum(r.new.Annulled())
	e.InForce = r.inForce
	text, err := json.Marshal(e.Annulled)
	if err != nil {
		return nil, fmt.Errorf("write what is annulled: %w", err)
	}
	if len(text) > maxLines {
		return nil, fmt.Errorf("what is annulled would be for %d different bands, albums and ranks, which is more than a ruling holds", len(e.Annulled))
	}
	if e.Old, err = r.board(r.old, at); err != nil {
		return nil, err
	}
	e.New, err = r.board(r.new, at)
	return e, err
}

func (r *Reckoning) board(of *counts.Recount, at time.Time) (b board.Board, err error) {
	whole := board.Make(r.contest, of.Tally().Less(of.Annulled().Tally), at)
	for _, most := range boardAtMost {
		b = whole.Cut(most[0], most[1])
		text, err := json.Marshal(b)
		if err != nil {
			return board.Board{}, fmt.Errorf("write board: %w", err)
		}
		if len(text) <= maxBoard {
			break
		}
	}
	return b, nil
}

func linesOf(h board.Histogram) []Line {
	out := []Line{}
	for band, albums := range h {
		for album, ranks := range albums {
			for rank, votes := range ranks {
				out = append(out, Line{band, album, rank, votes})
			}
		}
	}
	slices.SortFunc(out, compareLines)
	return out
}

func compareLines(a, b Line) int {
	return cmp.Or(cmp.Compare(a.Band, b.Band), cmp.Compare(a.Album, b.Album), cmp.Compare(a.Rank, b.Rank))
}
