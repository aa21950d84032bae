package main

import (
	"encoding/json"
	"slices"
	"time"

	"marimba/events"
	"marimba/events/seal"
	"marimba/events/seal/archive"
	"marimba/functions/internal/board"
)

// book is a contest's acts of annulment, each in the bytes that it is kept in.
type book struct {
	Contest string            `json:"contest"`
	Acts    []json.RawMessage `json:"acts"`
}

// act is one of them.
type act struct {
	Contest string  `json:"contest"`
	Number  int     `json:"number"`
	Kind    string  `json:"kind"`
	Case    int     `json:"case"`
	By      string  `json:"by"`
	Filter  *filter `json:"filter"`
	Effect  *effect `json:"effect"`
	Before  string  `json:"previous_sha256"`
}

// filter chooses votes. Of its times an archive can tell nothing.
type filter struct {
	Channel events.Channel `json:"channel"`
	Band    string         `json:"band"`
	From    time.Time      `json:"from"`
	To      time.Time      `json:"to"`
}

// may reports whether a filter can choose a vote, and must whether it does.
func (f filter) may(o *seal.Opening) (may, must bool) {
	may = (f.Channel == "" || f.Channel == o.Channel) && (f.Band == "" || events.Fold(f.Band) == events.Fold(o.Name))
	return may, may && f.From.IsZero() && f.To.IsZero()
}

// effect is what all that is in force comes to.
type effect struct {
	InForce  []int                    `json:"in_force"`
	Channels map[events.Channel]int64 `json:"channels"`
	Replaced int64                    `json:"replaced"`
	Annulled []struct {
		Band  string `json:"band"`
		Album string `json:"album"`
		Rank  int32  `json:"rank_hundredths"`
		Votes int64  `json:"votes"`
	} `json:"annulled"`
	New board.Board `json:"board_after"`
}

// rulings are what a book has come to, and what of the votes is annulled.
type rulings struct {
	effect   *effect
	filters  []filter // in force
	tally    board.Histogram
	channels map[events.Channel]int64
}

const approvals = 2 // of an annulment, by others than who proposed it

// readRulings takes in the book: each act names the one before it, and what is in
// force was approved.
func (e *examiner) readRulings(text []byte) {
	c := e.check(rulingsAgree)
	e.ruled.tally, e.ruled.channels = make(board.Histogram), make(map[events.Channel]int64)
	var b book
	if err := json.Unmarshal(text, &b); err != nil {
		c.fault("it cannot be read: %v", err)
		return
	}
	if b.Contest != e.report.Contest {
		c.fault("it is of contest %q", b.Contest)
	}
	acts := make([]act, len(b.Acts))
	before := ""
	for i, raw := range b.Acts {
		if err := json.Unmarshal(raw, &acts[i]); err != nil {
			c.fault("act %d cannot be read: %v", i+1, err)
			return
		}
		if a := acts[i]; a.Number != i+1 || a.Contest != b.Contest || a.Before != before {
			c.fault("act %d does not follow the one before it: one of them was edited", i+1)
		}
		before = digestOf(raw)
		if acts[i].Effect != nil {
			e.ruled.effect = acts[i].Effect
		}
	}
	if e.ruled.effect == nil {
		return
	}
	for _, n := range e.ruled.effect.InForce {
		if n < 1 || n > len(acts) || acts[n-1].Filter == nil {
			c.fault("case %d is in force, and nobody proposed it", n)
			continue
		}
		e.ruled.filters = append(e.ruled.filters, *acts[n-1].Filter)
		by := []string{events.Fold(acts[n-1].By)}
		for _, a := range acts[n:] {
			if a.Kind == "approve" && a.Case == n && !slices.Contains(by, events.Fold(a.By)) {
				by = append(by, events.Fold(a.By))
			}
		}
		if len(by) < 1+approvals {
			c.fault("case %d is in force with %d approvals, not %d", n, len(by)-1, approvals)
		}
	}
}

// mark holds a vote's mark to the filters in force.
func (e *examiner) mark(leaf uint64, l *archive.Line) {
	if l.Mark == archive.Replaced {
		return
	}
	var may, must bool
	for _, f := range e.ruled.filters {
		can, has := f.may(&l.Opening)
		may, must = may || can, must || has
	}
	annulled := l.Mark == archive.Annulled
	if annulled {
		e.ruled.tally.Add(l.Opening.Name, l.Opening.Album, l.Opening.Rank, 1)
		e.ruled.channels[l.Opening.Channel]++
	}
	if annulled && !may || !annulled && must {
		e.check(rulingsAgree).fault("leaf %d, %s by %s, is marked %s against the rulings in force", leaf, l.Opening.Name, l.Opening.Channel, l.Mark)
	}
}

// endRulings holds the newest ruling to the votes that are marked as annulled, and
// its board to the others.
func (e *examiner) endRulings() {
	c := e.check(rulingsAgree)
	said := e.ruled.effect
	if said == nil {
		if e.annulled > 0 {
			c.fault("%d votes are marked as annulled, and no ruling is in force", e.annulled)
		}
		c.say("none")
		return
	}
	stated := make(board.Histogram)
	for _, line := range said.Annulled {
		stated.Add(line.Band, line.Album, line.Rank, line.Votes)
	}
	if err := stated.Differ(e.ruled.tally); err != nil {
		c.fault("what the newest ruling annuls is not what is marked: %v", err)
	}
	gone := int64(0)
	for _, channel := range events.Channels {
		gave := said.Channels[channel] - e.ruled.channels[channel]
		if gone += gave; gave < 0 {
			c.fault("%s: the newest ruling annuls %d votes, the archive marks %d", channel, said.Channels[channel], e.ruled.channels[channel])
		}
	}
	if gone != said.Replaced {
		c.fault("the newest ruling annuls %d votes that had been replaced, and says %d", gone, said.Replaced)
	}
	if e.contest.ID != "" {
		made := board.Make(e.contest, e.tally.Folded().Less(e.ruled.tally), said.New.AsOf)
		if fault := differ(made, said.New); fault != "" {
			c.fault("the board after it: %s", fault)
		}
	}
	c.say("%d votes are annulled", e.annulled)
}
