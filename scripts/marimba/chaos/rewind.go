package main

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"marimba/events"
)

// rewound is how many events of each partition are delivered again, at most.
const rewound = 50

// leaveTimeout bounds the wait until the members of a house that was stopped have
// left: they keep their place for a session, 10 s, in case they come back.
const leaveTimeout = 30 * time.Second

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
		group := events.GroupOf(route.Function)
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
		if err := whenLeft(ctx, func() error { return admin.CommitAllOffsets(ctx, group, to) }); err != nil {
			return 0, err
		}
	}
	return back, nil
}

// whenLeft commits once the group has no members: as long as it has some, the
// broker takes commits of theirs only.
func whenLeft(ctx context.Context, commit func() error) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := commit()
		if err != nil && !errors.Is(err, kerr.UnknownMemberID) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(backoff.NewConstantBackOff(500*time.Millisecond)), backoff.WithMaxElapsedTime(leaveTimeout))
	return err
}
