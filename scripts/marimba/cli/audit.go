package main

import (
	"encoding/json"
	"time"

	"github.com/spf13/cobra"

	"marimba/scripts/marimba/view"
)

// livingVotes is how old votes in flight may be in a house that moves.
const livingVotes = 10 * time.Second

func auditCommand(s *settings) *cobra.Command {
	b := &bookkeeper{settings: s}
	var contest string
	var young time.Duration
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "hold votes.cast, the log and the counts against one another",
		Long: "audit reads every vote that was cast, the log, the dead letters and Redis, and shows where each vote is:\n" +
			"  cast = counted + duplicate + over limit + refused + dead + in flight\n" +
			"and the boards by Redis, by the log, and by what was cast, judged again; and that each counted vote has its one leaf in\n" +
			"the public log, which is what its checkpoints have signed. Each rule of the books that does not hold is named, with\n" +
			"examples. It changes nothing, and ends with 0 only if all holds and no vote is in flight.\n" +
			"Votes that are cast meanwhile are left aside; those on their way are let be with --allow-in-flight.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return b.show(cmd.Context(), func(result json.RawMessage) error {
				var a view.Audit
				if err := json.Unmarshal(result, &a); err != nil {
					return err
				}
				view.WriteAudit(b.out, a)
				return nil
			}, "audit", "-contest="+contest, "-allow-in-flight="+young.String())
		},
	}
	b.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&contest, "contest", "", "this contest alone")
	f.DurationVar(&young, "allow-in-flight", 0, "how old a vote may be that is in no final state yet; without a time, "+livingVotes.String())
	f.Lookup("allow-in-flight").NoOptDefVal = livingVotes.String()
	return cmd
}
