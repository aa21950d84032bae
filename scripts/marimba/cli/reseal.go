package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
)

func resealCommand(s *settings) *cobra.Command {
	b := &bookkeeper{settings: s, secrets: []string{"RECEIPT_SECRET"}}
	var contest string
	cmd := &cobra.Command{
		Use:   "reseal",
		Short: "rebuild the public log's tiles from its leaves, and hold these against the votes",
		Long: "reseal makes again all of the public log that follows from its batches of leaves: tiles, heads, and the marks of boxes that\n" +
			"are sealed. Each batch is held against its signed checkpoint. With RECEIPT_SECRET in the environment each leaf is made\n" +
			"again too, from MongoDB's log of votes, and what is too few or too many is told. Votes may be sealed meanwhile; only if the\n" +
			"collection `sealed` was lost, the notary is to be stopped until reseal has ended.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return b.show(cmd.Context(), func(result json.RawMessage) error {
				var r struct {
					Contests, Batches, Leaves, Different int64
					Results                              []struct {
						Contest  string
						Compared *struct {
							Few   int64  `json:"leaves_few"`
							Many  int64  `json:"leaves_many"`
							AFew  string `json:"a_vote_without_leaf"`
							AMany string `json:"a_leaf_without_vote"`
						}
					}
				}
				if err := json.Unmarshal(result, &r); err != nil {
					return err
				}
				if _, err := fmt.Fprintf(b.out, "The public logs of %d contests are rebuilt: %d leaves in %d batches.\n", r.Contests, r.Leaves, r.Batches); err != nil {
					return err
				}
				for _, of := range r.Results {
					if c := of.Compared; c != nil && c.Few+c.Many > 0 {
						if _, err := fmt.Fprintf(b.out, "%s: %d counted votes have no leaf (%s), and %d leaves no vote (%s).\n", of.Contest, c.Few, c.AFew, c.Many, c.AMany); err != nil {
							return err
						}
					}
				}
				return nil
			}, "reseal", "-contest="+contest)
		},
	}
	b.flags(cmd)
	cmd.Flags().StringVar(&contest, "contest", "", "this contest alone")
	return cmd
}
