//go:build unix

package local

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"marimba/knative/local/real"
	"marimba/knative/local/real/realtest"
)

// What a KafkaSource promises holds on the embedded Kafka and on Apache Kafka:
// the same suite passes on both.
func TestSourcesOnEmbeddedAndReal(t *testing.T) {
	t.Parallel() // it waits more than it works
	t.Run("embedded", func(t *testing.T) { suite(t, ground{}) })
	t.Run("real", func(t *testing.T) {
		kafka, redis, mongo := realtest.Kafka(t), realtest.Redis(t), realtest.FerretDB(t)
		g := ground{kafka: kafka, Addresses: Addresses{
			Kafka: kafka.Address, Redis: "redis://" + redis.Address, RedisPassword: redis.Password,
			Mongo: "mongodb://" + mongo.Address + "/",
		}}
		suite(t, g)
		t.Run("broker killed", func(t *testing.T) { brokerKilled(t, g) })
	})
}

func suite(t *testing.T, g ground) {
	for name, test := range map[string]func(*testing.T, ground){
		"topics": topicsMade, "delivered": delivered, "retried": retried,
		"dead letter": deadLettered, "offsets": offsetsResumed,
	} {
		t.Run(name, func(t *testing.T) { test(t, g) })
	}
}

// ground is what a system stands on: nothing, or real parts.
type ground struct {
	Addresses
	kafka *real.Part
}

// line is a system with one source, which brings the events of one topic to one
// puppet. Its names are the test's own, as tests share a broker.
type line struct {
	*stageSet
	ground    ground
	data      string
	topic     string
	manifests string
}

// lineOn starts a line. It retries twice, and then gives up.
func lineOn(t *testing.T, g ground, play http.HandlerFunc) *line {
	name := strings.ToLower(strings.NewReplacer("/", ".", "_", ".").Replace(t.Name()))
	l := &line{ground: g, data: t.TempDir(), topic: name, manifests: fmt.Sprintf(`
kind: KafkaTopic
metadata: {name: %[1]s}
spec: {partitions: 4, replicas: 3, config: {min.insync.replicas: "2", retention.ms: "-1"}}
---
kind: KafkaTopic
metadata: {name: %[1]s.dead}
spec: {partitions: 1, replicas: 1}
---
kind: KafkaSink
metadata: {name: dead}
spec: {topic: %[1]s.dead, contentMode: binary}
---
kind: KafkaSource
metadata: {name: line, namespace: test}
spec:
  consumerGroup: %[1]s
  topics: [%[1]s]
  initialOffset: earliest
  ordering: unordered
  delivery:
    timeout: PT10S
    retry: 2
    backoffPolicy: linear
    backoffDelay: PT0.1S
    deadLetterSink: {ref: {kind: KafkaSink, name: dead}}
  sink: {ref: {kind: Service, name: stage}}
`, name) + serviceYAML("stage", nil)}
	l.open(t, play)
	return l
}

// open starts the line's system on its data.
func (l *line) open(t *testing.T, play http.HandlerFunc) {
	t.Helper()
	strings := httptest.NewServer(play)
	t.Cleanup(strings.Close)
	l.stageSet = &stageSet{t: t, events: make(chan Event, 10_000)}
	var err error
	l.System, err = Start(t.Context(), Options{
		Manifests: fstest.MapFS{"all.yaml": {Data: []byte(l.manifests)}},
		Data:      l.data, Bin: binaries(t), Listen: "127.0.0.1:0",
		Kafka: l.ground.Kafka, Redis: l.ground.Redis, RedisPassword: l.ground.RedisPassword, Mongo: l.ground.Mongo,
		// Built with -race, a puppet would take a second to end.
		Env:     map[string]string{"STRINGS": strings.URL, "GORACE": "atexit_sleep_ms=0"},
		OnEvent: func(e Event) { l.events <- e },
		Log:     testLog(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.close(t) })
}

func (l *line) close(t *testing.T) {
	t.Helper()
	if err := l.Stop(context.Background()); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func (l *line) client(t *testing.T, more ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append(more, kgo.SeedBrokers(l.Addresses().Kafka))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// produce puts events on the line's topic, from number first on.
func (l *line) produce(t *testing.T, first, n int) {
	t.Helper()
	records := make([]*kgo.Record, n)
	for i := range records {
		id := fmt.Sprint(first + i)
		records[i] = &kgo.Record{Topic: l.topic, Key: []byte(id), Value: []byte("data " + id), Headers: []kgo.RecordHeader{
			{Key: "ce_specversion", Value: []byte("1.0")}, {Key: "ce_id", Value: []byte(id)},
			{Key: "ce_source", Value: []byte("/test")}, {Key: "ce_type", Value: []byte("test.v1")},
			{Key: "content-type", Value: []byte("text/plain")},
		}}
	}
	client := l.client(t)
	defer client.Close() // now, as it would wait long for a broker that is gone
	if err := client.ProduceSync(within(t), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// within bounds a wait.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// tray counts the deliveries of each event, and tells when there are enough
// different ones.
type tray struct {
	mu     sync.Mutex
	seen   map[string]int
	enough map[int]chan struct{}
}

func newTray() *tray { return &tray{seen: map[string]int{}, enough: map[int]chan struct{}{}} }

// note counts a delivery, and returns which of its event it is, from 1 on.
func (s *tray) note(id string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[id]++
	if done := s.enough[len(s.seen)]; done != nil && s.seen[id] == 1 {
		close(done)
	}
	return s.seen[id]
}

// of is closed when the tray has seen n different events.
func (s *tray) of(n int) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	done := s.enough[n]
	if done == nil {
		done = make(chan struct{})
		s.enough[n] = done
		if len(s.seen) >= n {
			close(done)
		}
	}
	return done
}

func (s *tray) await(t *testing.T, n int) {
	t.Helper()
	select {
	case <-s.of(n):
	case <-within(t).Done():
		s.mu.Lock()
		defer s.mu.Unlock()
		t.Fatalf("%d of %d events: %v", len(s.seen), n, slices.Sorted(maps.Keys(s.seen)))
	}
}

func (s *tray) all() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.seen)
}

// Topics are made as the manifest has them. With one broker there is one
// replica, and what could then never be met is left out.
func topicsMade(t *testing.T, g ground) {
	l := lineOn(t, g, http.NotFound)
	admin := kadm.NewClient(l.client(t))
	topics, err := admin.ListTopics(within(t), l.topic)
	if err != nil {
		t.Fatal(err)
	}
	if made := topics[l.topic]; len(made.Partitions) != 4 || made.Partitions.NumReplicas() != 1 {
		t.Errorf("%d partitions, %d replicas", len(made.Partitions), made.Partitions.NumReplicas())
	}
	configs, err := admin.DescribeTopicConfigs(within(t), l.topic)
	if err != nil {
		t.Fatal(err)
	}
	config, err := configs.On(l.topic, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, c := range config.Configs {
		got[c.Key] = c.MaybeValue()
	}
	if got["retention.ms"] != "-1" || got["min.insync.replicas"] == "2" {
		t.Errorf("retention.ms %q, min.insync.replicas %q", got["retention.ms"], got["min.insync.replicas"])
	}
}

// Each event arrives once while nothing fails, whole, as a binary CloudEvent
// that tells its place in Kafka.
func delivered(t *testing.T, g ground) {
	events, places := newTray(), newTray()
	l := lineOn(t, g, func(w http.ResponseWriter, r *http.Request) {
		id, body := r.Header.Get("Ce-Id"), new(strings.Builder)
		_, err := io.Copy(body, r.Body)
		if err != nil || body.String() != "data "+id || r.Header.Get("Ce-Type") != "test.v1" ||
			r.Header.Get("Content-Type") != "text/plain" {
			t.Errorf("event %v %q", r.Header, body)
		}
		places.note(r.Header.Get("Ce-Knativekafkapartition") + "/" + r.Header.Get("Ce-Knativekafkaoffset"))
		events.note(id)
	})
	const n = 300
	l.produce(t, 0, n)
	events.await(t, n)
	for id, times := range events.all() {
		if times != 1 {
			t.Errorf("event %s: %d times", id, times)
		}
	}
	if len(places.all()) != n {
		t.Errorf("%d places of %d events", len(places.all()), n)
	}
}

// An event that the function could not take comes again until it is taken.
func retried(t *testing.T, g ground) {
	events := newTray()
	taken := make(chan string, 10)
	l := lineOn(t, g, func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get("Ce-Id")
		if events.note(id) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		taken <- id
	})
	l.produce(t, 0, 3)
	for range 3 {
		select {
		case <-taken:
		case <-within(t).Done():
			t.Fatalf("not taken; attempts: %v", events.all())
		}
	}
	if f := l.Figures()["stage"]; f.Retries != 6 || f.Dead != 0 {
		t.Errorf("figures %+v, want 6 retries", f)
	}
}

// Poison goes to the dead letter topic at once, and what fails for too long
// after its retries; both with the reason, and the others are not held up.
func deadLettered(t *testing.T, g ground) {
	events := newTray()
	l := lineOn(t, g, func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get("Ce-Id")
		events.note(id)
		switch id {
		case "1":
			w.Header().Set("Kne-Code", "box_broken")
			http.Error(w, "poison", http.StatusBadRequest)
		case "2":
			http.Error(w, "no store", http.StatusServiceUnavailable)
		}
	})
	l.produce(t, 0, 10)
	events.await(t, 10)
	reader := l.client(t, kgo.ConsumeTopics(l.topic+".dead"))
	dead := map[string]map[string]string{}
	for ctx := within(t); len(dead) < 2; {
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("%v; dead letters: %v", err, dead)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			headers := map[string]string{"data": string(r.Value)}
			for _, h := range r.Headers {
				headers[h.Key] = string(h.Value)
			}
			dead[headers["ce_id"]] = headers
		})
	}
	for id, want := range map[string][3]string{"1": {"400", "poison\n", "box_broken"}, "2": {"503", "no store\n", ""}} {
		h := dead[id]
		said, err := base64.StdEncoding.DecodeString(h["ce_knativeerrordata"])
		if got := [3]string{h["ce_knativeerrorcode"], string(said), h["ce_code"]}; err != nil || got != want {
			t.Errorf("dead letter %s: %q, want %q", id, got, want)
		}
		if h["data"] != "data "+id || h["content-type"] != "text/plain" || h["ce_knativeerrordest"] == "" {
			t.Errorf("dead letter %s: %v", id, h)
		}
	}
	if all := events.all(); all["1"] != 1 || all["2"] != 3 {
		t.Errorf("attempts: %d of poison, %d of what failed; want 1 and 3", all["1"], all["2"])
	}
}

// A system that starts again on its data goes on where it stopped: what was
// done does not come again, what came meanwhile is not lost.
func offsetsResumed(t *testing.T, g ground) {
	events := newTray()
	play := func(w http.ResponseWriter, r *http.Request) { events.note(r.Header.Get("Ce-Id")) }
	l := lineOn(t, g, play)
	l.produce(t, 0, 40)
	events.await(t, 40)
	l.close(t)
	if g.kafka != nil { // the embedded Kafka is not there meanwhile
		l.produce(t, 40, 20)
	}
	l.open(t, play)
	if g.kafka == nil {
		l.produce(t, 40, 20)
	}
	events.await(t, 60)
	for id, times := range events.all() {
		if times != 1 {
			t.Errorf("event %s: %d times", id, times)
		}
	}
}

// Kafka is killed while events are on their way, and comes back: the source
// goes on by itself, and every event arrives.
func brokerKilled(t *testing.T, g ground) {
	events, hold := newTray(), make(chan struct{})
	l := lineOn(t, g, func(w http.ResponseWriter, r *http.Request) {
		events.note(r.Header.Get("Ce-Id"))
		<-hold
	})
	l.produce(t, 0, 100)
	events.await(t, 10) // these are in the function's hands
	g.kafka.Kill()
	close(hold)
	if err := g.kafka.Start(within(t)); err != nil {
		t.Fatal(err)
	}
	l.produce(t, 100, 100)
	events.await(t, 200)
}
