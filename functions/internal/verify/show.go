package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// showReport shows what was found of an archive. That something does not hold is its
// error, so that nobody takes its end for a good one.
func showReport(out io.Writer, r *Report, asJSON bool) error {
	if asJSON {
		if err := json.NewEncoder(out).Encode(r); err != nil {
			return err
		}
	} else {
		if r.Contest != "" {
			fmt.Fprintf(out, "%s, %d votes, archive of %s\n\n", r.Contest, r.Votes, r.MadeAt.UTC().Format(time.RFC3339))
		}
		showChecks(out, r.Checks)
		showVote(out, r.Vote)
		showNotes(out, r.Notes)
	}
	if !r.Holds {
		return fmt.Errorf("%w: %s", errBroken, r.broken())
	}
	if !asJSON {
		fmt.Fprintln(out, "\nAll of it holds.")
	}
	return nil
}

func showProven(out io.Writer, p *Proven, asJSON bool) error {
	if asJSON {
		if err := json.NewEncoder(out).Encode(p); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(out, "%s, contest %s\n\n", p.Receipt, p.Contest)
		showChecks(out, p.Checks)
		showVote(out, p.Vote)
		showNotes(out, p.Notes)
	}
	if !p.Holds {
		return errBroken
	}
	if !asJSON {
		fmt.Fprintln(out, "\nThe vote is in the public log.")
	}
	return nil
}

// showChecks writes a table of checks, each with where it does not hold.
func showChecks(out io.Writer, checks []*Check) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, c := range checks {
		mark := "ok"
		switch {
		case !c.reached:
			mark = "–"
		case !c.Holds:
			mark = "NO"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", mark, c.Name, c.Says)
		for _, fault := range c.Faults {
			fmt.Fprintf(w, "\t\t  ✗ %s\n", fault)
		}
		if more := c.Count - len(c.Faults); more > 0 {
			fmt.Fprintf(w, "\t\t  … and %d more\n", more)
		}
	}
	_ = w.Flush() // as for all that is shown
}

func showVote(out io.Writer, v *Found) {
	if v == nil {
		return
	}
	fmt.Fprintf(out, "\nThe vote: leaf %d, %s, %q, %q, %d, %s, by %s\n", v.Leaf, v.State, v.Name, v.Album, v.Year, v.Rank, v.Channel)
}

func showNotes(out io.Writer, notes []string) {
	for _, note := range notes {
		fmt.Fprintf(out, "\nNote: %s.\n", note)
	}
}
