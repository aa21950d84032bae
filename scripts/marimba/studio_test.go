package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kgo"

	"marimba/events"
	"marimba/knative/local/real/realtest"
)

// studio is a house that is observed.
type studio struct {
	HTTP, Kafka, Prometheus string
	PID                     int
	data                    string
	redis                   *redis.Client // as Grafana
	master                  *redis.Client // as the house
}

func observed(t *testing.T) *studio {
	t.Helper()
	part := realtest.Redis(t, "user grafana on >read-only "+grafanaMay(t))
	h := &studio{data: t.TempDir()}
	_, said := standing(t, []string{"REDIS_PASSWORD=" + part.Password}, "--observe", "--data", h.data, "--redis", part.Address)
	if err := json.Unmarshal(said, h); err != nil || h.Prometheus == "" {
		t.Fatalf("up: %v %s", err, said)
	}
	h.redis = redis.NewClient(&redis.Options{Addr: part.Address, Username: "grafana", Password: "read-only", Protocol: 2, DisableIdentity: true})
	h.master = redis.NewClient(&redis.Options{Addr: part.Address, Password: part.Password, Protocol: 2})
	t.Cleanup(func() { _, _ = h.redis.Close(), h.master.Close() })
	return h
}

// grafanaMay is what Grafana's user of Redis needs, as its data source's file says.
func grafanaMay(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../config/grafana/provisioning/datasources/marimba.yaml")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`%R~marimba:\* -@all [+a-z ]+`).Find(text)
	if found == nil {
		t.Fatal("the data source's file does not say what Grafana's user may")
	}
	return string(found)
}

// vote casts until the test ends: of ten votes through each door one that is
// refused, and one that was cast before.
func (h *studio) vote(ctx context.Context) {
	beat := time.NewTicker(20 * time.Millisecond)
	defer beat.Stop()
	for n := 0; ; n++ {
		select {
		case <-beat.C:
		case <-ctx.Done():
			return
		}
		band, year, id := []string{"Alux Nahual", "Bohemia Suburbana", "La Tona"}[n%3], "1990", n/2
		switch n / 2 % 10 {
		case 3:
			year = "mil"
		case 7:
			id--
		}
		door := []string{"/v1/contests/default/votes", "/grpc"}[n%2]
		body := fmt.Sprintf(`{"name": %q, "album": "Disco %d", "year": %q, "rank": "1", "id": "v-%d-%d"}`, band, n%5, year, n%2, id)
		go h.post(ctx, door, body)
	}
}

// trace is what the clients' votes belong to.
const trace = "4bf92f3577b34da6a3ce929d0e0e4736"

// post sends a vote to a door. What the door says of it is in the figures.
func (h *studio) post(ctx context.Context, door, body string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.HTTP+door, strings.NewReader(body))
	if err != nil {
		return
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("traceparent", "00-"+trace+"-00f067aa0ba902b7-01") // the client is traced
	if resp, err := http.DefaultClient.Do(req); err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
}

// hurt makes the faults happen that panels show.
func (h *studio) hurt(t *testing.T) {
	t.Helper()
	// A vote that no door would have let in, which screen refuses; a box that is
	// poison to tally; and what is no event at all.
	vote := events.Vote{ID: "late", Name: "La Tona", Album: "El Ojo", Year: 1800, At: time.Now()}
	screened := events.Box{ID: "0190b0c0-0000-7000-8000-000000000001", Contest: events.DefaultContest, Channel: events.ByHTTP, Votes: []events.Vote{vote}}
	poison := screened
	poison.ID = "0190b0c0-0000-7000-8000-000000000002"
	poison.Votes = []events.Vote{vote}
	poison.Votes[0].Reason = events.EventMalformed // though it is said to be accepted
	h.produce(t, record(screened, events.TypeCast), record(poison, events.TypeAccepted),
		&kgo.Record{Topic: string(events.VotesCast), Value: []byte("no event")})

	// Redis has no more room for a while.
	h.configure(t, "maxmemory", "1")
	time.Sleep(3 * time.Second)
	h.configure(t, "maxmemory", "0")

	// ingress-grpc stands still, and is killed with a vote in its hands.
	pid := h.process(t, "ingress-grpc")
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

func (h *studio) configure(t *testing.T, name, value string) {
	t.Helper()
	if err := h.master.ConfigSet(t.Context(), name, value).Err(); err != nil {
		t.Fatal(err)
	}
}

// record is an event as a door would have cast it.
func record(b events.Box, kind string) *kgo.Record {
	e := b.Event(kind, "ingress-http")
	r := &kgo.Record{Topic: string(events.TopicOf(kind)), Value: e.Data()}
	for _, header := range events.KafkaHeaders(e) {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: header.Key, Value: header.Value})
	}
	return r
}

func (h *studio) produce(t *testing.T, records ...*kgo.Record) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(h.Kafka))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// process finds the process of a function of this house.
func (h *studio) process(t *testing.T, function string) int {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		programs, _ := filepath.Glob("/proc/[0-9]*/exe")
		for _, program := range programs {
			if path, _ := os.Readlink(program); filepath.Base(path) != function {
				continue
			}
			environ, _ := os.ReadFile(filepath.Join(filepath.Dir(program), "environ"))
			if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(program))); err == nil && bytes.Contains(environ, []byte(h.data)) {
				return pid
			}
		}
	}
	t.Fatalf("no process of %s was found", function)
	return 0
}
