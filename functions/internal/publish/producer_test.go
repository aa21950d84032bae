package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"marimba/config"
	"marimba/events"
	"marimba/knative/local/real/realtest"
)

const partitions = 8

// What is promised of a producer holds on the embedded Kafka and on Apache Kafka.
func TestProducer(t *testing.T) {
	t.Run("embedded", func(t *testing.T) { testProducer(t, fake(t).ListenAddrs()[0]) })
	t.Run("real", func(t *testing.T) {
		broker := realtest.Kafka(t).Address
		makeTopics(t, broker)
		testProducer(t, broker)
	})
}

func testProducer(t *testing.T, broker string) {
	// An event arrives as CloudEvents' Kafka binding has it, in the topic of its type
	// and under its box's key, and is there when Send returns.
	t.Run("arrives as it was", func(t *testing.T) {
		p := openProducer(t, broker)
		box := boxOf("rock")
		want := map[string]event.Event{}
		var all []event.Event
		for _, kind := range []string{events.TypeCast, events.TypeAccepted, events.TypeRefused} {
			e := box.Event(kind, "screen")
			want[string(events.TopicOf(kind))] = e
			all = append(all, e)
		}
		if err := p.Send(t.Context(), all...); err != nil {
			t.Fatal(err)
		}
		got := read(t, broker, box.ID)
		if len(got) != len(want) {
			t.Fatalf("%d records of %d events", len(got), len(want))
		}
		for _, r := range got {
			e := want[r.Topic]
			var headers []events.Header
			for _, h := range r.Headers {
				headers = append(headers, events.Header{Key: h.Key, Value: h.Value})
			}
			back, err := events.EventOfKafka(headers, r.Value)
			if err != nil {
				t.Fatal(err)
			}
			if back.String() != e.String() || !reflect.DeepEqual(back.Extensions(), e.Extensions()) || !bytes.Equal(r.Value, e.Data()) {
				t.Errorf("got\n%s\nwant\n%s", back, e)
			}
			if len(headers) != len(events.KafkaHeaders(e)) {
				t.Errorf("headers are %v", headers)
			}
		}
	})

	// However many send at once, each event is there once, and the boxes spread over
	// the partitions.
	t.Run("each once", func(t *testing.T) {
		p := openProducer(t, broker)
		const senders, each = 16, 20
		ids := make([]string, senders*each)
		var group sync.WaitGroup
		for s := range senders {
			group.Go(func() {
				for i := range each {
					box := boxOf("rock")
					ids[s*each+i] = box.ID
					if err := p.Send(t.Context(), box.Event(events.TypeCast, "ingress")); err != nil {
						t.Error(err)
					}
				}
			})
		}
		group.Wait()
		got := read(t, broker, ids...)
		seen, spread := make(map[string]int), make(map[int32]int)
		for _, r := range got {
			seen[string(r.Key)]++
			spread[r.Partition]++
		}
		if len(got) != len(ids) || len(seen) != len(ids) {
			t.Errorf("%d records of %d boxes for %d events", len(got), len(seen), len(ids))
		}
		if len(spread) < 2 {
			t.Errorf("they are all in partitions %v", spread)
		}
	})

	// What a call has left behind, when nobody waits for it any more, is sent before
	// the producer is closed.
	t.Run("close sends what is left", func(t *testing.T) {
		p := openProducer(t, broker)
		gone, leave := context.WithCancel(t.Context())
		leave()
		var ids []string
		for range 50 {
			box := boxOf("rock")
			ids = append(ids, box.ID)
			if err := p.Send(gone, box.Event(events.TypeCast, "ingress")); err != nil && !errors.Is(err, ErrUnavailable) {
				t.Error(err)
			}
		}
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if got := read(t, broker, ids...); len(got) != len(ids) {
			t.Errorf("%d records of %d events", len(got), len(ids))
		}
		if err := p.Send(t.Context(), boxOf("rock").Event(events.TypeCast, "ingress")); !errors.Is(err, ErrUnavailable) {
			t.Errorf("a closed producer: %v", err)
		}
	})

	// The largest box there can be is taken.
	t.Run("largest box", func(t *testing.T) {
		p := openProducer(t, broker)
		box := boxOf("rock")
		big := box.Votes[0]
		big.VoterKey = bytes.Repeat([]byte{7}, 400)
		for size := big.WireSize(); size < events.MaxBoxBytes; size += big.WireSize() {
			big.Index = len(box.Votes)
			box.Votes = append(box.Votes, big)
		}
		if err := p.Send(t.Context(), box.Event(events.TypeCast, "ingress")); err != nil {
			t.Fatal(err)
		}
		got := read(t, broker, box.ID)
		if len(got) != 1 || !bytes.Equal(got[0].Value, box.Marshal()) {
			t.Errorf("%d records", len(got))
		}
	})
}

// What Kafka says no to for the moment is sent again, and is there once: also if
// it was taken and only the answer was lost.
func TestProducerSendsAgain(t *testing.T) {
	for name, fault := range map[string]kfake.Fault{
		"no leader":            {Err: kerr.NotLeaderForPartition},
		"not enough replicas":  {Err: kerr.NotEnoughReplicas},
		"taken, answer lost":   {Err: kerr.RequestTimedOut},
		"taken by too few yet": {Err: kerr.NotEnoughReplicasAfterAppend},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := fake(t)
			p := openProducer(t, cluster.ListenAddrs()[0])
			fault.Keys = []kmsg.Key{kmsg.Produce}
			handle := cluster.Fault(fault)
			box := boxOf("rock")
			if err := p.Send(t.Context(), box.Event(events.TypeCast, "ingress")); err != nil {
				t.Fatal(err)
			}
			if got := read(t, cluster.ListenAddrs()[0], box.ID); handle.Hits() == 0 || len(got) != 1 {
				t.Errorf("after %d faults there are %d records", handle.Hits(), len(got))
			}
		})
	}
}

// A broker that takes a request and says nothing, as one does that has lost its
// power or its cable, is asked again while there is time.
func TestProducerDoesNotWaitForASilentBroker(t *testing.T) {
	cluster := fake(t)
	p := openProducer(t, cluster.ListenAddrs()[0])
	silent := false
	cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		silent = true
		return nil, nil, true // no answer, ever
	})
	box := boxOf("rock")
	if err := p.Send(t.Context(), box.Event(events.TypeCast, "ingress")); err != nil {
		t.Fatal(err)
	}
	if got := read(t, cluster.ListenAddrs()[0], box.ID); !silent || len(got) != 1 {
		t.Errorf("there are %d records", len(got))
	}
}

// What Kafka will not take, cannot take in time, or cannot be asked for, is an
// error that says so; the call does not wait for ever.
func TestProducerTellsWhatIsNotConfirmed(t *testing.T) {
	send := func(t *testing.T, broker string) {
		t.Helper()
		p := openProducer(t, broker)
		if err := p.Send(t.Context(), boxOf("rock").Event(events.TypeCast, "ingress")); !errors.Is(err, ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	}
	t.Parallel() // each waits for its time to be up
	for name, err := range map[string]*kerr.Error{
		"forbidden": kerr.TopicAuthorizationFailed, "too large": kerr.MessageTooLarge, "no leader": kerr.NotLeaderForPartition,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := fake(t)
			cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: err, Count: -1})
			send(t, cluster.ListenAddrs()[0])
		})
	}
	t.Run("no topic", func(t *testing.T) {
		t.Parallel()
		cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
		if err != nil {
			t.Fatal(err)
		}
		defer cluster.Close()
		send(t, cluster.ListenAddrs()[0])
	})
	t.Run("broker away", func(t *testing.T) {
		t.Parallel()
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		lis.Close()
		send(t, lis.Addr().String())
	})
	t.Run("broker silent", func(t *testing.T) {
		t.Parallel()
		lis, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, says nothing
		if err != nil {
			t.Fatal(err)
		}
		defer lis.Close()
		send(t, lis.Addr().String())
	})
}

// A producer that can only be made anew says so once, fails what it is given,
// and can be closed.
func TestProducerIsLost(t *testing.T) {
	lost := make(chan error, 8)
	p, err := Open(settingsFor(fake(t).ListenAddrs()[0]), "test", func(err error) { lost <- err })
	if err != nil {
		t.Fatal(err)
	}
	p.kafka.TestFatalError(kafka.ErrOutOfOrderSequenceNumber, "for the test")
	if err := <-lost; err == nil {
		t.Error("no reason is given")
	}
	if err := p.Send(t.Context(), boxOf("rock").Event(events.TypeCast, "ingress")); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if len(lost) > 0 {
		t.Errorf("said again: %v", <-lost)
	}
}

// Close does not wait longer than it may for a Kafka that is away, and says what
// is left.
func TestCloseIsBounded(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	lis.Close()
	p := openProducer(t, lis.Addr().String())
	gone, leave := context.WithCancel(t.Context())
	leave()
	if err := p.Send(gone, boxOf("rock").Event(events.TypeCast, "ingress")); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if err := p.Close(gone); err == nil {
		t.Error("an event is left, and nothing is said")
	}
}

// A setting that cannot be is told when the producer is opened.
func TestOpenTellsWhatCannotBe(t *testing.T) {
	cfg := settingsFor("127.0.0.1:1")
	cfg.Mechanism, cfg.Username, cfg.Password = "NONE-SUCH", "u", "p"
	if p, err := Open(cfg, "test", nil); err == nil {
		_ = p.Close(t.Context())
		t.Error("it was opened")
	}
}

// fake is an embedded Kafka with the topics of the house.
func fake(t testing.TB) *kfake.Cluster {
	t.Helper()
	var topics []string
	for _, topic := range events.Topics {
		topics = append(topics, string(topic))
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, topics...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster
}

// makeTopics makes the topics of the house where they are missing.
func makeTopics(t testing.TB, broker string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(broker))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, topic := range events.Topics {
		answer, err := kadm.NewClient(client).CreateTopic(t.Context(), partitions, 1, nil, string(topic))
		if err != nil && !errors.Is(answer.Err, kerr.TopicAlreadyExists) {
			t.Fatal(err)
		}
	}
}

// settingsFor are those of a function, but for a shorter patience. The client
// looks once a second whose time is up.
func settingsFor(broker string) config.Kafka {
	return config.Kafka{Broker: broker, DeliveryTimeout: 4 * time.Second}
}

func openProducer(t testing.TB, broker string) *Producer {
	t.Helper()
	p, err := Open(settingsFor(broker), "test", func(err error) { t.Errorf("lost: %v", err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = p.Close(ctx)
	})
	return p
}

// boxOf is a box of its own.
func boxOf(contest string) events.Box {
	at := time.Now().UTC().Truncate(time.Millisecond)
	return events.Box{
		ID: uuid.Must(uuid.NewV7()).String(), Contest: contest, Channel: events.ByHTTP,
		Votes: []events.Vote{{ID: "a", Name: "Malacates Trébol Shop", Album: "Paquetecuetes", Year: 2006, Rank: 950, At: at}},
	}
}

// read returns the records of some boxes. It reads each topic to where it ends
// now.
func read(t *testing.T, broker string, boxes ...string) []*kgo.Record {
	t.Helper()
	wanted := make(map[string]bool, len(boxes))
	for _, id := range boxes {
		wanted[id] = true
	}
	var topics []string
	for _, topic := range events.Topics {
		topics = append(topics, string(topic))
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ConsumeTopics(topics...), kgo.FetchMaxWait(100*time.Millisecond),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(t.Context(), topics...)
	if err != nil {
		t.Fatal(err)
	}
	left := make(map[string]bool) // partitions that are not read to their end
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[fmt.Sprint(o.Topic, o.Partition)] = true
		}
	})
	var found []*kgo.Record
	for len(left) > 0 {
		fetched := client.PollFetches(t.Context())
		if err := fetched.Err(); err != nil {
			t.Fatal(err)
		}
		fetched.EachRecord(func(r *kgo.Record) {
			if wanted[string(r.Key)] {
				found = append(found, r)
			}
			if end, _ := ends.Lookup(r.Topic, r.Partition); r.Offset >= end.Offset-1 {
				delete(left, fmt.Sprint(r.Topic, r.Partition))
			}
		})
	}
	return found
}
