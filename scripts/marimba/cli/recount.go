package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
)

func recountCommand(s *settings) *cobra.Command {
	b := &bookkeeper{settings: s}
	var contest string
	cmd := &cobra.Command{
		Use:   "recount",
		Short: "rebuild the counts in Redis from the log, while votes keep coming",
		Long: "recount builds the counts of each contest anew beside those that are there, from MongoDB's log, proves them against the\n" +
			"log, and puts them in place at once. Votes that are cast meanwhile wait in Kafka for the moment that the change takes.\n" +
			"It is not needed in daily life: tally notices by itself when Redis has lost something, and does the same.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return b.show(cmd.Context(), func(result json.RawMessage) error {
				var r struct {
					Contests, Boxes, Votes, Different int64
					Held                              float64 `json:"seconds_held"`
				}
				if err := json.Unmarshal(result, &r); err != nil {
					return err
				}
				_, err := fmt.Fprintf(b.out, "%d votes in %d boxes of %d contests were counted again; %d contests differed from the log before.\n"+
					"Counting waited for %.2f s at most.\n", r.Votes, r.Boxes, r.Contests, r.Different, r.Held)
				return err
			}, "recount", "-contest="+contest)
		},
	}
	b.flags(cmd)
	cmd.Flags().StringVar(&contest, "contest", "", "this contest alone")
	return cmd
}
