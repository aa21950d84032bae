package view

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"marimba/events"
)

// Annulled is a contest's annulments, and what they have come to.
type Annulled struct {
	Contest  string                   `json:"contest"`
	Act      *AnnulledAct             `json:"act"`
	Cases    []AnnulledCase           `json:"cases"`
	InForce  []int                    `json:"in_force"`
	Votes    int64                    `json:"votes"`
	Channels map[events.Channel]int64 `json:"channels"`
}

// AnnulledAct is the act that was just added.
type AnnulledAct struct {
	Number int    `json:"number"`
	Kind   string `json:"kind"`
	By     string `json:"by"`
	Effect *struct {
		Before shortBoard `json:"board_before"`
		After  shortBoard `json:"board_after"`
	} `json:"effect"`
}

type shortBoard struct {
	Bands []struct {
		Place int    `json:"place"`
		Name  string `json:"name"`
		Votes int64  `json:"votes"`
	} `json:"bands"`
}

// AnnulledCase is one annulment, from its proposal on.
type AnnulledCase struct {
	Number int    `json:"number"`
	State  string `json:"state"`
	Filter struct {
		Channel string    `json:"channel"`
		Band    string    `json:"band"`
		From    time.Time `json:"from"`
		To      time.Time `json:"to"`
	} `json:"filter"`
	Votes      int64    `json:"votes"`
	Proposed   signed   `json:"proposed"`
	Approved   []signed `json:"approved"`
	Revocation *signed  `json:"revocation"`
	Agreed     []signed `json:"revocation_approved"`
}

type signed struct {
	By     string `json:"by"`
	Reason string `json:"reason"`
}

// WriteAnnulled shows the annulments of a contest and, of an act that changed what
// is in force, the board before and after.
func WriteAnnulled(out io.Writer, a Annulled, zone *time.Location) {
	if len(a.Cases) == 0 {
		fmt.Fprintf(out, "No votes of %s were ever annulled, or proposed to be.\n", a.Contest)
		return
	}
	t := newTable(out)
	t.AppendHeader(table.Row{"Case", "State", "Votes", "Which", "Why", "Proposed by", "Approved by", "Undone by"})
	for _, c := range a.Cases {
		undone := "–"
		if c.Revocation != nil {
			undone = strings.Join(append([]string{c.Revocation.By}, names(c.Agreed)...), ", ")
		}
		t.AppendRow(table.Row{c.Number, strings.ReplaceAll(c.State, "_", " "), c.Votes, c.which(zone), c.Proposed.Reason, c.Proposed.By, orDash(strings.Join(names(c.Approved), ", ")), undone})
	}
	t.Render()
	if a.Act != nil && a.Act.Effect != nil {
		writeBeforeAfter(out, a.Act.Effect.Before, a.Act.Effect.After)
	}
	fmt.Fprintf(out, "%d votes of %s are annulled.\n", a.Votes, a.Contest)
}

func writeBeforeAfter(out io.Writer, before, after shortBoard) {
	was, is := make(map[string]int), make(map[string]bool)
	for i, b := range before.Bands {
		was[b.Name] = i
	}
	t := newTable(out)
	t.AppendHeader(table.Row{"Place", "Band", "Votes", "Place before", "Votes before"})
	for _, b := range after.Bands {
		is[b.Name] = true
	}
	for _, b := range after.Bands[:min(bandsShown, len(after.Bands))] {
		place, votes := any("–"), any("–")
		if i, ok := was[b.Name]; ok {
			place, votes = before.Bands[i].Place, before.Bands[i].Votes
		}
		t.AppendRow(table.Row{b.Place, b.Name, b.Votes, place, votes})
	}
	for _, b := range before.Bands[:min(bandsShown, len(before.Bands))] { // what is on it no more
		if !is[b.Name] {
			t.AppendRow(table.Row{"–", b.Name, "–", b.Place, b.Votes})
		}
	}
	t.Render()
}

func (c AnnulledCase) which(zone *time.Location) string {
	var parts []string
	if c.Filter.Channel != "" {
		parts = append(parts, "by "+c.Filter.Channel)
	}
	if c.Filter.Band != "" {
		parts = append(parts, "for "+c.Filter.Band)
	}
	if !c.Filter.From.IsZero() {
		parts = append(parts, "from "+c.Filter.From.In(zone).Format(time.RFC3339))
	}
	if !c.Filter.To.IsZero() {
		parts = append(parts, "until "+c.Filter.To.In(zone).Format(time.RFC3339))
	}
	return strings.Join(parts, ", ")
}

func names(of []signed) []string {
	var out []string
	for _, s := range of {
		out = append(out, s.By)
	}
	return out
}
