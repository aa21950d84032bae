// Command bury puts a box of one vote into the topic of dead letters, as a source
// does that gave up on it: bury BROKER CONTEST. It writes the vote's receipt. The
// browser tests have the pages send it again, and it is as good as any.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kgo"

	"marimba/events"
)

func main() {
	receipt, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "bury:", err)
		os.Exit(1)
	}
	fmt.Println(receipt)
}

func run(args []string) (string, error) {
	if len(args) != 2 {
		return "", errors.New("usage: bury BROKER CONTEST")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	id, err := uuid.NewV7()
	if err != nil {
		return "", err
	}
	box := events.Box{ID: id.String(), Contest: args[1], Channel: events.ByHTTP, Votes: []events.Vote{{
		ID: id.String(), Name: "Bohemia Suburbana", Album: "Sub", Year: 2001, Rank: 100, At: time.Now().UTC().Truncate(time.Millisecond),
	}}}
	e := box.Event(events.TypeCast, "ingress-http")
	e.SetExtension("knativeerrordest", "http://screen.marimba.svc.cluster.local")
	e.SetExtension("knativeerrorcode", "500")
	client, err := kgo.NewClient(kgo.SeedBrokers(args[0]))
	if err != nil {
		return "", err
	}
	defer client.Close()
	rec := &kgo.Record{Topic: string(events.VotesDead), Value: e.Data()}
	for _, h := range events.KafkaHeaders(e) {
		rec.Headers = append(rec.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
	}
	return events.Receipt(box.ID, 0), client.ProduceSync(ctx, rec).FirstErr()
}
