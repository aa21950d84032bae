package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"marimba/scripts/marimba/view"
)

func annulCommand(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "annul",
		Short: "set counted votes aside, with a reason and two approvals, or undo it",
		Long: "annul sets counted votes of a contest that has closed aside. Nothing is deleted: the votes stay in the log and in the\n" +
			"counts, and are shown as annulled. One person proposes a filter with a reason, two others approve it; revoke undoes it\n" +
			"in the same way, and withdraws what is only proposed. Each step is kept for ever, and published with who made it.\n" +
			"In a contest of limit replace, annulling a vote that had taken an earlier one's place does not bring that back.\n" +
			"A final statement stays as it was written; the board shown beside it is without the annulled votes.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(annulPropose(s),
		annulStep(s, "approve CONTEST CASE", "approve an annulment, or its revocation", false),
		annulStep(s, "revoke CONTEST CASE", "propose to undo an annulment in force; withdraw one that is only proposed", true),
		annulStep(s, "reckon CONTEST", "reckon what is in force again, after dead votes were replayed", false),
		annulStep(s, "list CONTEST", "list the annulments of a contest, and what they come to", false),
	)
	return cmd
}

func annulPropose(s *settings) *cobra.Command {
	b := &bookkeeper{settings: s}
	var by, reason, channel, band, from, to string
	cmd := &cobra.Command{
		Use: "propose CONTEST", Short: "propose to annul the counted votes that a filter chooses", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return b.show(cmd.Context(), b.annulments, "annul", "propose", "-by="+by, "-reason="+reason,
				"-channel="+channel, "-band="+band, "-from="+from, "-to="+to, "--", args[0])
		},
	}
	b.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&by, "by", "", "who proposes it")
	f.StringVar(&reason, "reason", "", "why; it is shown to the public")
	f.StringVar(&channel, "channel", "", "votes that came in by this channel: http, wasm, grpc, event")
	f.StringVar(&band, "band", "", "votes for this band, in any spelling")
	f.StringVar(&from, "from", "", "votes received at this time or later: RFC 3339, such as 2026-11-24T22:00:00-06:00")
	f.StringVar(&to, "to", "", "votes received before this time")
	for _, needed := range []string{"by", "reason"} {
		_ = cmd.MarkFlagRequired(needed) // it is a flag: it was made above
	}
	return cmd
}

// annulStep makes a command about what was proposed.
func annulStep(s *settings, use, short string, reasoned bool) *cobra.Command {
	b := &bookkeeper{settings: s}
	var by, reason string
	var verb, contest, of string
	n, _ := fmt.Sscan(use, &verb, &contest, &of) // two words or three
	cmd := &cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(n - 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return b.show(cmd.Context(), b.annulments, append([]string{"annul", verb, "-by=" + by, "-reason=" + reason, "--"}, args...)...)
		},
	}
	b.flags(cmd)
	if verb == "list" {
		return cmd
	}
	f := cmd.Flags()
	f.StringVar(&by, "by", "", "who does it")
	f.StringVar(&reason, "reason", "", "why; it is shown to the public")
	_ = cmd.MarkFlagRequired("by") // it is a flag: it was made above
	if reasoned {
		_ = cmd.MarkFlagRequired("reason")
	}
	return cmd
}

func (b *bookkeeper) annulments(result json.RawMessage) error {
	var a view.Annulled
	if err := json.Unmarshal(result, &a); err != nil {
		return fmt.Errorf("read annulments: %w", err)
	}
	view.WriteAnnulled(b.out, a, time.Local)
	return nil
}
