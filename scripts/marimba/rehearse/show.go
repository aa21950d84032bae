package rehearse

import (
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// Write shows the sheet on a terminal.
func (s Sheet) Write(out io.Writer) {
	fmt.Fprintf(out, "%s, as %s: %d votes in %.0f s, at most %.0f a second\n\n", s.Contest, s.Shadow, s.Votes, s.Seconds, s.Peak)
	fmt.Fprintf(out, "first answer  %.0f ms\n", s.First)
	fmt.Fprintf(out, "durable       p50 %.1f ms, p99 %.1f ms, p99.9 %.1f ms, at most %.0f ms\n", s.Durable["p50"], s.Durable["p99"], s.Durable["p999"], s.Durable["max"])
	fmt.Fprintf(out, "not counted   %d votes at most", s.Backlog)
	if s.Settled != nil {
		fmt.Fprintf(out, "; all %.1f s after the last answer", *s.Settled)
	}
	fmt.Fprintln(out)
	if len(s.Lag) > 0 {
		var behind []string
		for _, function := range sortedKeys(s.Lag) {
			behind = append(behind, fmt.Sprintf("%s %d", function, s.Lag[function]))
		}
		fmt.Fprintf(out, "lag           %s records at most\n", strings.Join(behind, ", "))
	}
	if s.Unseen != "" {
		fmt.Fprintf(out, "not all was seen: %s\n", s.Unseen)
	}
	s.writeFunctions(out)
	fmt.Fprintln(out)
	for _, c := range s.Checks {
		sign := "✓"
		if !c.OK {
			sign = "✗"
		}
		fmt.Fprintf(out, "%s %s: %s\n", sign, c.What, c.Seen)
	}
	for i, a := range s.Advice {
		if i == 0 {
			fmt.Fprint(out, "\nsuggested\n")
		}
		fmt.Fprintf(out, "  %s: %s %d, as %s\n", a.Function, a.Setting, a.Value, a.Why)
	}
	word := "GO"
	if !s.Go {
		word = "NO-GO"
	}
	fmt.Fprintf(out, "\n%s. The shadow closes at %s; its votes stay in its own books, and no other contest has them.\n", word, s.ClosesAt)
}

func (s Sheet) writeFunctions(out io.Writer) {
	if len(s.Functions) == 0 {
		return
	}
	t := table.NewWriter()
	t.SetOutputMirror(out)
	style := table.StyleLight
	style.Format.Header = text.FormatDefault
	style.Options.SeparateColumns = false
	t.SetStyle(style)
	t.AppendHeader(table.Row{"", "Starts", "Slowest", "At once", "Failed", "Sent again", "Dead", "CPU", "Memory"})
	for _, f := range s.Functions {
		slowest := "–"
		if f.Starts > 0 {
			slowest = fmt.Sprintf("%.2f s", f.ColdStart)
		}
		t.AppendRow(table.Row{
			f.Name, f.Starts, slowest, f.AtOnce, f.Crashes, known(f.Retries, "%d", 1), known(f.Dead, "%d", 1),
			known(f.CPUSeconds, "%.1f s", 1), known(f.RSS, "%d MiB", 1<<20),
		})
	}
	columns := make([]table.ColumnConfig, 8)
	for i := range columns {
		columns[i] = table.ColumnConfig{Number: i + 2, Align: text.AlignRight}
	}
	t.SetColumnConfigs(columns)
	fmt.Fprintln(out)
	t.Render()
}

// known shows a figure in a unit, or a dash for one that is not known.
func known[N int64 | float64](n *N, format string, unit N) string {
	if n == nil {
		return "–"
	}
	return fmt.Sprintf(format, *n/unit)
}
