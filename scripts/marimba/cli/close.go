package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"marimba/scripts/marimba/view"
)

func closeCommand(s *settings) *cobra.Command {
	b := &bookkeeper{settings: s}
	var wait, leaveDead bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "close CONTEST",
		Short: "make a contest that has closed final, and show its statement",
		Long: "close follows the votes that were received before the contest's closes_at: until the last of them has come to Kafka,\n" +
			"until each function has handled them, and until log, counts and what was cast agree. Then it declares the result,\n" +
			"once: called again, it shows the statement that is there. It may be cut off at any time and called again.\n" +
			"When the contest closes, `contest close` and `contest extend` decide.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			b.progress = func(line []byte) {
				var p view.Progress
				switch err := json.Unmarshal(line, &p); {
				case b.json || err != nil:
					b.tell("%s", line)
				default:
					b.tell("%s", p)
				}
			}
			return b.show(cmd.Context(), func(result json.RawMessage) error {
				var c view.Closed
				if err := json.Unmarshal(result, &c); err != nil {
					return fmt.Errorf("read statement: %w", err)
				}
				view.WriteStatement(b.out, c)
				return nil
			}, "close", "-wait="+strconv.FormatBool(wait), "-timeout="+timeout.String(), "-leave-dead="+strconv.FormatBool(leaveDead), "--", args[0])
		},
	}
	b.flags(cmd)
	f := cmd.Flags()
	f.BoolVar(&wait, "wait", false, "wait until it is final, and say how it goes on")
	f.DurationVar(&timeout, "timeout", 15*time.Minute, "how long at most")
	f.BoolVar(&leaveDead, "leave-dead", false, "make it final with votes that are dead letters")
	return cmd
}
