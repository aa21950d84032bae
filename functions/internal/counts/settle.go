package counts

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"marimba/events"
)

// How long history is kept, and how much of the newest votes.
const (
	secondsKept = 3 * time.Hour
	minutesKept = 48 * time.Hour
	newestBoxes = 100
	// MaxNewest is the most votes that Newest returns. No more of a box are kept:
	// an older vote of it cannot be among them.
	MaxNewest = 50
)

// Settle ends an entry that is in the log: what was pending of it is dropped,
// and if it is what the log holds it is added to the figures, all at once. a is
// Count's answer; logged is the attempt that the log holds, which is another
// than a's if another delivery of the entry was first.
//
// If the log holds an attempt of an earlier life, the caller must know that the
// counts of this life were begun with it.
//
// It may be repeated, and the entry may be counted and settled again: the
// figures take each entry once. ErrLife says that the counts are to be mended,
// or were since the entry was counted: it is to be counted again.
func (s *Store) Settle(ctx context.Context, c events.Contest, e Entry, a Answer, logged string) error {
	life, joined, _ := strings.Cut(logged, ":")
	names := strings.Split(joined, ",")
	calls := make([]call, len(a.parts))
	for i, p := range a.parts {
		var attempt string // of no decision, so nothing is added
		if len(names) == len(a.parts) {
			attempt = life + ":" + names[i]
		}
		newest, err := newestOf(e.Box, p, a.States)
		if err != nil {
			return fmt.Errorf("settle %s: %w", e.ID, err)
		}
		args := s.figuresOf(e.Box, p, a.States).appendTo([]any{e.ID, a.Life, attempt, newestBoxes, newest})
		calls[i] = call{base(c.ID, p.shard), args}
	}
	if _, err := s.run(ctx, settleScript, calls); err != nil {
		return fmt.Errorf("settle %s: %w", e.ID, err)
	}
	return nil
}

// increments are what a part of a box adds to the figures: by end of the key
// and field.
type increments map[[2]string]int

func (in increments) appendTo(args []any) []any {
	for at, n := range in {
		keep := time.Duration(0)
		switch {
		case strings.HasPrefix(at[0], ":seconds:"):
			keep = secondsKept
		case strings.HasPrefix(at[0], ":minutes:"):
			keep = minutesKept
		}
		args = append(args, at[0], at[1], n, int(keep.Seconds()))
	}
	return args
}

// figuresOf returns what a part adds to the figures. History that would be
// dropped at once, as of votes that come out of the log, is left out.
func (s *Store) figuresOf(b events.Box, p part, states []events.State) increments {
	type second struct {
		at    int64 // Unix time
		state events.State
	}
	type minute struct {
		at   int64 // Unix time in minutes
		band string
	}
	// Of the votes of a box many are of the same second, and for the same band: only
	// what is added is given its name.
	now, votes := s.now(), make(map[events.State]int)
	seconds, minutes := make(map[second]int), make(map[minute]int)
	in := make(increments)
	for _, i := range p.votes {
		v, state := &b.Votes[i], states[i]
		votes[state]++
		if state == events.Refused {
			in[[2]string{":reasons", string(v.Reason)}]++
		}
		at, age := v.At.Unix(), now.Sub(v.At)
		if age < secondsKept {
			seconds[second{at, state}]++
		}
		if age < minutesKept && state == events.Counted {
			minutes[minute{at / 60, v.Name}]++
		}
	}
	for state, n := range votes {
		in[[2]string{":figures", string(b.Channel) + ":" + string(state)}] = n
	}
	for of, n := range seconds {
		in[[2]string{":seconds:" + strconv.FormatInt(of.at/60, 10), strconv.FormatInt(of.at%60, 10) + ":" + string(of.state)}] = n
	}
	for of, n := range minutes {
		in[[2]string{":minutes:" + strconv.FormatInt(of.at/60, 10), strconv.FormatInt(of.at%60, 10) + separator + of.band}] = n
	}
	return in
}

// newestBox and newestVote are the JSON of an entry of the stream newest. They
// hold neither ids nor voters: whoever may see the board may see them.
type newestBox struct {
	ID      string         `json:"box"`
	Channel events.Channel `json:"ch"`
	Votes   []newestVote   `json:"votes"`
}

type newestVote struct {
	Index  int          `json:"i"`
	Name   string       `json:"n"`
	Album  string       `json:"a,omitempty"`
	Year   int32        `json:"y"`
	Rank   int32        `json:"r"`
	At     int64        `json:"t"` // Unix time in ms
	State  events.State `json:"s"`
	Reason events.Code  `json:"why,omitempty"`
}

func newestOf(b events.Box, p part, states []events.State) (string, error) {
	votes := p.votes[max(0, len(p.votes)-MaxNewest):]
	out := newestBox{ID: b.ID, Channel: b.Channel, Votes: make([]newestVote, 0, len(votes))}
	for _, i := range votes {
		v := &b.Votes[i]
		out.Votes = append(out.Votes, newestVote{
			Index: v.Index, Name: v.Name, Album: v.Album, Year: v.Year, Rank: v.Rank,
			At: v.At.UnixMilli(), State: states[i], Reason: v.Reason,
		})
	}
	text, err := json.Marshal(out)
	return string(text), err
}
