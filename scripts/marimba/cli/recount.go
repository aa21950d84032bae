package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
)

func recountCommand(s *settings) *cobra.Command {
	b := &bookkeeper{settings: s}
	var contest, from string
	cmd := &cobra.Command{
		Use:   "recount",
		Short: "rebuild the counts in Redis from the log, while votes keep coming",
		Long: "recount builds the counts of each contest anew beside those that are there, from MongoDB's log, proves them against the\n" +
			"log, and puts them in place at once. Votes that are cast meanwhile wait in Kafka for the moment that the change takes.\n" +
			"It is not needed in daily life: tally notices by itself when Redis has lost something, and does the same.\n" +
			"With --from kafka, what the log lacks of what was cast is sent through the house once more, for a log that was lost.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return b.show(cmd.Context(), func(result json.RawMessage) error {
				var r struct {
					Contests, Boxes, Votes, Different int64
					Held                              float64 `json:"seconds_held"`
					Sent                              int64   `json:"votes_sent"`
				}
				if err := json.Unmarshal(result, &r); err != nil {
					return err
				}
				_, err := fmt.Fprintf(b.out, "%d votes in %d boxes of %d contests were counted again; %d contests differed from the log before.\n"+
					"Counting waited for %.2f s at most.\n", r.Votes, r.Boxes, r.Contests, r.Different, r.Held)
				if err == nil && from == "kafka" {
					_, err = fmt.Fprintf(b.out, "%d votes that were cast and not in the log were sent again.\n", r.Sent)
				}
				return err
			}, "recount", "-contest="+contest, "-from="+from)
		},
	}
	b.flags(cmd)
	cmd.Flags().StringVar(&contest, "contest", "", "this contest alone")
	cmd.Flags().StringVar(&from, "from", "log", "what to rebuild from: log, or kafka")
	return cmd
}
