package main

import (
	"context"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"marimba/events"
)

// rewound is how many events of each partition are delivered again.
const rewound = 200

// rewind puts the groups of all sources back by some events, and returns by how
// many. No member of them may run.
func rewind(ctx context.Context, broker string) (int64, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(broker))
	if err != nil {
		return 0, err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	var back int64
	for _, route := range events.Routes {
		if len(route.Reads) == 0 {
			continue
		}
		group := "marimba-" + route.Function
		committed, err := admin.FetchOffsets(ctx, group)
		if err != nil {
			return 0, err
		}
		to := make(kadm.Offsets)
		committed.Each(func(o kadm.OffsetResponse) {
			if o.At > 0 {
				at := max(0, o.At-rewound)
				back += o.At - at
				to.Add(kadm.Offset{Topic: o.Topic, Partition: o.Partition, At: at, LeaderEpoch: -1})
			}
		})
		if err := admin.CommitAllOffsets(ctx, group, to); err != nil {
			return 0, err
		}
	}
	return back, nil
}
