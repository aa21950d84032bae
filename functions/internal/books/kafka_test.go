package main

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"marimba/config"
	"marimba/events"
)

// certificate returns one of 127.0.0.1 and its key, in PEM.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret}))
}

// Each way of login is spoken, with and without TLS, and neither a wrong password
// nor a stranger's certificate gets through.
func TestBooksLogInToKafka(t *testing.T) {
	cert, key := certificate(t)
	own, err := tls.X509KeyPair([]byte(cert), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM([]byte(cert))
	secure := kfake.TLS(&tls.Config{Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients})
	for _, mechanism := range []string{"", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		for _, withTLS := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/tls %t", cmp.Or(mechanism, "none"), withTLS), func(t *testing.T) {
				options := []kfake.Opt{kfake.NumBrokers(1), kfake.SeedTopics(3, "votes.cast")}
				cfg := config.Kafka{Mechanism: mechanism}
				if mechanism != "" {
					options = append(options, kfake.EnableSASL(), kfake.Superuser(mechanism, "books", "open"))
					cfg.Username, cfg.Password = "books", "open"
				}
				if withTLS {
					options = append(options, secure)
					cfg.TLS, cfg.TLSCA, cfg.TLSCert, cfg.TLSKey = true, cert, cert, config.Secret(key)
				}
				cluster, err := kfake.NewCluster(options...)
				if err != nil {
					t.Fatal(err)
				}
				defer cluster.Close()
				cfg.Broker = cluster.ListenAddrs()[0]
				ask := func(cfg config.Kafka) (reach, error) {
					options, err := brokers(cfg)
					if err != nil {
						return nil, err
					}
					ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
					defer cancel()
					return castTopic{append(options, kgo.RequestRetries(0), kgo.RetryTimeout(time.Second))}.Reach(ctx)
				}
				if r, err := ask(cfg); err != nil || !reflect.DeepEqual(r, reach{0: {}, 1: {}, 2: {}}) {
					t.Errorf("reach is %v, %v", r, err)
				}
				if mechanism != "" {
					wrong := cfg
					wrong.Password = "wrong"
					if r, err := ask(wrong); err == nil {
						t.Errorf("with a wrong password: %v", r)
					}
				}
				if withTLS {
					stranger := cfg
					otherCert, otherKey := certificate(t)
					stranger.TLSCert, stranger.TLSKey = otherCert, config.Secret(otherKey)
					if r, err := ask(stranger); err == nil {
						t.Errorf("with a stranger's certificate: %v", r)
					}
					stranger.TLSKey = config.Secret(key)
					if _, err := brokers(stranger); err == nil {
						t.Error("a certificate is taken with another's key")
					}
				}
			})
		}
	}
}

// Records are those within the reach, no more and no less, whatever they hold:
// boxes in binary and in structured mode, and what is none of ours.
func TestRecordsWithinAReach(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, "votes.cast"))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	options, err := brokers(config.Kafka{Broker: cluster.ListenAddrs()[0]})
	if err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(append(options, kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	h := &house{t: t}
	put := func(partition int32, value []byte, headers ...kgo.RecordHeader) {
		t.Helper()
		rec := &kgo.Record{Topic: "votes.cast", Partition: partition, Value: value, Headers: headers}
		if err := client.ProduceSync(t.Context(), rec).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	binary := func(partition int32, kind string, b events.Box) {
		t.Helper()
		e := b.Event(kind, "ingress-http")
		var headers []kgo.RecordHeader
		for _, h := range events.KafkaHeaders(e) {
			headers = append(headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
		}
		put(partition, e.Data(), headers...)
	}
	box := func() events.Box { return h.box("free", events.ByHTTP, events.Vote{Name: "La Tona"}) }
	binary(0, events.TypeCast, box())
	e := box().Event(events.TypeCast, "ingress-http")
	e.DataBase64 = true
	structured, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	put(1, structured, kgo.RecordHeader{Key: "Content-Type", Value: []byte("application/cloudevents+json; charset=UTF-8")})
	put(0, []byte("poison"))
	put(1, []byte("{"), kgo.RecordHeader{Key: "content-type", Value: []byte("application/cloudevents+json")})
	binary(0, events.TypeAccepted, box()) // in the wrong topic
	topic := castTopic{options}
	within, err := topic.Reach(t.Context())
	if err != nil || !reflect.DeepEqual(within, reach{0: {0, 3}, 1: {0, 2}, 2: {0, 0}}) {
		t.Fatalf("reach is %v, %v", within, err)
	}
	binary(0, events.TypeCast, box()) // beyond
	binary(2, events.TypeCast, box())

	read := func(within reach) (out []string) {
		t.Helper()
		for rec, err := range topic.Records(t.Context(), within) {
			if err != nil {
				t.Fatal(err)
			}
			what := rec.box.ID
			if rec.foreign != nil {
				what = "foreign"
			}
			out = append(out, fmt.Sprintf("%d/%d %s", rec.partition, rec.offset, what))
		}
		slices.Sort(out)
		return out
	}
	if got, want := read(within), []string{"0/0 box-1", "0/1 foreign", "0/2 foreign", "1/0 box-2", "1/1 foreign"}; !slices.Equal(got, want) {
		t.Errorf("read are %v, want %v", got, want)
	}
	if got, want := read(reach{0: {1, 3}, 2: {0, 1}}), []string{"0/1 foreign", "0/2 foreign", "2/0 box-5"}; !slices.Equal(got, want) {
		t.Errorf("read are %v, want %v", got, want)
	}
	if got := read(reach{0: {3, 3}}); got != nil {
		t.Errorf("read of nothing are %v", got)
	}
	for range topic.Records(t.Context(), within) {
		break // reading may end early
	}

	// What is cut off at the beginning is told by the reach, and not passed over.
	admin := kadm.NewClient(client)
	cut := kadm.Offsets{}
	cut.Add(kadm.Offset{Topic: "votes.cast", Partition: 0, At: 2})
	if _, err := admin.DeleteRecords(t.Context(), cut); err != nil {
		t.Fatal(err)
	}
	after, err := topic.Reach(t.Context())
	if err != nil || after[0] != (extent{2, 4}) {
		t.Errorf("reach is %v, %v", after, err)
	}
	ended := false
	for _, err := range topic.Records(t.Context(), within) {
		ended = err != nil
	}
	if !ended {
		t.Error("records that are gone are passed over")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range topic.Records(ctx, after) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
	}
}
