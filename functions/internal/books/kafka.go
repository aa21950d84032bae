package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"marimba/config"
	"marimba/events"
)

// Bounds of a conversation with Kafka. What is fetched and not yet read is what
// books holds of a topic, however long that is.
const (
	askKafka   = 15 * time.Second
	noRecord   = 30 * time.Second // without one more record, the reading of a topic has failed
	fetchBytes = 4 << 20
	pollAtMost = 500
)

// brokers are the settings of a client of Kafka. It is another client than that
// of the functions, so that the books do not rest on the same code.
func brokers(cfg config.Kafka) ([]kgo.Opt, error) {
	options := []kgo.Opt{kgo.SeedBrokers(strings.Split(cfg.Broker, ",")...), kgo.ClientID("marimba-books")}
	if cfg.TLS {
		secure := &tls.Config{MinVersion: tls.VersionTLS12}
		if cfg.TLSCA != "" {
			secure.RootCAs = x509.NewCertPool()
			if !secure.RootCAs.AppendCertsFromPEM([]byte(cfg.TLSCA)) {
				return nil, errors.New("KAFKA_TLS_CA: holds no certificate")
			}
		}
		if cfg.TLSCert != "" {
			pair, err := tls.X509KeyPair([]byte(cfg.TLSCert), []byte(cfg.TLSKey.Reveal()))
			if err != nil {
				return nil, errors.New("KAFKA_TLS_CERT and KAFKA_TLS_KEY are no pair") // its own words may hold the key
			}
			secure.Certificates = []tls.Certificate{pair}
		}
		options = append(options, kgo.DialTLSConfig(secure))
	}
	var login sasl.Mechanism
	switch secret := cfg.Password.Reveal(); cfg.Mechanism {
	case "PLAIN":
		login = plain.Auth{User: cfg.Username, Pass: secret}.AsMechanism()
	case "SCRAM-SHA-256":
		login = scram.Auth{User: cfg.Username, Pass: secret}.AsSha256Mechanism()
	case "SCRAM-SHA-512":
		login = scram.Auth{User: cfg.Username, Pass: secret}.AsSha512Mechanism()
	default:
		return options, nil
	}
	return append(options, kgo.SASL(login)), nil
}

// reach is where a topic begins and how far it went at a moment, by partition.
type reach map[int32]extent

// extent goes from the offset of the first record to that behind the last.
type extent struct{ from, to int64 }

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

// Reach returns how far the topic goes now.
func (t castTopic) Reach(ctx context.Context) (reach, error) {
	client, err := kgo.NewClient(t.options...)
	if err != nil {
		return nil, fmt.Errorf("open Kafka: %w", err)
	}
	defer client.Close()
	return reachOf(ctx, kadm.NewClient(client), events.VotesCast)
}

// reachOf returns how far a topic goes now.
func reachOf(ctx context.Context, admin *kadm.Client, topic events.Topic) (reach, error) {
	ctx, cancel := context.WithTimeout(ctx, askKafka)
	defer cancel()
	begins, err := admin.ListStartOffsets(ctx, string(topic))
	if err == nil {
		err = begins.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("ask where %s begins: %w", topic, err)
	}
	ends, err := admin.ListEndOffsets(ctx, string(topic))
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("ask where %s ends: %w", topic, err)
	}
	r := make(reach)
	ends.Each(func(end kadm.ListedOffset) {
		begin, _ := begins.Lookup(string(topic), end.Partition)
		r[end.Partition] = extent{begin.Offset, end.Offset}
	})
	return r, nil
}

// Records returns each record within a reach, those of one partition in their
// order. After an error it ends.
func (t castTopic) Records(ctx context.Context, within reach) iter.Seq2[castRecord, error] {
	return func(yield func(castRecord, error) bool) {
		from, left := make(map[int32]kgo.Offset), make(map[int32]bool)
		for partition, e := range within {
			if e.from < e.to {
				from[partition], left[partition] = kgo.NewOffset().At(e.from), true
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
				end := within[rec.Partition].to
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
