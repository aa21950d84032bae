// Package kafka is Kafka as those see it who look after the votes: how far each
// topic goes, how far each function has come, and events put into their topics
// once more. It is another client than that of the functions which a vote goes
// through, so that the books do not rest on the same code.
package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"marimba/config"
	"marimba/events"
)

// askTimeout bounds a question about offsets.
const askTimeout = 15 * time.Second

// Options are the settings of a client that Kafka knows by a name.
func Options(cfg config.Kafka, name string) ([]kgo.Opt, error) {
	options := []kgo.Opt{kgo.SeedBrokers(strings.Split(cfg.Broker, ",")...), kgo.ClientID(name)}
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

// Client asks Kafka about its topics, and writes to them. It is safe for
// concurrent use.
type Client struct {
	client *kgo.Client
	admin  *kadm.Client
}

// Open returns a client. It does not connect: each call does when it needs to, so
// a Kafka that is away is an error of the call.
func Open(cfg config.Kafka, name string) (*Client, error) {
	options, err := Options(cfg, name)
	if err != nil {
		return nil, err
	}
	// Idempotent and acknowledged by all in-sync replicas: that is its usual way.
	client, err := kgo.NewClient(append(options,
		kgo.RecordDeliveryTimeout(cfg.DeliveryTimeout),
		kgo.ProducerBatchCompression(kgo.Lz4Compression()),
	)...)
	if err != nil {
		return nil, fmt.Errorf("open Kafka: %w", err)
	}
	return &Client{client, kadm.NewClient(client)}, nil
}

// Close ends the connections.
func (c *Client) Close(context.Context) error {
	c.client.Close()
	return nil
}

// ErrThisAlone is wrapped by errors that are of one event, and not of Kafka.
var ErrThisAlone = errors.New("kafka does not take it")

// Send puts an event into the topic of its type, and returns when Kafka has it.
func (c *Client) Send(ctx context.Context, e event.Event) error {
	ce := events.KafkaHeaders(e)
	headers := make([]kgo.RecordHeader, len(ce))
	for i, h := range ce {
		headers[i] = kgo.RecordHeader{Key: h.Key, Value: h.Value}
	}
	key, _ := e.Extensions()["partitionkey"].(string)
	err := c.client.ProduceSync(ctx, &kgo.Record{
		Topic: string(events.TopicOf(e.Type())), Key: []byte(key), Value: e.Data(), Headers: headers,
	}).FirstErr()
	if errors.Is(err, kerr.MessageTooLarge) || errors.Is(err, kerr.InvalidRecord) {
		return fmt.Errorf("%w: %w", ErrThisAlone, err)
	}
	return err
}

// Reach is where a topic begins and how far it went at a moment, by partition.
type Reach map[int32]Extent

// Extent goes from the offset of the first record to that behind the last.
type Extent struct{ From, To int64 }

// Behind returns how many records within a reach are not handled yet, by
// partition; those of which all are, are not in it.
func (r Reach) Behind(committed map[int32]int64) map[int32]int64 {
	left := make(map[int32]int64)
	for partition, e := range r {
		from := max(e.From, committed[partition])
		if from < e.To {
			left[partition] = e.To - from
		}
	}
	return left
}

// Ends returns where a reach ends, by partition.
func (r Reach) Ends() map[int32]int64 {
	out := make(map[int32]int64, len(r))
	for partition, e := range r {
		out[partition] = e.To
	}
	return out
}

// Reach returns how far a topic goes now.
func (c *Client) Reach(ctx context.Context, topic events.Topic) (Reach, error) {
	return ReachOf(ctx, c.admin, topic)
}

// ReachOf returns how far a topic goes now, as any client is told.
func ReachOf(ctx context.Context, admin *kadm.Client, topic events.Topic) (Reach, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
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
	r := make(Reach)
	ends.Each(func(end kadm.ListedOffset) {
		begin, _ := begins.Lookup(string(topic), end.Partition)
		r[end.Partition] = Extent{begin.Offset, end.Offset}
	})
	return r, nil
}

// Committed returns, by partition, the offset up to which a group has handled all
// of a topic. Partitions of which it has handled nothing are not in it. A source
// notes it every few seconds, so it may be behind what was handled.
func (c *Client) Committed(ctx context.Context, group string, topic events.Topic) (map[int32]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	offsets, err := c.admin.FetchOffsets(ctx, group)
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
