// Command verify checks the archive of a final contest, offline and with nothing but
// what is in it, and shows what its sealed votes would come to under other rules.
// The command marimba starts it; it is apart from it so that whoever only wants to
// check a result builds none of what counts one: no Kafka, no Redis, no MongoDB.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := command(os.Stdout).ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "marimba:", err)
		os.Exit(1)
	}
}

// errBroken is that something was looked at and does not hold. What it was has been
// shown.
var errBroken = errors.New("it does not hold")

func command(out io.Writer) *cobra.Command {
	root := &cobra.Command{Use: "marimba", Short: "Checks what was sealed", SilenceUsage: true, SilenceErrors: true}
	root.CompletionOptions.DisableDefaultCmd = true
	asJSON := root.PersistentFlags().Bool("json", false, "write the result as JSON, for machines")
	root.AddCommand(verifyCommand(out, asJSON), whatifCommand(out, asJSON))
	return root
}

func verifyCommand(out io.Writer, asJSON *bool) *cobra.Command {
	var known expected
	var receipt string
	cmd := &cobra.Command{
		Use:   "verify ARCHIVE|URL",
		Short: "check the archive of a final contest, or the proof of a receipt",
		Long: "verify works through an archive, a file or the address of one, and computes again what it says: the root of the log from the\n" +
			"openings of all votes, the checkpoint's signature, each tile, each vote by the contest's rules, counts and board. Each\n" +
			"check is named, and says where it does not hold. It ends with 0 only if all of them hold.\n\n" +
			"An archive brings the log's key along. --key holds it to the one that was published: without it, whoever made the\n" +
			"archive could have made the key too. The same is true of the statement and --statement.\n\n" +
			"With a vote's --secret it shows what the vote is in the archive. With --receipt too, or with a receipt's link, the\n" +
			"address is that of a house, and its proof for that vote is checked.",
		Example: "  marimba verify rock-gt.tar.gz --key 'votes.example.org/rock-gt+1a2b3c4d+AX…'\n" +
			"  marimba verify https://votes.example.org/v1/contests/rock-gt/archive\n" +
			"  marimba verify 'https://votes.example.org/recibo/0193a7f0-….17#Zyc9oQz_wg_evg2wfIND3Q'",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			of := args[0]
			if at, r, secret, ok := receiptLink(of); ok {
				of, receipt, known.Secret = at, r, secret
			}
			if receipt != "" {
				proven, err := proveReceipt(cmd.Context(), of, receipt, known)
				if err != nil {
					return err
				}
				return showProven(out, proven, *asJSON)
			}
			from, err := open(cmd.Context(), of)
			if err != nil {
				return err
			}
			defer from.Close() //nolint:errcheck // it was only read
			report, _ := examine(of, from, known, nil)
			return showReport(out, report, *asJSON)
		},
	}
	f := cmd.Flags()
	f.StringVar(&known.Key, "key", "", "the log's key, as it was published")
	f.StringVar(&known.Statement, "statement", "", "SHA-256 of the final statement, as it was published")
	f.StringVar(&known.Secret, "secret", "", "the secret of a vote, which came with its receipt")
	f.StringVar(&receipt, "receipt", "", "the receipt of a vote; the address is then that of the house")
	return cmd
}
