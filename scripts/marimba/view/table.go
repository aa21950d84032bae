package view

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"marimba/events"
)

// barWidth is the length of the longest bar, in characters.
const barWidth = 30

// WriteBoard shows a board as a table with a bar for each band's votes; with
// albums, also the split of each band's votes.
func WriteBoard(out io.Writer, b Board, albums bool) {
	t := newTable(out)
	title := fmt.Sprintf("%s · %d votes · by %s", b.Contest, b.Totals.Votes, b.Standing)
	switch b.Phase {
	case events.Closed:
		title += " · closed, provisional"
	case events.Final:
		title += " · final"
	}
	t.SetTitle(title)
	head := table.Row{"", "Band", "Votes", "", "%"}
	metric := figureOf(b.Standing)
	if metric != nil {
		head = append(head, strings.ToUpper(string(b.Standing[:1]))+string(b.Standing[1:]))
	}
	t.AppendHeader(head)
	most := int64(1)
	for _, band := range b.Bands {
		most = max(most, band.Votes)
	}
	for _, band := range b.Bands {
		if band.Votes == 0 {
			continue
		}
		line := table.Row{band.Place, band.Name, band.Votes, Bar(band.Votes, most, barWidth), fmt.Sprintf("%.1f", 100*band.Share)}
		if metric != nil {
			line = append(line, metric(band))
		}
		t.AppendRow(line)
		if !albums {
			continue
		}
		for _, album := range band.Albums {
			t.AppendRow(table.Row{"", "  " + orDash(album.Album), album.Votes})
		}
	}
	t.SetColumnConfigs([]table.ColumnConfig{
		{Number: 1, Align: text.AlignRight},
		{Number: 2, WidthMax: 48},
		{Number: 3, Align: text.AlignRight},
		{Number: 5, Align: text.AlignRight},
		{Number: 6, Align: text.AlignRight},
	})
	t.Render()
}

// figureOf returns how a board's metric is shown; nil for votes, which are.
func figureOf(m events.Metric) func(Band) string {
	switch m {
	case events.ByPoints:
		return func(b Band) string {
			if b.Points == nil {
				return "–"
			}
			return strconv.FormatInt(*b.Points, 10)
		}
	case events.ByMean:
		return func(b Band) string {
			if b.Mean == nil {
				return "–"
			}
			return strconv.FormatFloat(*b.Mean, 'f', 2, 64)
		}
	case events.BySum:
		return func(b Band) string { return strconv.FormatFloat(b.Sum, 'f', -1, 64) }
	}
	return nil
}

// Bar draws n of most as a bar of at most width characters, to an eighth of one.
func Bar(n, most int64, width int) string {
	if most <= 0 || n <= 0 {
		return ""
	}
	eighths := int(math.Ceil(float64(n) / float64(most) * float64(width) * 8))
	bar := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		bar += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	return bar
}

// WriteBalance shows how the votes that were cast ended: a line for each state,
// and the sum.
func WriteBalance(out io.Writer, cast, refusedAtDoor int64, b Balance) {
	t := newTable(out)
	t.SetTitle("Balance")
	t.AppendHeader(table.Row{"", "Votes"})
	if refusedAtDoor > 0 {
		t.AppendRow(table.Row{"refused at the door", refusedAtDoor})
	}
	for _, state := range events.States {
		t.AppendRow(table.Row{state, b.States[state]})
	}
	t.AppendFooter(table.Row{"sum", refusedAtDoor + b.Final})
	t.AppendFooter(table.Row{"cast", cast})
	t.SetColumnConfigs([]table.ColumnConfig{{Number: 2, Align: text.AlignRight, AlignFooter: text.AlignRight}})
	t.Render()
}

// WriteLogs shows rows of the log.
func WriteLogs(out io.Writer, rows []LogRow) {
	t := newTable(out)
	t.AppendHeader(table.Row{"Received", "Contest", "Channel", "Band", "Album", "Year", "Rank", "State", "Receipt"})
	for _, r := range rows {
		state := string(r.State)
		if r.Reason != "" {
			state += ": " + string(r.Reason)
		}
		t.AppendRow(table.Row{
			r.At.Local().Format("2006-01-02 15:04:05.000"), r.Contest, r.Channel, r.Name, orDash(r.Album), r.Year,
			strconv.FormatFloat(r.Rank, 'f', -1, 64), state, r.Receipt,
		})
	}
	t.SetColumnConfigs([]table.ColumnConfig{{Number: 4, WidthMax: 40}, {Number: 5, WidthMax: 40}})
	t.Render()
}

func newTable(out io.Writer) table.Writer {
	t := table.NewWriter()
	t.SetOutputMirror(out)
	style := table.StyleLight
	style.Format.Header, style.Format.Footer = text.FormatDefault, text.FormatDefault
	style.Options.SeparateColumns = false
	t.SetStyle(style)
	return t
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}
