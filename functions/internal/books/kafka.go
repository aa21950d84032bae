package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"marimba/config"
	"marimba/events"
	"marimba/functions/internal/kafka"
)

// clientName is what Kafka knows books by.
const clientName = "marimba-books"

// Bounds of the reading of a topic. What is fetched and not yet read is what
// books holds of a topic, however long that is.
const (
	noRecord   = 30 * time.Second // without one more record, the reading of a topic has failed
	fetchBytes = 4 << 20
	pollAtMost = 500
)

// castRecord is a record of votes.cast.
type castRecord struct {
	partition int32
	offset    int64
	value     []byte
	box       events.Box
	foreign   error // why it is no box of ours; nil: it is one
}

// castTopic is topic votes.cast, as it is in Kafka.
type castTopic struct{ options []kgo.Opt }

// brokers are the settings of a client.
func brokers(cfg config.Kafka) ([]kgo.Opt, error) { return kafka.Options(cfg, clientName) }

// Reach returns how far the topic goes now.
func (t castTopic) Reach(ctx context.Context) (kafka.Reach, error) {
	client, err := kgo.NewClient(t.options...)
	if err != nil {
		return nil, fmt.Errorf("open Kafka: %w", err)
	}
	defer client.Close()
	return kafka.ReachOf(ctx, kadm.NewClient(client), events.VotesCast)
}

// Records returns each record within a reach, those of one partition in their
// order. After an error it ends.
func (t castTopic) Records(ctx context.Context, within kafka.Reach) iter.Seq2[castRecord, error] {
	return func(yield func(castRecord, error) bool) {
		from, left := make(map[int32]kgo.Offset), make(map[int32]bool)
		for partition, e := range within {
			if e.From < e.To {
				from[partition], left[partition] = kgo.NewOffset().At(e.From), true
			}
		}
		if len(left) == 0 {
			return
		}
		client, err := kgo.NewClient(append([]kgo.Opt{
			kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{string(events.VotesCast): from}),
			kgo.ConsumeResetOffset(kgo.NoResetOffset()), // what is gone is an error
			kgo.KeepControlRecords(), // they too have offsets
			kgo.FetchMaxBytes(fetchBytes),
			kgo.FetchMaxPartitionBytes(fetchBytes),
			kgo.MaxConcurrentFetches(1),
		}, t.options...)...)
		if err != nil {
			yield(castRecord{}, fmt.Errorf("open Kafka: %w", err))
			return
		}
		defer client.Close()
		for len(left) > 0 {
			records, err := poll(ctx, client)
			if err != nil {
				yield(castRecord{}, fmt.Errorf("read %s, of which %d partitions are left: %w", events.VotesCast, len(left), err))
				return
			}
			for _, rec := range records {
				end := within[rec.Partition].To
				if rec.Offset >= end-1 && left[rec.Partition] {
					delete(left, rec.Partition)
					client.PauseFetchPartitions(map[string][]int32{rec.Topic: {rec.Partition}})
				}
				if rec.Offset < end && !rec.Attrs.IsControl() && !yield(castRecordOf(rec), nil) {
					return
				}
			}
		}
	}
}

// poll returns the next records, some at least.
func poll(ctx context.Context, client *kgo.Client) ([]*kgo.Record, error) {
	limit, cancel := context.WithTimeout(ctx, noRecord)
	defer cancel()
	fetches := client.PollRecords(limit, pollAtMost)
	if err := fetches.Err(); err != nil {
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			return nil, fmt.Errorf("no record came within %s", noRecord)
		}
		return nil, err
	}
	return fetches.Records(), nil
}

func castRecordOf(rec *kgo.Record) castRecord {
	r := castRecord{partition: rec.Partition, offset: rec.Offset, value: rec.Value}
	e, err := eventOf(rec)
	if err == nil && e.Type() != events.TypeCast {
		err = fmt.Errorf("event type %q", e.Type())
	}
	if err == nil {
		r.box, err = events.BoxOf(e)
	}
	r.foreign = err
	return r
}

// eventOf returns the event of a record in binary or structured mode: a source
// takes both.
func eventOf(rec *kgo.Record) (event.Event, error) {
	headers := make([]events.Header, len(rec.Headers))
	for i, h := range rec.Headers {
		if strings.EqualFold(h.Key, "content-type") && strings.HasPrefix(string(h.Value), event.ApplicationCloudEventsJSON) {
			var e event.Event
			err := json.Unmarshal(rec.Value, &e)
			return e, err
		}
		headers[i] = events.Header{Key: h.Key, Value: h.Value}
	}
	return events.EventOfKafka(headers, rec.Value)
}
