package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"marimba/config"
	"marimba/events"
	"marimba/functions/internal/journal"
)

// topics are Kafka's, to be written to.
type topics struct{ client *kgo.Client }

func openTopics(cfg config.Kafka) (topics, error) {
	options, err := brokers(cfg)
	if err != nil {
		return topics{}, err
	}
	// Idempotent and acknowledged by all in-sync replicas: that is its usual way.
	client, err := kgo.NewClient(append(options,
		kgo.RecordDeliveryTimeout(cfg.DeliveryTimeout),
		kgo.ProducerBatchCompression(kgo.Lz4Compression()),
	)...)
	if err != nil {
		return topics{}, fmt.Errorf("open Kafka: %w", err)
	}
	return topics{client}, nil
}

func (t topics) close() { t.client.Close() }

// errFinal keeps a letter on the shelf: its votes would move counts behind a
// result that was declared.
var errFinal = errors.New("its contest is final")

// errThisAlone is wrapped by errors that are of one event, and not of Kafka.
var errThisAlone = errors.New("kafka does not take it")

// Send puts an event into the topic of its type, and returns when Kafka has it.
func (t topics) Send(ctx context.Context, e event.Event) error {
	ce := events.KafkaHeaders(e)
	headers := make([]kgo.RecordHeader, len(ce))
	for i, h := range ce {
		headers[i] = kgo.RecordHeader{Key: h.Key, Value: h.Value}
	}
	key, _ := e.Extensions()["partitionkey"].(string)
	err := t.client.ProduceSync(ctx, &kgo.Record{
		Topic: string(events.TopicOf(e.Type())), Key: []byte(key), Value: e.Data(), Headers: headers,
	}).FirstErr()
	if errors.Is(err, kerr.MessageTooLarge) || errors.Is(err, kerr.InvalidRecord) {
		return fmt.Errorf("%w: %w", errThisAlone, err)
	}
	return err
}

type resender interface {
	Send(ctx context.Context, e event.Event) error
}

// Bounds of a replay.
const (
	sentAtOnce = 16
	faultsTold = 100
)

// replayed says what a replay did.
type replayed struct {
	Sent  int   `json:"sent"` // letters that Kafka has again
	Votes int64 `json:"votes"`
	// Again is how many of them had died again, or were replayed by another, before
	// they were marked; that is where they stand now.
	Again   int           `json:"again"`
	Skipped int           `json:"skipped"` // named, but not shelved
	Cannot  []letterFault `json:"cannot"`  // that can never be sent
	Failed  []letterFault `json:"failed"`  // that Kafka does not take, though it takes others
	More    int           `json:"more"`    // of these two kinds, not told
}

type letterFault struct {
	ID    string `json:"id"`
	Fault string `json:"fault"`
}

// fault returns an error if it did not do what was asked.
func (r replayed) fault(c choice) error {
	switch {
	case len(r.Failed) > 0:
		return fmt.Errorf("%d letters were not sent: %s: %s", len(r.Failed), r.Failed[0].ID, r.Failed[0].Fault)
	case len(r.Cannot) > 0 && len(c.ids) > 0:
		return fmt.Errorf("letter %s cannot be sent: %s", r.Cannot[0].ID, r.Cannot[0].Fault)
	}
	return nil
}

// replay sends dead letters again: the same events to the topics that they
// travelled in, and marks each when Kafka has it. It may be killed and repeated
// anywhere: what was sent and not marked is sent again, which changes nothing,
// since each step behind it may be repeated. A letter that dies again is shelved
// again, and no letter keeps another from being sent, unless Kafka is away.
func replay(ctx context.Context, shelf deadLetters, to resender, c choice, now func() time.Time) (replayed, error) {
	done := replayed{Cannot: []letterFault{}, Failed: []letterFault{}}
	// The letters are settled on before the first is sent: one that dies again is
	// not sent again by this call.
	var chosen []string
	final, err := shelf.Final(ctx)
	if err != nil {
		return done, err
	}
	err = c.each(ctx, shelf, func(d journal.DeadLetter) { chosen = append(chosen, d.ID) })
	if err != nil {
		return done, err
	}
	var mu sync.Mutex
	note := func(list *[]letterFault, id string, err error) {
		mu.Lock()
		defer mu.Unlock()
		if len(*list) == faultsTold {
			done.More++
			return
		}
		*list = append(*list, letterFault{id, err.Error()})
	}
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(sentAtOnce)
	for _, id := range chosen {
		if ctx.Err() != nil {
			break
		}
		work.Go(func() error {
			d, ok, err := shelf.Letter(ctx, id)
			if err != nil {
				return err
			}
			if !ok || d.State != journal.Shelved {
				mu.Lock()
				defer mu.Unlock()
				done.Skipped++
				return nil
			}
			e, err := eventIn(d)
			if err == nil && final[d.Contest] {
				err = errFinal
			}
			if err != nil {
				note(&done.Cannot, id, err)
				return nil
			}
			if err := to.Send(ctx, e); err != nil {
				if errors.Is(err, errThisAlone) {
					note(&done.Failed, id, err)
					return nil
				}
				return fmt.Errorf("send %s: %w", id, err)
			}
			marked, err := shelf.MarkReplayed(ctx, d, now().UTC())
			mu.Lock()
			defer mu.Unlock()
			done.Sent++
			done.Votes += d.Votes
			if err == nil && !marked {
				done.Again++
			}
			return err
		})
	}
	err = work.Wait()
	return done, err
}
