package view

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"marimba/events"
)

// Closed is the result of a closing: how far the contest is, and its statement if
// it is final.
type Closed struct {
	Contest   string       `json:"contest"`
	Phase     events.Phase `json:"phase"`
	Declared  bool         `json:"declared"`
	Digest    string       `json:"sha256"`
	Statement *Statement   `json:"statement"`
}

// Statement is the last word on a contest, as far as a terminal shows it.
type Statement struct {
	MadeAt     time.Time                        `json:"made_at"`
	ClosesAt   time.Time                        `json:"closes_at"`
	Amendments []events.Amendment               `json:"amendments"`
	Offsets    map[events.Topic]map[int32]int64 `json:"offsets"`
	Votes      struct {
		Cast     int64                                     `json:"cast"`
		States   map[events.State]int64                    `json:"states"`
		Channels map[events.Channel]map[events.State]int64 `json:"channels"`
		Late     int64                                     `json:"late"`
	} `json:"votes"`
	Board Board `json:"board"`
	Log   *struct {
		Origin string `json:"origin"`
		Size   int64  `json:"size"`
		Root   string `json:"root"`
	} `json:"log"`
}

// WriteStatement shows a statement: how the votes ended that were received in
// time, the board, and what it rests on. Of a contest that is not final there is
// nothing to show.
func WriteStatement(out io.Writer, c Closed) {
	s := c.Statement
	if s == nil {
		return
	}
	WriteAmendments(out, s.Amendments)
	t := newTable(out)
	t.SetTitle(fmt.Sprintf("%s · final · closed at %s", c.Contest, s.ClosesAt.Format(time.RFC3339)))
	head := table.Row{"Channel"}
	for _, state := range events.States {
		head = append(head, state)
	}
	t.AppendHeader(append(head, "sum"))
	line := func(name any, states map[events.State]int64) table.Row {
		row, sum := table.Row{name}, int64(0)
		for _, state := range events.States {
			row, sum = append(row, states[state]), sum+states[state]
		}
		return append(row, sum)
	}
	for _, channel := range events.Channels {
		t.AppendRow(line(channel, s.Votes.Channels[channel]))
	}
	t.AppendFooter(line("sum", s.Votes.States))
	t.SetColumnConfigs(rightFrom(2, len(events.States)+2))
	t.Render()
	WriteBoard(out, s.Board, false)
	fmt.Fprintf(out, "%d votes were cast in time, and %d late. Handled up to: %s.\n", s.Votes.Cast, s.Votes.Late, handled(s.Offsets))
	if l := s.Log; l != nil {
		fmt.Fprintf(out, "All %d counted votes are in the public log %s, root %s.\n", l.Size, l.Origin, l.Root)
	}
	fmt.Fprintf(out, "Declared at %s, sha256 %s.\n", s.MadeAt.Format(time.RFC3339), c.Digest)
}

// handled says where each topic ended: the sums of its partitions' offsets.
func handled(offsets map[events.Topic]map[int32]int64) string {
	var ends []string
	for _, topic := range events.Topics {
		if partitions, ok := offsets[topic]; ok {
			var sum int64
			for _, offset := range partitions {
				sum += offset
			}
			ends = append(ends, fmt.Sprintf("%s %d in %d partitions", topic, sum, len(partitions)))
		}
	}
	return strings.Join(ends, ", ")
}

// WriteAmendments shows how a contest's times were changed.
func WriteAmendments(out io.Writer, amendments []events.Amendment) {
	for _, a := range amendments {
		from := "was not set"
		if !a.From.IsZero() {
			from = "was " + a.From.Format(time.RFC3339)
		}
		fmt.Fprintf(out, "%s  %s %s (it %s), by %s: %s\n", a.At.Format(time.RFC3339), a.Bound, a.To.Format(time.RFC3339), from, a.By, a.Reason)
	}
}

// Progress is how far a closing is.
type Progress struct {
	Step    string          `json:"step"`
	Until   time.Time       `json:"until"`
	Topic   events.Topic    `json:"topic"`
	Group   string          `json:"group"`
	Records int64           `json:"records"`
	Behind  map[int32]int64 `json:"behind"`
	Error   string          `json:"error"`
}

func (p Progress) String() string {
	switch {
	case p.Error != "":
		return fmt.Sprintf("%s: %s; it is tried again", p.Step, p.Error)
	case p.Step == "closing":
		return "the contest closes at " + p.Until.Format(time.RFC3339)
	case p.Step == "landing":
		return "votes that were received in time may still come to Kafka until " + p.Until.Format(time.RFC3339)
	case p.Group != "":
		var partitions []string
		for _, partition := range slices.Sorted(maps.Keys(p.Behind)) {
			partitions = append(partitions, fmt.Sprintf("%d: %d", partition, p.Behind[partition]))
		}
		return fmt.Sprintf("%s has %d records of %s to handle (%s)", p.Step, p.Records, p.Topic, strings.Join(partitions, ", "))
	}
	return "all is handled; the votes are counted again, from the log and from what was cast"
}
