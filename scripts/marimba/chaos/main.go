// Command chaos holds Marimba to its promise while things break: it runs all of
// it on Apache Kafka, redis-server and FerretDB, casts votes steadily, makes one
// trouble in each round, and audits the books after it. scripts/marimba builds and
// starts it: `go run ./scripts/marimba chaos`.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := root().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

// suite is what is asked for.
type suite struct {
	rounds int
	rate   int
	length time.Duration
	seed   uint64
	only   string
	report string
	json   bool
	keep   bool
}

func root() *cobra.Command {
	s := &suite{}
	cmd := &cobra.Command{
		Use:   "chaos",
		Short: "break things while votes are cast, and see whether the books balance",
		Long: "chaos needs what scripts/test sets up: java, redis-server, and Kafka's jars (scripts/kafka/fetch). The seed decides which\n" +
			"troubles come in which order, and what is cast; the same seed does the same again, as far as time lets it.",
		Args: cobra.MaximumNArgs(1), // its own name
		RunE: func(cmd *cobra.Command, _ []string) error { return s.run(cmd.Context()) },

		SilenceUsage: true, SilenceErrors: true,
	}
	f := cmd.Flags()
	f.IntVar(&s.rounds, "rounds", 60, "how many rounds")
	f.IntVar(&s.rate, "rate", 2000, "votes a second")
	f.DurationVar(&s.length, "length", 6*time.Second, "how long votes are cast in a round")
	f.Uint64Var(&s.seed, "seed", 0, "the seed (default: another each time)")
	f.StringVar(&s.only, "only", "", "a pattern of the troubles to make (default: all)")
	f.StringVar(&s.report, "report", "", "a file for the report, in Markdown")
	f.BoolVar(&s.json, "json", false, "write the result as JSON")
	f.BoolVar(&s.keep, "keep", false, "keep the folder of data and logs")
	return cmd
}

func (s *suite) run(ctx context.Context) error {
	if s.rounds < 1 || s.rate < 1 || s.length <= 0 {
		return errors.New("--rounds, --rate and --length must be more than nothing")
	}
	if s.seed == 0 {
		s.seed = rand.Uint64N(1_000_000) + 1
	}
	only, err := regexp.Compile(s.only)
	if err != nil {
		return fmt.Errorf("--only: %w", err)
	}
	dice := rand.New(rand.NewPCG(s.seed, s.seed))
	order, err := draw(dice, s.rounds, only)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "marimba-chaos-")
	if err != nil {
		return err
	}
	w, err := open(ctx, filepath.Dir(self), folder, dice)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "seed %d; data and logs are in %s\n", s.seed, folder)
	result, err := s.all(ctx, w, order)
	err = errors.Join(err, w.close())
	if err == nil && !s.keep {
		err = os.RemoveAll(folder)
	}
	if s.report != "" {
		err = errors.Join(err, os.WriteFile(s.report, []byte(result.markdown()), 0o644))
	}
	if s.json {
		err = errors.Join(err, json.NewEncoder(os.Stdout).Encode(result))
	}
	return err
}
