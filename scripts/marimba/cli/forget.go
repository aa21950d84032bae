package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"marimba/events"
)

// forgotten is the result of books forget.
type forgotten struct {
	Contest   string    `json:"contest"`
	Elsewhere bool      `json:"elsewhere"`
	At        time.Time `json:"at"`
	By        string    `json:"by"`
	Digest    string    `json:"key_sha256"`
	Done      time.Time `json:"destroyed_at"`
}

func forgetCommand(s *settings) *cobra.Command {
	b := &bookkeeper{settings: s}
	var by, reason, keys, digest, namespace string
	var destroyed bool
	cmd := &cobra.Command{
		Use:   "forget CONTEST",
		Short: "destroy the key that tells whose the votes of a contest are",
		Long: "forget destroys the voter key of a contest that is final, when the days for appeals that its file gives (appeal_days, 30\n" +
			"unless it says otherwise) have passed since it closed. Then nobody can tell any more which of the keys in the log is whose;\n" +
			"votes, limits and all proofs stay as they are, and audit holds. Who did it, when and why is kept in the log.\n\n" +
			"The key of a house on this machine is a file in its data folder: it is overwritten and taken away. On a cluster it is in\n" +
			"the Secret voter-keys: forget prints the commands that take it out, and notes with --destroyed that it was done. Copies in\n" +
			"backups, and what a disk keeps of old blocks, are for whoever runs these to destroy.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !events.IsContestID(args[0]) || !events.IsContestID(namespace) {
				return fmt.Errorf("%q in %q: not names of 1 to 63 of a-z, 0-9 and inner hyphens", args[0], namespace)
			}
			if keys == "" && b.given == (addresses{Contests: b.given.Contests}) && !destroyed {
				keys = keysIn(b.folder())
			}
			return b.show(cmd.Context(), func(result json.RawMessage) error {
				var f forgotten
				if err := json.Unmarshal(result, &f); err != nil {
					return fmt.Errorf("read what was forgotten: %w", err)
				}
				b.tellForgotten(f, namespace)
				return nil
			}, "forget", "-by="+by, "-reason="+reason, "-keys="+keys, "-destroyed="+strconv.FormatBool(destroyed), "-sha256="+digest, "--", args[0])
		},
	}
	b.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&by, "by", "", "who decides it")
	f.StringVar(&reason, "reason", "", "why")
	f.StringVar(&keys, "keys", os.Getenv("VOTER_KEYS_DIR"), "folder of the voter keys (VOTER_KEYS_DIR; default: that of the house)")
	f.BoolVar(&destroyed, "destroyed", false, "the key was taken out of the cluster's Secret: note it")
	f.StringVar(&digest, "sha256", "", "with --destroyed: digest of the key that was taken out")
	f.StringVar(&namespace, "namespace", "marimba", "namespace of the Secret voter-keys")
	for _, needed := range []string{"by", "reason"} {
		_ = cmd.MarkFlagRequired(needed) // it is a flag: it was made above
	}
	return cmd
}

func (b *bookkeeper) tellForgotten(f forgotten, namespace string) {
	if f.Elsewhere {
		fmt.Fprintf(b.out, "The key of %[1]s is not here. Where the cluster is:\n\n"+
			"  kubectl -n %[2]s get secret voter-keys -o 'jsonpath={.data.%[1]s}' | base64 -d | tr -d '\\n' | xxd -r -p | sha256sum\n"+
			"  kubectl -n %[2]s patch secret voter-keys --type=json -p '[{\"op\": \"remove\", \"path\": \"/data/%[1]s\"}]'\n\n"+
			"and then this command again, with --destroyed and --sha256 of the first line's digest.\n", f.Contest, namespace)
		return
	}
	fmt.Fprintf(b.out, "Whose the votes of %s are can not be told any more: its key (sha256 %s) was destroyed at %s, as %s decided.\n",
		f.Contest, orUnknown(f.Digest), f.Done.Local().Format(time.RFC3339), f.By)
}

func orUnknown(digest string) string {
	if digest == "" {
		return "not known"
	}
	return digest
}
