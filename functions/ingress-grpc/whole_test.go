package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"marimba/events"
	marimbav1 "marimba/proto/marimba/v1"
)

// The function as it is built: a vote that is answered is in Kafka, and when the
// process is told to end, an open stream does not keep it.
func TestWholeFunction(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, string(events.VotesCast)))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	port := freePort(t)
	ctx, end := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() {
		ran <- run(ctx, []string{"KAFKA_BROKER=" + cluster.ListenAddrs()[0], "VOTER_SECRET=s", "RECEIPT_SECRET=r", fmt.Sprint("PORT=", port)})
	}()
	conn, err := grpc.NewClient(fmt.Sprint("127.0.0.1:", port), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := marimbav1.NewVotesClient(conn)
	ready, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	receipt, err := client.Cast(ready, vote("Alux Nahual"), grpc.WaitForReady(true))
	if err != nil {
		t.Fatal(err)
	}

	reader, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ConsumeTopics(string(events.VotesCast)))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	fetched := reader.PollFetches(ready)
	if err := fetched.Err(); err != nil {
		t.Fatal(err)
	}
	box, err := events.UnmarshalBox(fetched.Records()[0].Value)
	if err != nil || !strings.HasPrefix(receipt.GetReceipt(), box.ID+".") || box.Votes[0].Name != "Alux Nahual" || box.Votes[0].ID != receipt.GetId() {
		t.Errorf("receipt %v of box %+v, %v", receipt, box, err)
	}

	stream, err := client.CastStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&request{Vote: vote("Alux Nahual")}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	end()
	_, err = stream.Recv()
	endedAs(t, err)
	if err := <-ran; err != nil {
		t.Errorf("the function ends with %v", err)
	}
}

// freePort is a port that nobody listens on.
func freePort(t *testing.T) int {
	t.Helper()
	lis, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	return lis.Addr().(*net.TCPAddr).Port
}
