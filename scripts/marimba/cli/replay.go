package main

import (
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"marimba/scripts/marimba/view"
)

func replayCommand(s *settings) *cobra.Command {
	b := &bookkeeper{settings: s}
	var contest, cause string
	var send, all bool
	var limit int
	cmd := &cobra.Command{
		Use:   "replay [ID…]",
		Short: "list the dead letters, or send them again",
		Long: "replay lists the events that could not be handled, with the cause. With --send it sends them again: those of the ids, or\n" +
			"--all that are shelved, and of these only those of --contest and --cause. Each is the same event as before, so sending\n" +
			"it twice changes nothing. What dies again is on the list again.",
		RunE: func(cmd *cobra.Command, ids []string) error {
			if send && all == (len(ids) > 0) || all && !send {
				return errors.New("--send needs the ids of letters, or --all")
			}
			args := []string{"replay", "-contest=" + contest, "-cause=" + cause}
			shown := func(result json.RawMessage) error {
				var l view.Letters
				if err := json.Unmarshal(result, &l); err != nil {
					return err
				}
				view.WriteLetters(b.out, l, time.Now())
				return nil
			}
			if send {
				args = append(args, "-send", "-all="+strconv.FormatBool(all))
				shown = func(result json.RawMessage) error {
					var r view.Replayed
					if err := json.Unmarshal(result, &r); err != nil {
						return err
					}
					view.WriteReplayed(b.out, r)
					return nil
				}
			} else {
				args = append(args, "-limit="+strconv.Itoa(limit))
			}
			return b.show(cmd.Context(), shown, append(append(args, "--"), ids...)...)
		},
	}
	b.flags(cmd)
	f := cmd.Flags()
	f.BoolVar(&send, "send", false, "send them again")
	f.BoolVar(&all, "all", false, "with --send: all that are shelved")
	f.StringVar(&contest, "contest", "", "of this contest alone")
	f.StringVar(&cause, "cause", "", "that died of this cause alone")
	f.IntVar(&limit, "limit", 100, "how many to list, 10000 at most")
	return cmd
}
