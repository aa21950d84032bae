// Package publish brings events to Kafka. Its promise: when a call returns
// without an error, Kafka has what was given to it, on all in-sync replicas.
package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"marimba/config"
	"marimba/events"
	"marimba/functions/internal/telemetry"
)

// ErrUnavailable is wrapped by every error of a Producer: the events may or may
// not have reached Kafka, and may be sent again.
var ErrUnavailable = errors.New("kafka did not confirm")

// Bounds of meet.
const (
	meetTimeout = time.Second
	meetAgain   = 5 * time.Millisecond
)

// queueKiB bounds what waits in the producer's memory.
const queueKiB = 16 << 10

// Producer is an idempotent Kafka producer. It may be used by many goroutines.
type Producer struct {
	kafka *kafka.Producer
	met   chan struct{} // closed when meet has ended
	done  chan struct{}
}

// Open makes a producer. It does not wait for Kafka: while Kafka is absent,
// Send fails after the delivery timeout. Lost is called, once, if the client
// ends up in a state that only a new process can leave.
func Open(cfg config.Kafka, name string, lost func(error)) (*Producer, error) {
	settings := kafka.ConfigMap{
		"bootstrap.servers":            cfg.Broker,
		"client.id":                    name,
		"acks":                         "all",
		"enable.idempotence":           true,
		"compression.type":             "lz4",
		"linger.ms":                    0, // boxes gather before they come here
		"message.timeout.ms":           int(cfg.DeliveryTimeout.Milliseconds()),
		"socket.timeout.ms":            int(cfg.DeliveryTimeout.Milliseconds() / 2), // a broker gone silent leaves time to ask again
		"retry.backoff.ms":             20,
		"retry.backoff.max.ms":         500,
		"reconnect.backoff.ms":         20,
		"reconnect.backoff.max.ms":     500,
		"queue.buffering.max.kbytes":   queueKiB,
		"queue.buffering.max.messages": 20_000,
		"allow.auto.create.topics":     false,
		"socket.nagle.disable":         true,
		"go.delivery.report.fields":    "none",
		"go.events.channel.size":       100, // a million places by default, which cost 5 ms of the start
		"go.produce.channel.size":      0,   // not used
		"log_level":                    0,   // errors come as events, and are logged as JSON
	}
	for key, value := range cfg.Security() {
		settings[key] = value
	}
	k, err := kafka.NewProducer(&settings)
	if err != nil {
		return nil, fmt.Errorf("open producer: %w", err)
	}
	p := &Producer{kafka: k, met: make(chan struct{}), done: make(chan struct{})}
	go p.watch(lost)
	go p.meet()
	return p, nil
}

// meet waits until the client speaks with a broker of the cluster, rather than
// with the address that it was given, but not for long. An event that is sent
// before waits for librdkafka's timer of 500 ms, once or twice: the query for
// its topic, with which the client would have asked for its producer's id, is
// lost when the client turns from the one to the other.
func (p *Producer) meet() {
	defer close(p.met)
	for end := time.Now().Add(meetTimeout); time.Now().Before(end); {
		m, err := p.kafka.GetMetadata(nil, false, int(time.Until(end).Milliseconds())+1)
		if err == nil && m.OriginatingBroker.ID >= 0 {
			return
		}
		time.Sleep(meetAgain)
	}
}

// watch reads the client's own errors until the producer is closed.
func (p *Producer) watch(lost func(error)) {
	defer close(p.done)
	fatal := false
	for e := range p.kafka.Events() {
		err, ok := e.(kafka.Error)
		switch {
		case !ok || fatal: // read all the same: the client waits for room
		case err.IsFatal():
			fatal = true
			lost(fmt.Errorf("producer: %w", err))
		default:
			slog.Warn("kafka client", "code", err.Code().String(), "error", err.Error())
		}
	}
}

// Send produces the events, each to the topic of its type, and waits until
// Kafka has confirmed all of them. An error wraps ErrUnavailable; some of the
// events may then be in Kafka all the same. The events must be of our types, and
// are given the trace that ctx is part of.
func (p *Producer) Send(ctx context.Context, evs ...event.Event) error {
	<-p.met                                     // which meetTimeout bounds
	reports := make(chan kafka.Event, len(evs)) // room for all: a report never waits
	began := time.Now()
	for _, e := range evs {
		telemetry.Carry(ctx, &e)
		if err := p.kafka.Produce(record(e), reports); err != nil {
			return fmt.Errorf("%w: produce: %w", ErrUnavailable, err)
		}
	}
	for range evs {
		select {
		case report := <-reports:
			m, ok := report.(*kafka.Message)
			if !ok {
				continue
			}
			telemetry.Produced(events.Topic(*m.TopicPartition.Topic), time.Since(began), m.TopicPartition.Error)
			if m.TopicPartition.Error != nil {
				return fmt.Errorf("%w: %w", ErrUnavailable, m.TopicPartition.Error)
			}
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
		}
	}
	return nil
}

func record(e event.Event) *kafka.Message {
	topic := string(events.TopicOf(e.Type()))
	ce := events.KafkaHeaders(e)
	headers := make([]kafka.Header, len(ce))
	for i, h := range ce {
		headers[i] = kafka.Header{Key: h.Key, Value: h.Value}
	}
	key, _ := e.Extensions()["partitionkey"].(string)
	return &kafka.Message{
		TopicPartition: kafka.TopicPartition{Topic: &topic, Partition: kafka.PartitionAny},
		Key:            []byte(key),
		Value:          e.Data(),
		Headers:        headers,
	}
}

// Close sends what is still queued, within ctx's deadline, and closes. Nothing
// may be sent meanwhile; to close again does nothing.
func (p *Producer) Close(ctx context.Context) error {
	if p.kafka.IsClosed() {
		return nil // to flush what is freed would crash
	}
	<-p.met
	left := 1
	for left > 0 && ctx.Err() == nil {
		left = p.kafka.Flush(100)
	}
	p.kafka.Close()
	<-p.done
	if left > 0 {
		return fmt.Errorf("close producer: %d events not confirmed", left)
	}
	return nil
}
