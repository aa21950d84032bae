package view

import (
	"fmt"
	"io"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"marimba/events"
)

// Audit is the result of an audit, as far as a terminal shows it.
type Audit struct {
	Agree    bool             `json:"agree"`
	InFlight int64            `json:"in_flight"`
	Contests []AuditedContest `json:"contests"`
	Faults   []Fault          `json:"faults"`
	Read     struct {
		Foreign int64 `json:"foreign"`
		Votes   int64 `json:"votes"`
		Newer   int64 `json:"newer"`
	} `json:"read"`
	Seconds float64 `json:"seconds"`
}

// AuditedContest is the books of one contest.
type AuditedContest struct {
	Contest string                 `json:"contest"`
	Rows    []AuditRow             `json:"rows"`
	Total   AuditRow               `json:"total"`
	Pending map[events.State]int64 `json:"pending"`
	Board   struct {
		Agree bool          `json:"agree"`
		Votes Threefold     `json:"votes"`
		Bands []AuditedBand `json:"bands"`
		More  int           `json:"more"`
	} `json:"board"`
	Log struct {
		Leaves   int64  `json:"leaves"`
		Root     string `json:"root"`
		Unsealed int64  `json:"unsealed"`
		Shelved  int64  `json:"shelved"`
	} `json:"public_log"`
}

// AuditRow says where votes are that came in by one channel.
type AuditRow struct {
	Channel   events.Channel `json:"channel"`
	Cast      int64          `json:"cast"`
	Counted   int64          `json:"counted"`
	Annulled  int64          `json:"annulled"`
	Duplicate int64          `json:"duplicate"`
	OverLimit int64          `json:"over_limit"`
	Refused   int64          `json:"refused"`
	Dead      int64          `json:"dead"`
	InFlight  int64          `json:"in_flight"`
}

// Threefold is a number by each of the three boards.
type Threefold struct {
	Redis int64 `json:"redis"`
	Log   int64 `json:"log"`
	Cast  int64 `json:"cast"`
}

// AuditedBand is a line of the three boards; Differs says in what.
type AuditedBand struct {
	Band string `json:"band"`
	Threefold
	Differs []string `json:"differs"`
}

// Fault is a rule of the books that does not hold.
type Fault struct {
	Check    string   `json:"check"`
	Contest  string   `json:"contest"`
	Says     string   `json:"says"`
	Votes    int64    `json:"votes"`
	Examples []string `json:"examples"`
}

// bandsShown bounds the bands of a contest whose boards agree.
const bandsShown = 20

// WriteAudit shows the balance, the three boards side by side, and what does not
// hold.
func WriteAudit(out io.Writer, a Audit) {
	writeAuditRows(out, a)
	for _, c := range a.Contests {
		writeBoards(out, c)
	}
	for _, f := range a.Faults {
		where := ""
		if f.Contest != "" {
			where = " in " + f.Contest
		}
		fmt.Fprintf(out, "\n%s%s: %s", f.Check, where, f.Says)
		if f.Votes > 0 {
			fmt.Fprintf(out, " (%d votes)", f.Votes)
		}
		fmt.Fprintln(out)
		for _, example := range f.Examples {
			fmt.Fprintf(out, "  %s\n", example)
		}
	}
	word := "The books balance"
	if !a.Agree {
		word = "\nTHE BOOKS DO NOT BALANCE"
	}
	fmt.Fprintf(out, "%s: %d votes were cast, %d are in flight; read in %.1f s.\n", word, a.Read.Votes-a.Read.Newer, a.InFlight, a.Seconds)
	if a.Read.Newer > 0 {
		fmt.Fprintf(out, "%d votes more were cast meanwhile, and are left aside.\n", a.Read.Newer)
	}
	if a.Read.Foreign > 0 {
		fmt.Fprintf(out, "%d records of votes.cast are no boxes of votes.\n", a.Read.Foreign)
	}
}

func writeAuditRows(out io.Writer, a Audit) {
	t := newTable(out)
	t.AppendHeader(table.Row{"Contest", "Channel", "Cast", "=", "Counted", "Annulled", "Duplicate", "Over limit", "Refused", "Dead", "In flight"})
	line := func(contest, channel any, r AuditRow) table.Row {
		sign := "="
		if r.Cast != r.Counted+r.Annulled+r.Duplicate+r.OverLimit+r.Refused+r.Dead+r.InFlight {
			sign = "≠"
		}
		return table.Row{contest, channel, r.Cast, sign, r.Counted, r.Annulled, r.Duplicate, r.OverLimit, r.Refused, r.Dead, r.InFlight}
	}
	var sum AuditRow
	for _, c := range a.Contests {
		for _, r := range c.Rows {
			t.AppendRow(line(c.Contest, r.Channel, r))
		}
		sum.Cast += c.Total.Cast
		sum.Counted += c.Total.Counted
		sum.Annulled += c.Total.Annulled
		sum.Duplicate += c.Total.Duplicate
		sum.OverLimit += c.Total.OverLimit
		sum.Refused += c.Total.Refused
		sum.Dead += c.Total.Dead
		sum.InFlight += c.Total.InFlight
	}
	t.AppendFooter(line("sum", "", sum))
	t.SetColumnConfigs(rightFrom(3, 11))
	t.Render()
}

func rightFrom(first, last int) []table.ColumnConfig {
	var columns []table.ColumnConfig
	for n := first; n <= last; n++ {
		columns = append(columns, table.ColumnConfig{Number: n, Align: text.AlignRight, AlignFooter: text.AlignRight, AlignHeader: text.AlignRight})
	}
	return columns
}

func writeBoards(out io.Writer, c AuditedContest) {
	t := newTable(out)
	t.SetTitle(c.Contest)
	t.AppendHeader(table.Row{"Band", "Redis", "Log", "Cast", ""})
	shown := 0
	for _, b := range c.Board.Bands {
		sign := "="
		if len(b.Differs) > 0 {
			sign = "≠"
		}
		if sign == "=" && shown >= bandsShown {
			continue
		}
		shown++
		t.AppendRow(table.Row{b.Band, b.Redis, b.Log, b.Cast, sign})
	}
	if more := len(c.Board.Bands) - shown + c.Board.More; more > 0 {
		t.AppendRow(table.Row{fmt.Sprintf("and %d more", more)})
	}
	t.AppendFooter(table.Row{"sum", c.Board.Votes.Redis, c.Board.Votes.Log, c.Board.Votes.Cast})
	t.SetColumnConfigs(append(rightFrom(2, 4), table.ColumnConfig{Number: 1, WidthMax: 48}))
	t.Render()
	if c.Log.Leaves > 0 {
		fmt.Fprintf(out, "The public log of %s has %d leaves, root %s.\n", c.Contest, c.Log.Leaves, c.Log.Root)
	}
	if c.Log.Unsealed > 0 {
		fmt.Fprintf(out, "%d counted votes are on their way to it.\n", c.Log.Unsealed)
	}
	if c.Log.Shelved > 0 {
		fmt.Fprintf(out, "%d counted votes are not in it: their announcement is a dead letter. marimba replay sends it again.\n", c.Log.Shelved)
	}
}

// Letters is a list of dead letters.
type Letters struct {
	Letters []Letter `json:"letters"`
	More    int      `json:"more"`
	Causes  []struct {
		Cause   string `json:"cause"`
		Letters int    `json:"letters"`
		Votes   int64  `json:"votes"`
	} `json:"causes"`
}

// Letter is an event that could not be handled.
type Letter struct {
	ID       string    `json:"id"`
	Contest  string    `json:"contest"`
	Channel  string    `json:"channel"`
	Votes    int64     `json:"votes"`
	Topic    string    `json:"topic"`
	Cause    string    `json:"cause"`
	Status   string    `json:"status"`
	At       time.Time `json:"at"`
	Died     int       `json:"died"`
	State    string    `json:"state"`
	Sendable bool      `json:"sendable"`
}

// WriteLetters lists dead letters, and how many there are of each cause.
func WriteLetters(out io.Writer, l Letters, now time.Time) {
	if len(l.Letters) == 0 {
		fmt.Fprintln(out, "There are no dead letters.")
		return
	}
	t := newTable(out)
	t.AppendHeader(table.Row{"Letter", "Contest", "Channel", "Topic", "Votes", "Cause", "Status", "Died", "Ago", "State"})
	for _, d := range l.Letters {
		state := d.State
		if !d.Sendable {
			state += ", cannot be sent"
		}
		t.AppendRow(table.Row{
			d.ID, orDash(d.Contest), orDash(d.Channel), orDash(d.Topic), d.Votes, d.Cause, orDash(d.Status), times(d.Died),
			now.Sub(d.At).Round(time.Second), state,
		})
	}
	t.SetColumnConfigs([]table.ColumnConfig{{Number: 5, Align: text.AlignRight}, {Number: 9, Align: text.AlignRight}})
	t.Render()
	if l.More > 0 {
		fmt.Fprintf(out, "and %d more\n", l.More)
	}
	for _, c := range l.Causes {
		fmt.Fprintf(out, "%d of cause %s, with %d votes\n", c.Letters, c.Cause, c.Votes)
	}
}

func times(n int) string {
	switch n {
	case 0:
		return "–"
	case 1:
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// Replayed says what sending dead letters again came to.
type Replayed struct {
	Sent    int           `json:"sent"`
	Votes   int64         `json:"votes"`
	Again   int           `json:"again"`
	Skipped int           `json:"skipped"`
	Cannot  []LetterFault `json:"cannot"`
	Failed  []LetterFault `json:"failed"`
	More    int           `json:"more"`
}

// LetterFault is why a letter was not sent.
type LetterFault struct {
	ID    string `json:"id"`
	Fault string `json:"fault"`
}

// WriteReplayed tells what a replay did.
func WriteReplayed(out io.Writer, r Replayed) {
	fmt.Fprintf(out, "%d letters with %d votes were sent again.\n", r.Sent, r.Votes)
	if r.Again > 0 {
		fmt.Fprintf(out, "%d of them have died again already.\n", r.Again)
	}
	if r.Skipped > 0 {
		fmt.Fprintf(out, "%d are not on the shelf any more.\n", r.Skipped)
	}
	for _, f := range r.Cannot {
		fmt.Fprintf(out, "%s cannot be sent: %s\n", f.ID, f.Fault)
	}
	for _, f := range r.Failed {
		fmt.Fprintf(out, "%s was not sent: %s\n", f.ID, f.Fault)
	}
	if r.More > 0 {
		fmt.Fprintf(out, "and %d more were not sent\n", r.More)
	}
}
