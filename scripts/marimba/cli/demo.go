package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"marimba/config"
	"marimba/events"
	"marimba/knative/local"
	"marimba/scripts/marimba/cast"
	"marimba/scripts/marimba/view"
)

// showContest is the contest whose own votes the demo casts.
const showContest = "rock-gt"

// settleTimeout bounds the wait until all votes of a demo are in a final state,
// besides a second for each 2,000 of them.
const settleTimeout = time.Minute

// demo is a call of demo.
type demo struct {
	house
	votes   []string
	contest string
	exit    bool
}

func demoCommand(s *settings) *cobra.Command {
	d := &demo{house: house{settings: s}}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "start everything, cast vote files, show the board and the balance",
		Long: "demo starts all of Marimba, casts a contest's vote files half over HTTP and half over gRPC, waits until each vote is in\n" +
			"a final state, and shows the board and the balance. Then it serves until Ctrl-C. Without --data it begins with nothing\n" +
			"and leaves nothing behind.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return d.run(cmd.Context()) },
	}
	d.flags(cmd)
	f := cmd.Flags()
	f.StringArrayVar(&d.votes, "votes", nil, "a vote file to cast instead of the contest's own; may be repeated")
	f.StringVar(&d.contest, "contest", "", "the contest (default "+showContest+", or "+events.DefaultContest+" with --votes)")
	f.BoolVar(&d.exit, "exit", false, "stop when all is shown")
	return cmd
}

// shown is the result of a demo.
type shown struct {
	Contest   string         `json:"contest"`
	Cast      int64          `json:"cast"`
	Accepted  int64          `json:"accepted"` // answered with a promise
	Counted   int64          `json:"counted"`
	Duplicate int64          `json:"duplicate"`
	OverLimit int64          `json:"over_limit"`
	Refused   int64          `json:"refused"` // at the door or by screen
	Dead      int64          `json:"dead"`
	Balanced  bool           `json:"balanced"`
	Seconds   float64        `json:"seconds"` // from the first vote to the last final state
	Retries   int64          `json:"retries"`
	Board     []shownBand    `json:"board"`
	Rows      []cast.Refused `json:"refused_rows"`
}

type shownBand struct {
	Place  int          `json:"place"`
	Name   string       `json:"name"`
	Votes  int64        `json:"votes"`
	Albums []view.Album `json:"albums"`
}

func (d *demo) run(ctx context.Context) error {
	files, err := d.files()
	if err != nil {
		return err
	}
	folder := d.data
	if folder == "" {
		if folder, err = os.MkdirTemp("", "marimba-demo-"); err != nil {
			return err
		}
		defer os.RemoveAll(folder) //nolint:errcheck // what is left is in the folder for such things
	}
	system, err := d.start(ctx, folder)
	if err != nil {
		return err
	}
	at := d.addresses(system)
	remove, err := at.leave(folder)
	if err != nil {
		return stopped(ctx, system, err)
	}
	defer remove()
	end, err := d.show(ctx, at, files)
	if err != nil {
		return stopped(ctx, system, err)
	}
	if !d.exit {
		err = d.serve(ctx, system, folder)
	}
	err = stopped(ctx, system, err)
	if d.json { // the last line, whatever was said before
		err = errors.Join(err, d.write(end))
	}
	if err == nil && !end.Balanced {
		err = errors.New("the books do not balance")
	}
	return err
}

// files returns the vote files that are to be cast, and settles on the contest.
func (d *demo) files() ([]config.VoteFile, error) {
	if len(d.votes) == 0 {
		if d.contest == "" {
			d.contest = showContest
		}
		files, err := config.VoteFiles(d.contest)
		if err == nil && len(files) == 0 {
			err = fmt.Errorf("contest %q comes without votes: name some with --votes", d.contest)
		}
		return files, err
	}
	if d.contest == "" {
		d.contest = events.DefaultContest
	}
	files := make([]config.VoteFile, 0, len(d.votes))
	for _, path := range d.votes {
		file, err := cast.Open(path)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return files, nil
}

// show casts the files, waits, and shows what became of the votes.
func (d *demo) show(ctx context.Context, at addresses, files []config.VoteFile) (shown, error) {
	speak := d.hush()
	defer speak()
	results, err := at.results()
	if err != nil {
		return shown{}, err
	}
	before, err := results.Balance(ctx, d.contest)
	if err != nil {
		return shown{}, err
	}
	began := time.Now()
	report, err := d.castHalves(ctx, at, files)
	if err != nil {
		return shown{}, fmt.Errorf("cast: %w", err)
	}
	limit, cancel := context.WithTimeout(ctx, settleTimeout+time.Duration(report.Accepted)*time.Second/2000)
	defer cancel()
	balance, err := results.Wait(limit, d.contest, before, report.Accepted)
	if err != nil {
		return shown{}, fmt.Errorf("wait for the votes: %w", err)
	}
	seconds := time.Since(began).Seconds()
	board, err := results.Board(ctx, d.contest)
	if err != nil {
		return shown{}, err
	}
	end := shown{
		Contest: d.contest, Cast: report.Cast, Accepted: report.Accepted, Retries: report.Retries, Rows: report.Rows,
		Counted: balance.States[events.Counted], Duplicate: balance.States[events.Duplicate],
		OverLimit: balance.States[events.OverLimit], Refused: report.Refused + balance.States[events.Refused],
		Dead: balance.States[events.Dead], Seconds: seconds,
	}
	for _, band := range board.Bands {
		if band.Votes > 0 {
			end.Board = append(end.Board, shownBand{band.Place, band.Name, band.Votes, band.Albums})
		}
	}
	// Each vote is in one final state, and the board has the counted ones less those
	// that gave way to a later one.
	end.Balanced = end.Cast == end.Counted+end.Duplicate+end.OverLimit+end.Refused+end.Dead &&
		board.Totals.Votes == before.States[events.Counted]-before.Replaced+end.Counted-balance.Replaced
	if !d.json {
		view.WriteBoard(d.out, board, false)
		view.WriteBalance(d.out, end.Cast, report.Refused, balance)
		word := "The books balance"
		if !end.Balanced {
			word = "THE BOOKS DO NOT BALANCE"
		}
		fmt.Fprintf(d.out, "%s: %d votes in %.1f s, from the first cast to the last in its final state.\n", word, end.Cast, seconds)
	}
	return end, nil
}

// castHalves casts the first half of each file over HTTP and the other over
// gRPC, both at once.
func (d *demo) castHalves(ctx context.Context, at addresses, files []config.VoteFile) (cast.Report, error) {
	var all cast.Report
	halves := map[string][]cast.Row{}
	total := 0
	for _, file := range files {
		rows, err := cast.Rows(file, &all)
		if err != nil {
			return all, err
		}
		half := (len(rows) + 1) / 2
		halves["http"] = append(halves["http"], rows[:half]...)
		halves["grpc"] = append(halves["grpc"], rows[half:]...)
		total += len(rows)
	}
	bar := newBar(total, d.err, "casting over HTTP and gRPC")
	defer bar.Close() //nolint:errcheck // it only writes to the terminal
	reports := make([]cast.Report, 2)
	work, ctx := errgroup.WithContext(ctx)
	for i, via := range []string{"http", "grpc"} {
		work.Go(func() error {
			door, err := at.door(via)
			if err != nil {
				return err
			}
			defer door.Close() //nolint:errcheck // all is answered
			sender := cast.Sender{Door: door, Contest: d.contest, OnPart: func(n int) { _ = bar.Add(n) }}
			reports[i], err = sender.Send(ctx, halves[via])
			return err
		})
	}
	err := work.Wait()
	for _, r := range reports {
		all.Add(r)
	}
	return all, err
}

// serve says where everything is and serves until ctx ends.
func (d *demo) serve(ctx context.Context, system *local.System, folder string) error {
	d.tell("\nMarimba is still up:")
	d.tellURLs(system)
	d.tell("Send more:   go run ./scripts/marimba send FILE --data %s", folder)
	d.tell("Ctrl-C ends it.")
	return system.Wait(ctx)
}
