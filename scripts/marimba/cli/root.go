package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

// settings are what all commands are told.
type settings struct {
	home string // folder of binaries and data
	data string // folder of a house's data; empty: the usual one
	json bool
	in   io.Reader // what a flag's value - stands for
	out  io.Writer // results
	err  io.Writer // all that tells how it goes on
}

func root() *cobra.Command {
	s := &settings{home: os.Getenv("MARIMBA_HOME"), in: os.Stdin, out: os.Stdout, err: os.Stderr}
	if s.home == "" {
		s.home = ".marimba"
	}
	cmd := &cobra.Command{
		Use:   "marimba",
		Short: "Live votes, each counted once",
		Long: "marimba runs the whole of Marimba on one machine, sends votes to it, and shows what became of them.\n" +
			"With --http, --grpc and --results it does the latter with a Marimba anywhere else.\n\n" +
			"Two more commands need no Marimba at all: `verify` checks the archive of a contest or the proof of a receipt, `whatif` looks\n" +
			"at sealed votes by other rules.",
		SilenceUsage: true, SilenceErrors: true,
	}
	cmd.PersistentFlags().BoolVar(&s.json, "json", false, "write the result as JSON, for machines")
	cmd.PersistentFlags().StringVar(&s.data, "data", "", "folder of the data (default .marimba/data)")
	cmd.AddCommand(demoCommand(s), upCommand(s), sendCommand(s), resultsCommand(s), logsCommand(s),
		contestCommand(s), closeCommand(s), deliverCommand(s), auditCommand(s), recountCommand(s), resealCommand(s), replayCommand(s), annulCommand(s), forgetCommand(s),
		rehearseCommand(s), secretsCommand(s), versionCommand(s))
	return cmd
}

// folder is where the house has its data.
func (s *settings) folder() string {
	if s.data != "" {
		return s.data
	}
	return filepath.Join(s.home, "data")
}

// bin is where the binaries are that scripts/marimba built.
func (s *settings) bin() string { return filepath.Join(s.home, "bin") }

// write writes a result for machines: one object on one line.
func (s *settings) write(v any) error { return json.NewEncoder(s.out).Encode(v) }

// tell says how it goes on.
func (s *settings) tell(format string, args ...any) { fmt.Fprintf(s.err, format+"\n", args...) }

// language is the one that refusals are to be worded in, by the usual variables
// of the environment.
func language() string {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if value := os.Getenv(name); value != "" {
			if strings.HasPrefix(value, "es") {
				return "es"
			}
			return "en"
		}
	}
	return "en"
}
