package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"marimba/knative/local"
)

func upCommand(s *settings) *cobra.Command {
	h := &house{settings: s}
	cmd := &cobra.Command{
		Use:   "up",
		Short: "run all of Marimba on this machine, until Ctrl-C",
		Long: "up runs the manifests of knative/base on this machine: the functions start when something asks for them, and end\n" +
			"when they are idle. Kafka, Redis and MongoDB are embedded, unless addresses are given. What was voted stays in the\n" +
			"data folder; the counts are rebuilt from the log at each start.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return h.up(cmd.Context()) },
	}
	h.flags(cmd)
	cmd.Flags().BoolVar(&h.observed, "observe", false, "answer Prometheus, and run it if it is installed; its data stay in the data folder")
	return cmd
}

func (h *house) up(ctx context.Context) error {
	folder := h.folder()
	system, err := h.start(ctx, folder)
	if err != nil {
		return err
	}
	at := h.addresses(system)
	remove, err := at.leave(folder)
	if err != nil {
		return stopped(ctx, system, err)
	}
	defer remove()
	h.tell("Marimba is up; its data are in %s.", folder)
	h.tellURLs(system)
	h.tellObserved(system.Observed())
	h.tell("  Ctrl-C ends it.")
	if h.json {
		// Results may be kept; the file is where the secrets are.
		if err := h.write(at.open()); err != nil {
			return stopped(ctx, system, err)
		}
	}
	return stopped(ctx, system, system.Wait(ctx))
}

// stopped stops the system, and returns what went wrong first.
func stopped(ctx context.Context, system *local.System, err error) error {
	if stop := system.Stop(ctx); err == nil && stop != nil {
		err = fmt.Errorf("stop: %w", stop)
	}
	return err
}
