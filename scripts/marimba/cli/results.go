package main

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"marimba/events"
	"marimba/scripts/marimba/view"
	"os"
)

func resultsCommand(s *settings) *cobra.Command {
	v := &visitor{settings: s}
	var albums, watch bool
	cmd := &cobra.Command{
		Use:   "results [CONTEST]",
		Short: "show the board of a contest",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			contest := events.DefaultContest
			if len(args) > 0 {
				contest = args[0]
			}
			return v.showBoard(cmd.Context(), contest, albums, watch)
		},
	}
	v.flags(cmd, false)
	cmd.Flags().BoolVar(&albums, "albums", false, "show each band's albums too")
	cmd.Flags().BoolVar(&watch, "watch", false, "show it anew each second, until Ctrl-C")
	return cmd
}

func (v *visitor) showBoard(ctx context.Context, contest string, albums, watch bool) error {
	at, err := v.find()
	if err != nil {
		return err
	}
	results, err := at.results()
	if err != nil {
		return err
	}
	for {
		if err := v.boardOnce(ctx, results, contest, albums, watch); err != nil || !watch {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

func (v *visitor) boardOnce(ctx context.Context, results *view.Results, contest string, albums, watch bool) error {
	if v.json {
		text, err := results.Raw(ctx, view.BoardPath(contest))
		if err != nil {
			return err
		}
		return v.write(text)
	}
	board, err := results.Board(ctx, contest)
	if err != nil {
		return err
	}
	if watch && term.IsTerminal(int(os.Stdout.Fd())) {
		fmt.Fprint(v.out, "\x1b[H\x1b[2J")
	}
	view.WriteBoard(v.out, board, albums)
	return nil
}

// searching is a call of logs.
type searching struct {
	visitor
	limit    int
	filter   map[string]*string
	csv, all bool
}

func logsCommand(s *settings) *cobra.Command {
	v := &searching{visitor: visitor{settings: s}, filter: map[string]*string{}}
	cmd := &cobra.Command{
		Use:   "logs",
		Short: "show the newest votes of the log, or those of a filter",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return v.search(cmd.Context()) },
	}
	v.flags(cmd, false)
	f := cmd.Flags()
	f.IntVar(&v.limit, "limit", 20, "how many, 1000 at most")
	f.BoolVar(&v.all, "all", false, "all that the filter chooses; needs the admin token (ADMIN_TOKEN, or the house's own)")
	f.BoolVar(&v.csv, "csv", false, "write CSV")
	for name, usage := range map[string]string{
		"contest": "of this contest", "band": "for this band", "channel": "by this channel: http, wasm, grpc, event",
		"state": "that ended so: counted, duplicate, over_limit, refused",
		"from":  "received at this time or later (RFC 3339)", "to": "received before this time (RFC 3339)",
	} {
		v.filter[name] = f.String(name, "", usage)
	}
	return cmd
}

func (v *searching) search(ctx context.Context) error {
	at, err := v.find()
	if err != nil {
		return err
	}
	if !v.all {
		at.Token = "" // what is public needs none, and comes quicker
	}
	results, err := at.results()
	if err != nil {
		return err
	}
	query := url.Values{}
	for name, value := range v.filter {
		if *value != "" {
			query.Set(name, *value)
		}
	}
	if !v.all {
		query.Set("limit", strconv.Itoa(v.limit))
	}
	switch {
	case v.csv:
		query.Set("format", "csv")
		return results.Export(ctx, query, v.out)
	case v.json || v.all:
		query.Set("format", "ndjson")
		return results.Export(ctx, query, v.out)
	}
	rows, err := results.Logs(ctx, query)
	if err != nil {
		return err
	}
	view.WriteLogs(v.out, rows)
	return nil
}
