package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"marimba/knative"
	"marimba/knative/local"
)

func deliverCommand(s *settings) *cobra.Command {
	h := &house{settings: s}
	var gateway string
	cmd := &cobra.Command{
		Use:   "deliver --kafka HOST:PORT --gateway HOST:PORT",
		Short: "be the KafkaSources of a cluster that has none, until Ctrl-C",
		Long: "deliver reads the topics of a Kafka and sends their events to functions on a cluster, as the KafkaSources of\n" +
			"knative/base would: same consumer groups, retries and dead letters. It is for clusters without Knative's Kafka\n" +
			"components; where these are, it would be one more member of their groups.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return h.deliver(cmd.Context(), gateway) },
	}
	f := cmd.Flags()
	f.StringVar(&h.kafka, "kafka", "", "host:port of the Kafka")
	f.StringVar(&gateway, "gateway", "", "host:port of the gateway of cluster-local services (Kourier: service kourier-internal)")
	_ = cmd.MarkFlagRequired("kafka")
	_ = cmd.MarkFlagRequired("gateway")
	return cmd
}

func (h *house) deliver(ctx context.Context, gateway string) error {
	h.tell("Events go from %s to the functions behind %s. Ctrl-C ends it.", h.kafka, gateway)
	return local.Deliver(ctx, local.Options{
		Manifests: knative.Base, Kafka: h.kafka, OnEvent: h.onEvent,
		Log: slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}, gateway)
}
