package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"marimba/config"
	"marimba/events"
	"marimba/functions/internal/kafka"
)

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
	if err != nil || !reflect.DeepEqual(within, kafka.Reach{0: {To: 3}, 1: {To: 2}, 2: {}}) {
		t.Fatalf("reach is %v, %v", within, err)
	}
	binary(0, events.TypeCast, box()) // beyond
	binary(2, events.TypeCast, box())

	read := func(within kafka.Reach) (out []string) {
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
	if got, want := read(kafka.Reach{0: {From: 1, To: 3}, 2: {To: 1}}), []string{"0/1 foreign", "0/2 foreign", "2/0 box-5"}; !slices.Equal(got, want) {
		t.Errorf("read are %v, want %v", got, want)
	}
	if got := read(kafka.Reach{0: {From: 3, To: 3}}); got != nil {
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
	if err != nil || after[0] != (kafka.Extent{From: 2, To: 4}) {
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
