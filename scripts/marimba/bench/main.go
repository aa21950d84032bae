// Command bench measures how fast Marimba is and what that costs, on Apache Kafka,
// redis-server and FerretDB, beside the floors that it is built on, and fails if the
// books do not balance. scripts/marimba builds and starts it:
// `go run ./scripts/marimba bench`.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := root().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// asked is what is asked for.
type asked struct {
	plan   plan
	quick  bool
	out    string
	answer string
	json   bool
	keep   bool

	profile string
}

func root() *cobra.Command {
	a := &asked{}
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "measure how fast Marimba is, and what a vote costs",
		Long: "bench needs what scripts/test sets up: java, redis-server, and Kafka's jars (scripts/kafka/fetch). It casts votes by every\n" +
			"path, in closed and open loops, up to Kafka and the whole way, beside servers that do nothing, the raw parts, and a\n" +
			"pipeline that takes one vote at a time. The books are drawn up after each round; if they do not balance it fails.\n" +
			"A full run takes long, and wants a machine that does nothing else.",
		Args: cobra.MaximumNArgs(1), // its own name
		RunE: func(cmd *cobra.Command, _ []string) error { return a.run(cmd) },

		SilenceUsage: true, SilenceErrors: true,
	}
	f := cmd.Flags()
	f.BoolVar(&a.quick, "quick", false, "little of everything: whether it runs and balances, no figures to be told")
	f.StringVar(&a.out, "out", "", "a folder for report.json, report.md, report.html and answer.md (default: report on standard output alone)")
	f.StringVar(&a.answer, "from", "", "make the pages of a report.json again, and measure nothing")
	f.BoolVar(&a.json, "json", false, "write the report as JSON")
	f.BoolVar(&a.keep, "keep", false, "keep the folder of data and logs")
	f.StringVar(&a.profile, "profile", "", "a folder for CPU profiles of the functions (go tool pprof); they cost some speed")
	p := &a.plan
	f.IntVar(&p.Rounds, "rounds", full.Rounds, "how often each step is done")
	f.Uint64Var(&p.Seed, "seed", full.Seed, "of the order of steps")
	f.IntVar(&p.AtOnce, "in-flight", full.AtOnce, "requests on their way in a closed loop; an eighth where they have many votes")
	f.IntVar(&p.Batch, "batch", full.Batch, "votes in a full batch or bulk")
	f.IntVar(&p.DoorVotes, "door-votes", full.DoorVotes, "votes of a step up to Kafka, one a request")
	f.IntVar(&p.DoorBulk, "door-bulk", full.DoorBulk, "the same, many a request")
	f.IntVar(&p.Votes, "votes", full.Votes, "votes of a step the whole way, one a request")
	f.IntVar(&p.Bulk, "bulk", full.Bulk, "the same, many a request")
	f.IntVar(&p.Floor, "floor", full.Floor, "votes of a floor")
	f.IntVar(&p.OneByOne, "one-by-one", full.OneByOne, "votes of the pipeline that takes one at a time")
	f.Float64Var(&p.Rate, "rate", full.Rate, "votes a second in an open loop, one a request")
	f.Float64Var(&p.BulkRate, "bulk-rate", full.BulkRate, "the same, many a request")
	f.IntVar(&p.Lone, "lone", full.Lone, "lone votes on a warm house")
	f.IntVar(&p.Zero, "zero", full.Zero, "votes to a house that is asleep")
	f.IntVar(&p.Flat, "flat", full.Flat, "votes up to which the cost of one is followed; 0: not at all")
	f.StringVar(&p.Only, "only", "", "a regular expression of the steps to do, by name, such as '^grpc-unary$'; targets of others stay unknown")

	cmd.AddCommand(&cobra.Command{
		Use: "work", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return serveWorker(cmd.Context()) },
	}, &cobra.Command{
		Use: "serve NAME", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return serve(cmd.Context(), args[0]) },
	})
	return cmd
}

func (a *asked) run(cmd *cobra.Command) error {
	if a.answer != "" {
		text, err := os.ReadFile(a.answer)
		if err != nil {
			return err
		}
		var r report
		if err := json.Unmarshal(text, &r); err != nil {
			return fmt.Errorf("read %s: %w", a.answer, err)
		}
		return a.write(r)
	}
	a.settle(cmd)
	if err := a.plan.check(); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "marimba-bench-")
	if err != nil {
		return err
	}
	tell("data and logs are in %s", folder)
	if err := a.profiles(); err != nil {
		return err
	}
	began := time.Now()
	r := &run{plan: a.plan, bin: filepath.Dir(self), folder: folder, id: fmt.Sprintf("b%x", began.Unix())}
	err = r.all(cmd.Context())
	if !a.keep && (err == nil || errors.Is(err, context.Canceled)) {
		err = errors.Join(err, os.RemoveAll(folder))
	}
	if err != nil {
		return err
	}
	done, err := r.report("go run ./scripts/marimba "+strings.Join(os.Args[1:], " "), began)
	if err != nil {
		return err
	}
	return a.write(done)
}

// profiles has every function that is started leave a profile in a folder.
func (a *asked) profiles() error {
	if a.profile == "" {
		return nil
	}
	folder, err := filepath.Abs(a.profile)
	if err == nil {
		err = os.MkdirAll(folder, 0o755)
	}
	if err != nil {
		return err
	}
	return os.Setenv("CPU_PROFILE", folder)
}

// settle takes the quick plan, but for what was asked for by itself.
func (a *asked) settle(cmd *cobra.Command) {
	if !a.quick {
		return
	}
	given := a.plan
	a.plan = quick
	for name, set := range map[string]func(){
		"rounds": func() { a.plan.Rounds = given.Rounds }, "seed": func() { a.plan.Seed = given.Seed },
		"in-flight": func() { a.plan.AtOnce = given.AtOnce }, "batch": func() { a.plan.Batch = given.Batch },
		"door-votes": func() { a.plan.DoorVotes = given.DoorVotes }, "door-bulk": func() { a.plan.DoorBulk = given.DoorBulk },
		"votes": func() { a.plan.Votes = given.Votes }, "bulk": func() { a.plan.Bulk = given.Bulk },
		"floor": func() { a.plan.Floor = given.Floor }, "one-by-one": func() { a.plan.OneByOne = given.OneByOne },
		"rate": func() { a.plan.Rate = given.Rate }, "bulk-rate": func() { a.plan.BulkRate = given.BulkRate },
		"lone": func() { a.plan.Lone = given.Lone }, "zero": func() { a.plan.Zero = given.Zero }, "flat": func() { a.plan.Flat = given.Flat },
		"only": func() { a.plan.Only = given.Only },
	} {
		if cmd.Flags().Changed(name) {
			set()
		}
	}
}

// write writes the report in every form that was asked for.
func (a *asked) write(r report) error {
	var answer []section
	var err error
	if r.Plan.Only == "" { // else what is compared may not be there
		if answer, err = r.answer(); err != nil {
			return err
		}
	}
	sections, err := r.sections()
	if err != nil {
		return err
	}
	if a.out != "" {
		var html bytes.Buffer
		text, err := json.MarshalIndent(r, "", "  ")
		if err == nil {
			err = page(&html, append(sections, answer...))
		}
		if err == nil {
			err = os.MkdirAll(a.out, 0o755)
		}
		if err != nil {
			return err
		}
		for name, of := range map[string][]byte{
			"report.json": append(text, '\n'), "report.md": []byte(markdown(sections)), "report.html": html.Bytes(), "answer.md": []byte(markdown(answer)),
		} {
			if err := os.WriteFile(filepath.Join(a.out, name), of, 0o644); err != nil {
				return err
			}
		}
	}
	switch {
	case a.json:
		return json.NewEncoder(os.Stdout).Encode(r)
	case a.out == "":
		_, err = fmt.Print(markdown(append(sections, answer...)))
	}
	return err
}
