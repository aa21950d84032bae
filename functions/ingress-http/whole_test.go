package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"marimba/events"
)

// freePort is a port that nobody listens at.
func freePort(t testing.TB) int {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close() //nolint:errcheck // it was never used
	return lis.Addr().(*net.TCPAddr).Port
}

// The function as a whole, on a Kafka: what it answers with success is in the
// topic, and it ends well when it is told to.
func TestWhole(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, string(events.VotesCast)))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	broker := cluster.ListenAddrs()[0]
	port := freePort(t)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{fmt.Sprint("PORT=", port), "KAFKA_BROKER=" + broker, "VOTER_SECRET=s", "RECEIPT_SECRET=r", fmt.Sprint("GRPC_TARGET=127.0.0.1:", freePort(t))})
	}()
	base := fmt.Sprint("http://127.0.0.1:", port)
	await(t, func() bool {
		res, err := http.Get(base + "/healthz")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	})

	receipts := map[string]bool{}
	post := func(path, media, body string, headers ...string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", media)
		for _, header := range headers {
			name, value, _ := strings.Cut(header, ": ")
			req.Header.Set(name, value)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close() //nolint:errcheck // it was only read
		text, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusAccepted {
			t.Fatalf("%s: %d %s %v", path, res.StatusCode, text, err)
		}
		r := read(t, &httptest.ResponseRecorder{Code: res.StatusCode, Body: bytes.NewBuffer(text)})
		if r.Receipt != "" {
			receipts[r.Receipt] = true
		}
		for _, row := range r.Receipts {
			receipts[row.Receipt] = true
		}
	}
	post("/v1/contests/default/votes", "application/json", vote)
	post("/v1/contests/rock-gt/votes?receipts=1", "application/x-ndjson", strings.Repeat(`{"name":"Alux","album":"Conquista","year":1982,"rank":2}`+"\n", 700))
	post("/insert", "application/json", vote)
	post("/", "application/json", vote, binary()...)

	got := map[string]bool{}
	client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ConsumeTopics(string(events.VotesCast)), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	limit, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for len(got) < len(receipts) && limit.Err() == nil {
		client.PollFetches(limit).EachRecord(func(r *kgo.Record) {
			var headers []events.Header
			for _, h := range r.Headers {
				headers = append(headers, events.Header{Key: h.Key, Value: h.Value})
			}
			e, err := events.EventOfKafka(headers, r.Value)
			if err != nil {
				t.Fatal(err)
			}
			b, err := events.BoxOf(e)
			if err != nil || e.Type() != events.TypeCast || e.Source() != "/marimba/ingress-http" {
				t.Fatalf("%v: %v", e, err)
			}
			for i := range b.Votes {
				got[events.Receipt(b.ID, i)] = true
			}
		})
	}
	if len(receipts) != 703 || len(got) != len(receipts) {
		t.Errorf("%d receipts, %d votes in the topic", len(receipts), len(got))
	}
	for receipt := range receipts {
		if !got[receipt] {
			t.Fatalf("%s is not in the topic", receipt)
		}
	}
	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Error("it does not end")
	}
}

// A client that hangs up in the middle of its body leaves nothing behind.
func TestClientHangsUp(t *testing.T) {
	h := newHouse()
	server := httptest.NewServer(h.handler)
	defer server.Close()
	for _, sent := range []int{10, smallBody + 100} {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n[%s", rock, strings.Repeat(" ", sent))
		await(t, func() bool { return len(h.room) == 1 && (sent < smallBody || len(h.large) == 1) })
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
		await(t, func() bool { return len(h.room) == 0 && len(h.large) == 0 })
	}
	if got := h.twin.cast(); got != nil {
		t.Errorf("cast %q", got)
	}
}

// await waits until something is so.
func await(t *testing.T, so func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(20 * time.Second)
	for !so() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("it does not come to be so")
		}
	}
}
