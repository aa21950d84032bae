package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"marimba/events"
	"marimba/scripts/marimba/secrets"
)

// keeper is a call of secrets.
type keeper struct {
	*settings
	plan secrets.Plan
	keep string
	only []string
}

func secretsCommand(s *settings) *cobra.Command {
	k := &keeper{settings: s}
	cmd := &cobra.Command{
		Use:   "secrets --overlay NAME",
		Short: "print new Secrets for a cluster, to apply",
		Long: "secrets makes passwords, keys and certificates for an overlay of knative/overlays, and prints them as Secrets; it keeps\n" +
			"them nowhere. The first time:\n\n" +
			"  marimba secrets --overlay production | kubectl create -f -\n\n" +
			"create refuses what is there already. A new VOTER_SECRET makes every voter a new one, with a new RECEIPT_SECRET receipts\n" +
			"no longer show whom their votes were for, with a new SEAL_KEY public logs go on under another signature, and new\n" +
			"passwords lock everybody out of stores that have the old ones; so later what is there is kept:\n\n" +
			"  kubectl get secrets -A -o yaml | marimba secrets --overlay production --keep - | kubectl apply --server-side -f -\n\n" +
			"(without --server-side, kubectl would write what is secret into an annotation). What is kept, what is new, and what\n" +
			"others have to make is told on standard error, without any value.",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return k.print() },
	}
	f := cmd.Flags()
	f.StringVar(&k.plan.Overlay, "overlay", "", "the overlay: "+strings.Join(secrets.Overlays(), ", "))
	f.StringVar(&k.plan.Namespace, "namespace", "marimba", "namespace of the functions and stores")
	f.StringVar(&k.plan.Kafka, "kafka-namespace", "kafka", "namespace of Kafka")
	f.StringSliceVar(&k.plan.VoterKeys, "voter-keys", nil, "contests that get a voter key of their own, which forget can destroy; for those that nobody has voted in yet")
	f.StringVar(&k.keep, "keep", "", "file of Secrets whose values stay as they are, printed by this command or by kubectl; - is standard input")
	f.BoolVar(&k.plan.Renew, "renew", false, "make new certificates, though the kept ones are good")
	f.StringSliceVar(&k.only, "only", nil, "print these Secrets alone, by name")
	_ = cmd.MarkFlagRequired("overlay") // it is a flag: it was made above
	return cmd
}

func (k *keeper) print() error {
	for flag, namespace := range map[string]string{"namespace": k.plan.Namespace, "kafka-namespace": k.plan.Kafka} {
		if !events.IsContestID(namespace) { // which are names by the same rule
			return fmt.Errorf("--%s %q: not a name of 1 to 63 of a-z, 0-9 and inner hyphens", flag, namespace)
		}
	}
	for _, contest := range k.plan.VoterKeys {
		if !events.IsContestID(contest) {
			return fmt.Errorf("--voter-keys %q: not a contest's id", contest)
		}
	}
	if err := k.readKept(); err != nil {
		return fmt.Errorf("--keep %s: %w", k.keep, err)
	}
	k.plan.Now = time.Now()
	made, err := secrets.Make(k.plan)
	if err != nil {
		return err
	}
	var names []string
	for _, s := range made.Secrets {
		names = append(names, s.Name)
	}
	for _, name := range k.only {
		if !slices.Contains(names, name) {
			return fmt.Errorf("--only %s: the overlay has only %s", name, strings.Join(names, ", "))
		}
	}
	shown := made.Secrets
	if len(k.only) > 0 {
		shown = slices.DeleteFunc(shown, func(s secrets.Secret) bool { return !slices.Contains(k.only, s.Name) })
	}
	k.comment(made)
	if k.json {
		return secrets.WriteJSON(k.out, shown)
	}
	return secrets.WriteYAML(k.out, shown)
}

func (k *keeper) readKept() (err error) {
	in := k.in
	switch k.keep {
	case "":
		return nil
	case "-":
	default:
		file, err := os.Open(k.keep)
		if err != nil {
			return err
		}
		defer file.Close() //nolint:errcheck // it was only read
		in = file
	}
	k.plan.Kept, err = secrets.ReadKept(in)
	return err
}

// comment says what is in the set and what is not, by name.
func (k *keeper) comment(made secrets.Made) {
	if len(k.only) > 0 {
		k.tell("# Only %s of the whole set. Values that several Secrets share fit together only within one set.", strings.Join(k.only, ", "))
	}
	for _, said := range []struct {
		what string
		list []string
	}{{"kept", made.Kept}, {"new", made.New}} {
		if len(said.list) > 0 {
			k.tell("# %s: %s", said.what, strings.Join(said.list, ", "))
		}
	}
	if !made.Expires.IsZero() {
		k.tell("# The certificates expire on %s; --renew makes new ones.", made.Expires.UTC().Format(time.DateOnly))
	}
	k.tell("# Not made here:")
	for _, line := range made.Elsewhere {
		k.tell("#   %s", line)
	}
}
