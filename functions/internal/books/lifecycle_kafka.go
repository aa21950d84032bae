package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"marimba/config"
	"marimba/events"
)

// lines is how far topics go and groups have come, in Kafka.
type lines struct {
	client *kgo.Client
	admin  *kadm.Client
}

func openLines(cfg config.Kafka) (*lines, error) {
	options, err := brokers(cfg)
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return nil, fmt.Errorf("open Kafka: %w", err)
	}
	return &lines{client, kadm.NewClient(client)}, nil
}

func (l *lines) close() { l.client.Close() }

// Reach returns how far a topic goes now.
func (l *lines) Reach(ctx context.Context, topic events.Topic) (reach, error) {
	return reachOf(ctx, l.admin, topic)
}

// Committed returns, by partition, the offset up to which a group has handled all
// of a topic. Partitions of which it has handled nothing are not in it.
func (l *lines) Committed(ctx context.Context, group string, topic events.Topic) (map[int32]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, askKafka)
	defer cancel()
	offsets, err := l.admin.FetchOffsets(ctx, group)
	if errors.Is(err, kerr.GroupIDNotFound) {
		return nil, nil // it has not begun
	}
	if err == nil {
		err = offsets.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("ask how far %s is: %w", group, err)
	}
	committed := make(map[int32]int64)
	offsets.Each(func(o kadm.OffsetResponse) {
		if o.Topic == string(topic) && o.At >= 0 {
			committed[o.Partition] = o.At
		}
	})
	return committed, nil
}

// behind returns how many records within a reach are not handled yet, by
// partition; those of which all are, are not in it.
func (r reach) behind(committed map[int32]int64) map[int32]int64 {
	left := make(map[int32]int64)
	for partition, e := range r {
		from := max(e.from, committed[partition])
		if from < e.to {
			left[partition] = e.to - from
		}
	}
	return left
}

// ends returns where a reach ends, by partition.
func (r reach) ends() map[int32]int64 {
	out := make(map[int32]int64, len(r))
	for partition, e := range r {
		out[partition] = e.to
	}
	return out
}
