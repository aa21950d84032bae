package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"marimba/events"
	"marimba/scripts/marimba/cast"
	"marimba/scripts/marimba/view"
)

// sending is a call of send.
type sending struct {
	visitor
	via     string
	rate    float64
	contest string
	wait    time.Duration
}

func sendCommand(s *settings) *cobra.Command {
	v := &sending{visitor: visitor{settings: s}}
	cmd := &cobra.Command{
		Use:   "send FILE…",
		Short: "send the votes of files, and wait until all are in a final state",
		Long: "send sends vote files (.json, .ndjson, .csv) through a door of the house. A vote without an id gets one that is made\n" +
			"of the file's digest and the row, so the same file sent twice counts once. What is not answered is sent again.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error { return v.send(cmd.Context(), files) },
	}
	v.flags(cmd, true)
	cmd.Flags().StringVar(&v.via, "via", "http", "the door: "+strings.Join(ways, ", "))
	cmd.Flags().Float64Var(&v.rate, "rate", 0, "votes a second (default: as fast as they are taken)")
	cmd.Flags().StringVar(&v.contest, "contest", events.DefaultContest, "the contest")
	cmd.Flags().DurationVar(&v.wait, "wait", time.Minute, "how long to wait until all are counted; 0: not at all")
	return cmd
}

// sent is the result of send. What became of the votes is read off the contest's
// books before and after: votes that others cast meanwhile are in it too.
type sent struct {
	cast.Report
	Via        string `json:"via"`
	Contest    string `json:"contest"`
	Counted    *int64 `json:"counted,omitempty"`
	Duplicate  *int64 `json:"duplicate,omitempty"`
	OverLimit  *int64 `json:"over_limit,omitempty"`
	RefusedIn  *int64 `json:"refused_by_rules,omitempty"`
	Dead       *int64 `json:"dead,omitempty"`
	StillOnWay int64  `json:"on_the_way,omitempty"`
}

func (v *sending) send(ctx context.Context, files []string) error {
	if !slices.Contains(ways, v.via) {
		return fmt.Errorf("--via %q: not one of %s", v.via, strings.Join(ways, ", "))
	}
	if v.rate < 0 {
		return fmt.Errorf("--rate %g: less than nothing", v.rate)
	}
	at, err := v.find()
	if err != nil {
		return err
	}
	door, err := at.door(v.via)
	if err != nil {
		return err
	}
	defer door.Close() //nolint:errcheck // all is answered
	waits := v.wait > 0 && at.Results != ""
	var (
		results *view.Results
		before  view.Balance
	)
	if waits {
		if results, err = at.results(); err != nil {
			return err
		}
		if before, err = results.Balance(ctx, v.contest); err != nil {
			return err
		}
	}
	var read cast.Report
	var rows []cast.Row
	for _, path := range files {
		file, err := cast.Open(path)
		if err != nil {
			return err
		}
		more, err := cast.Rows(file, &read)
		if err != nil {
			return err
		}
		rows = append(rows, more...)
	}
	report, err := v.cast(ctx, door, rows)
	report.Add(read)
	end := sent{Report: report, Via: v.via, Contest: v.contest}
	if err == nil && waits {
		limit, cancel := context.WithTimeout(ctx, v.wait)
		balance, late := results.Wait(limit, v.contest, before, report.Accepted)
		cancel()
		end.became(balance)
		if late != nil {
			end.StillOnWay = max(0, report.Accepted-balance.Final)
			err = fmt.Errorf("wait for the votes: %w", late)
		}
	}
	if v.json {
		if writing := v.write(end); err == nil {
			err = writing
		}
		return err
	}
	end.show(v.out)
	return err
}

// cast sends rows with a progress bar.
func (v *sending) cast(ctx context.Context, door cast.Door, rows []cast.Row) (cast.Report, error) {
	bar := newBar(len(rows), v.err, "sending by "+v.via)
	defer bar.Close() //nolint:errcheck // it only writes to the terminal
	sender := cast.Sender{
		Door: door, Contest: v.contest, Rate: v.rate,
		OnPart: func(n int) { _ = bar.Add(n) },
	}
	return sender.Send(ctx, rows)
}

func (e *sent) became(b view.Balance) {
	for state, to := range map[events.State]**int64{
		events.Counted: &e.Counted, events.Duplicate: &e.Duplicate, events.OverLimit: &e.OverLimit,
		events.Refused: &e.RefusedIn, events.Dead: &e.Dead,
	} {
		n := b.States[state]
		*to = &n
	}
}

func (e *sent) show(out io.Writer) {
	fmt.Fprintf(out, "%d votes in %.1f s by %s to %s: %d accepted, %d refused", e.Cast, e.Seconds, e.Via, e.Contest, e.Accepted, e.Refused)
	if e.Retries > 0 {
		fmt.Fprintf(out, ", %d parts sent again", e.Retries)
	}
	fmt.Fprintln(out)
	if e.Counted != nil {
		fmt.Fprintf(out, "of these: %d counted, %d duplicate, %d over limit, %d refused by the rules, %d dead\n",
			*e.Counted, *e.Duplicate, *e.OverLimit, *e.RefusedIn, *e.Dead)
	}
	for _, row := range e.Rows {
		fmt.Fprintf(out, "  %s, row %d: %s %s\n", row.File, row.Row, row.Code, row.Detail)
	}
	if more := e.Refused - int64(len(e.Rows)); more > 0 {
		fmt.Fprintf(out, "  and %d more\n", more)
	}
}

// newBar returns a progress bar over votes; where there is no terminal it shows
// nothing.
func newBar(votes int, to io.Writer, what string) *progressbar.ProgressBar {
	file, ok := to.(*os.File)
	return progressbar.NewOptions(votes,
		progressbar.OptionSetWriter(to),
		progressbar.OptionSetVisibility(ok && term.IsTerminal(int(file.Fd()))),
		progressbar.OptionSetDescription(what),
		progressbar.OptionSetItsString("votes"),
		progressbar.OptionShowIts(), progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(true), progressbar.OptionFullWidth(),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionOnCompletion(func() { fmt.Fprintln(to) }),
	)
}
