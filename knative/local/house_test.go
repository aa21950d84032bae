//go:build unix

package local

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// lineYAML is a source from topic votes to the puppet stage.
const lineYAML = `
kind: KafkaTopic
metadata: {name: votes}
spec: {partitions: 4, replicas: 1}
---
kind: KafkaTopic
metadata: {name: dead}
spec: {partitions: 1, replicas: 1}
---
kind: KafkaSink
metadata: {name: dead}
spec: {topic: dead, contentMode: binary}
---
kind: KafkaSource
metadata: {name: line, namespace: test}
spec:
  consumerGroup: line
  topics: [votes]
  initialOffset: earliest
  ordering: unordered
  delivery: {timeout: PT10S, retry: 2, backoffPolicy: linear, backoffDelay: PT0.1S, deadLetterSink: {ref: {kind: KafkaSink, name: dead}}}
  sink: {ref: {kind: Service, name: stage}}
`

// votingYAML is a public function with a secret of its own.
const votingYAML = `
---
kind: Service
metadata: {name: web, namespace: test}
spec: {template: {spec: {containers: [{image: web, env: [{name: VOTER_SECRET, valueFrom: {secretKeyRef: {name: marimba, key: VOTER_SECRET}}}]}]}}}
`

// plan of a house: what a process of its own is to run.
type housePlan struct{ Data, Bin, Manifests, Strings string }

// houseKeys is what a house says of itself.
type houseKeys struct {
	Addresses
	URLs   []URL
	Secret string
}

func (p housePlan) options() Options {
	return Options{
		Manifests: fstest.MapFS{"all.yaml": {Data: []byte(p.Manifests)}}, Data: p.Data, Bin: p.Bin, Listen: "127.0.0.1:0",
		Env: map[string]string{"STRINGS": p.Strings},
	}
}

func keysOf(s *System) houseKeys { return houseKeys{s.Addresses(), s.URLs(), s.Secret("VOTER_SECRET")} }

// house runs a system in this process until it is killed.
func house() {
	var p housePlan
	if err := json.Unmarshal([]byte(os.Args[1]), &p); err != nil {
		panic(err)
	}
	s, err := Start(context.Background(), p.options())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(keysOf(s)); err != nil {
		panic(err)
	}
	select {}
}

// run starts a house in a process of its own.
func (p housePlan) run(t *testing.T) (*exec.Cmd, houseKeys) {
	t.Helper()
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(p.Bin, "house"), string(text))
	cmd.Stderr = testWriter{t}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	var keys houseKeys
	if err := json.NewDecoder(out).Decode(&keys); err != nil {
		t.Fatalf("the house says %v", err)
	}
	return cmd, keys
}

// startOn starts a system in this process.
func startOn(t *testing.T, o Options) *System {
	t.Helper()
	o.Log = testLog(t)
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return s
}

// A system that is killed, as by kill -9, takes all its processes with it, also
// those in the middle of a request. Started again on its data, it is at the same
// addresses with the same secrets, has every event that Kafka acknowledged, and
// brings each of them at least once.
func TestKilledAndStartedAgain(t *testing.T) {
	const events = 40
	reached := make(chan *http.Request, 100)
	taken := make(chan string, 1000)
	hold := make(chan struct{})
	strings := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then the server sees the connection's end
		id := r.Header.Get("Ce-Id")
		if n, err := strconv.Atoi(id); err == nil && n%2 == 0 { // half of the events are done before the kill
			taken <- id
			return
		}
		reached <- r
		select {
		case <-hold:
			taken <- id
		case <-r.Context().Done():
		}
	}))
	defer strings.Close()
	manifests := lineYAML + serviceYAML("stage", nil) + votingYAML
	p := housePlan{Data: t.TempDir(), Bin: binaries(t), Manifests: manifests, Strings: strings.URL}
	cmd, before := p.run(t)

	producer, err := kgo.NewClient(seeds(before.Kafka))
	if err != nil {
		t.Fatal(err)
	}
	for i := range events {
		rec := anEvent(fmt.Sprint(i))
		rec.Partition = 0
		if err := producer.ProduceSync(limit(t), rec).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	producer.Close()
	go http.Get(before.URLs[0].Own) // stays in the function's hands
	mongo, err := net.Dial("tcp", hosts(before.Mongo, "")[0])
	if err != nil {
		t.Fatal(err)
	}
	defer mongo.Close()
	said := bufio.NewReader(mongo)
	if _, err := said.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	held := map[string]context.Context{} // by function
	for ctx := limit(t); len(held) < 2; {
		select {
		case r := <-reached:
			held[r.Header.Get("Puppet-Function")] = r.Context()
		case <-ctx.Done():
			t.Fatalf("requests reached %v, want stage and web", slices.Collect(maps.Keys(held)))
		}
	}

	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	for function, gone := range held {
		select {
		case <-gone.Done():
		case <-limit(t).Done():
			t.Fatalf("%s outlives the system", function)
		}
	}
	if rest, err := io.ReadAll(said); len(rest) > 0 || (err != nil && !errors.Is(err, syscall.ECONNRESET)) {
		t.Fatalf("MongoDB says %q, %v", rest, err)
	}

	close(hold)
	s := startOn(t, p.options())
	if after := keysOf(s); after.Secret == "" || after.Addresses != before.Addresses || after.URLs[0].Own != before.URLs[0].Own || after.Secret != before.Secret {
		t.Errorf("after the kill %+v, before %+v", after, before)
	}
	got := map[string]bool{}
	for ctx := limit(t); len(got) < events; {
		select {
		case id := <-taken:
			got[id] = true
		case <-ctx.Done():
			t.Fatalf("%d of %d events came: %v", len(got), events, slices.Sorted(maps.Keys(got)))
		}
	}
	if n := recordsIn(t, s.Addresses().Kafka, "votes"); n != events {
		t.Errorf("%d records in Kafka, want %d", n, events)
	}
}

// What Kafka has acknowledged is there after a kill, also one in the middle of
// writing, and again after the next one.
func TestAcknowledgedSurvivesKills(t *testing.T) {
	p := housePlan{Data: t.TempDir(), Bin: binaries(t), Manifests: strings.Split(lineYAML, "---")[0]}
	var mu sync.Mutex
	acknowledged := map[string]bool{}
	var closing sync.WaitGroup
	defer closing.Wait()
	for life := range 4 {
		cmd, keys := p.run(t)
		client, err := kgo.NewClient(seeds(keys.Kafka), kgo.ProducerLinger(0), kgo.AllowIdempotentProduceCancellation())
		if err != nil {
			t.Fatal(err)
		}
		more := 500
		enough := make(chan struct{})
		ctx, stop := context.WithCancel(t.Context())
		go func() {
			for n := 0; ctx.Err() == nil; n++ {
				rec := anEvent(fmt.Sprintf("%d-%d", life, n))
				rec.Partition = 0
				client.Produce(ctx, rec, func(rec *kgo.Record, err error) {
					mu.Lock()
					defer mu.Unlock()
					if err == nil {
						acknowledged[headersOf(rec)["ce_id"]] = true
						if more--; more == 0 {
							close(enough)
						}
					}
				})
			}
		}()
		select {
		case <-enough:
		case <-limit(t).Done():
			t.Fatal("too few records were acknowledged")
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		stop()
		closing.Go(client.Close) // takes a second to give up
	}
	s := startOn(t, p.options())
	client, err := kgo.NewClient(seeds(s.Addresses().Kafka), kgo.ConsumeTopics("votes"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	mu.Lock() // what is not acknowledged by now will not be
	defer mu.Unlock()
	total := len(acknowledged)
	for ctx := limit(t); len(acknowledged) > 0; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("%d of %d acknowledged records are lost: %v", len(acknowledged), total, err)
		}
		fetches.EachRecord(func(rec *kgo.Record) { delete(acknowledged, headersOf(rec)["ce_id"]) })
	}
}

// recordsIn counts what a topic holds.
func recordsIn(t *testing.T, broker, topic string) int64 {
	t.Helper()
	client, err := kgo.NewClient(seeds(broker))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(limit(t), topic)
	if err != nil {
		t.Fatal(err)
	}
	var n int64
	ends.Each(func(o kadm.ListedOffset) { n += o.Offset })
	return n
}

// A data folder belongs to one system at a time; after its end the next one has
// the same addresses and secrets, and another folder has others.
func TestDataFolder(t *testing.T) {
	p := housePlan{Data: t.TempDir(), Bin: binaries(t), Manifests: votingYAML}
	s := startOn(t, p.options())
	before := keysOf(s)
	if len(before.Secret) < 26 || s.Secret("UNHEARD_OF") != "" {
		t.Errorf("secrets %q, and %q of a key that no manifest has", before.Secret, s.Secret("UNHEARD_OF"))
	}
	if _, err := Start(t.Context(), p.options()); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), p.Data) {
		t.Errorf("second system on the folder: %v, want ErrInUse and its name", err)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	after := keysOf(startOn(t, p.options()))
	if after.Addresses != before.Addresses || after.Secret != before.Secret || after.URLs[0].Own != before.URLs[0].Own {
		t.Errorf("second start %+v, first %+v", after, before)
	}
	p.Data = t.TempDir()
	if other := keysOf(startOn(t, p.options())); other.Secret == before.Secret || other.RedisPassword == before.RedisPassword {
		t.Error("another folder has the same secrets")
	}
}

// What is given is used, and nothing is embedded: no FerretDB is needed, and
// the folder gets no data. The source keeps its place in the group of a Kafka
// that outlives it.
func TestGivenParts(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	redis := miniredis.RunT(t)
	mongo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mongo.Close()
	p := housePlan{Data: t.TempDir(), Bin: binaries(t), Manifests: lineYAML + serviceYAML("stage", nil)}
	if err := os.Remove(filepath.Join(p.Bin, "ferretdb")); err != nil {
		t.Fatal(err)
	}
	o := p.options()
	o.Kafka, o.Redis, o.Mongo, o.RedisPassword = "127.0.0.1:1,"+cluster.ListenAddrs()[0], redis.Addr(), "mongodb://me:p%40ss@"+mongo.Addr().String()+"/?a=b", "given"
	var prepared Addresses
	o.Prepare = func(_ context.Context, a Addresses) error { prepared = a; return nil }
	s := startOn(t, o)
	want := Addresses{Kafka: o.Kafka, Redis: "redis://" + redis.Addr(), RedisPassword: "given", Mongo: o.Mongo}
	if s.Addresses() != want || prepared != want {
		t.Errorf("addresses %+v, want %+v", s.Addresses(), want)
	}
	for name, of := range map[string]string{"KAFKA_BROKER": o.Kafka, "MONGO_URL": o.Mongo, "REDIS_PASSWORD": "given"} {
		if name != "KAFKA_BROKER" && s.Secret(name) != of {
			t.Errorf("%s is %q, want %q", name, s.Secret(name), of)
		}
	}
	entries, err := os.ReadDir(p.Data)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() == "kafka" || e.Name() == "mongo" || e.Name() == "redis" {
			t.Errorf("folder has %s", e.Name())
		}
	}
	admin, err := kgo.NewClient(seeds(o.Kafka))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	topics, err := kadm.NewClient(admin).ListTopics(limit(t))
	if err != nil || !topics.Has("votes") || !topics.Has("dead") {
		t.Errorf("topics %v, %v", topics.Names(), err)
	}
	if s.state.Secrets["member"] == "" {
		t.Error("the source has no name of its own in its group")
	}
}

// A part that does not answer is told of by name and address, and nothing stays
// behind: the folder is free again.
func TestPartAway(t *testing.T) {
	p := housePlan{Data: t.TempDir(), Bin: binaries(t), Manifests: serviceYAML("web", nil)}
	there, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	o := p.options()
	o.Kafka, o.Mongo, o.Redis, o.Log = there.Addr().String(), there.Addr().String(), "127.0.0.1:1", testLog(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := Start(ctx, o); err == nil || !strings.Contains(err.Error(), "Redis does not answer at 127.0.0.1:1") {
		t.Errorf("start without Redis: %v", err)
	}
	startOn(t, p.options())
}

// MongoDB's process that is killed is there again, at the same address.
func TestMongoKilled(t *testing.T) {
	p := housePlan{Data: t.TempDir(), Bin: binaries(t), Manifests: serviceYAML("web", nil)}
	s := startOn(t, p.options())
	address := hosts(s.Addresses().Mongo, "")
	ask := func() (pid int, gone func()) {
		t.Helper()
		for ctx := limit(t); ; {
			if err := reach(ctx, "MongoDB", address); err != nil {
				t.Fatal(err)
			}
			conn, err := net.Dial("tcp", address[0])
			if err != nil {
				continue // it was just ending
			}
			said := bufio.NewReader(conn)
			line, err := said.ReadString('\n')
			if err != nil {
				conn.Close()
				continue
			}
			if pid, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
				t.Fatal(err)
			}
			return pid, func() { _, _ = io.Copy(io.Discard, said); conn.Close() }
		}
	}
	first, gone := ask()
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	gone()
	second, _ := ask()
	if second == first {
		t.Errorf("process %d answers, which was killed", second)
	}
}

// A program that is missing is told of when the system starts, not when the
// first vote comes.
func TestMissingProgram(t *testing.T) {
	for _, name := range []string{"web", "ferretdb"} {
		p := housePlan{Data: t.TempDir(), Bin: binaries(t), Manifests: serviceYAML("web", nil)}
		if err := os.Remove(filepath.Join(p.Bin, name)); err != nil {
			t.Fatal(err)
		}
		if s, err := Start(t.Context(), p.options()); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
			if err == nil {
				_ = s.Stop(t.Context())
			}
		}
	}
}

// A function's environment is what its manifest and Knative say and what a
// container has, and nothing that happens to be set here.
func TestFunctionsEnvironment(t *testing.T) {
	t.Setenv("MARIMBA_LEAK", "x")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "x")
	const manifests = `
kind: ConfigMap
metadata: {name: marimba}
data:
  KAFKA_BROKER: kafka.svc.cluster.local:9092
  REDIS_URL: redis://redis.svc.cluster.local:6379
  OTHER_FUNCTION: web.test.svc.cluster.local:80
  PLAIN: as it is
---
kind: Service
metadata: {name: web, namespace: test}
spec:
  template:
    spec:
      containers:
        - image: ko://test/web
          env:
            - {name: BROKER, valueFrom: {configMapKeyRef: {name: marimba, key: KAFKA_BROKER}}}
            - {name: REDIS_URL, valueFrom: {configMapKeyRef: {name: marimba, key: REDIS_URL}}}
            - {name: TARGET, valueFrom: {configMapKeyRef: {name: marimba, key: OTHER_FUNCTION}}}
            - {name: PLAIN, valueFrom: {configMapKeyRef: {name: marimba, key: PLAIN}}}
            - {name: LITERAL, value: here}
            - {name: VOTER_SECRET, valueFrom: {secretKeyRef: {name: marimba, key: VOTER_SECRET}}}
            - {name: MONGO_URL, valueFrom: {secretKeyRef: {name: marimba, key: MONGO_URL}}}
            - {name: REDIS_PASSWORD, valueFrom: {secretKeyRef: {name: marimba, key: REDIS_PASSWORD}}}
`
	p := housePlan{Data: t.TempDir(), Bin: binaries(t), Manifests: manifests, Strings: "unused"}
	s := startOn(t, p.options())
	res, err := http.Get(s.URLs()[0].Own + "/environ")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var environ []string
	if err := json.NewDecoder(res.Body).Decode(&environ); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		got[name] = value
	}
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "TZ"} {
		if got[name] != os.Getenv(name) {
			t.Errorf("%s is %q, want ours", name, got[name])
		}
		delete(got, name)
	}
	if port, err := strconv.Atoi(got["PORT"]); err != nil || port < 1 {
		t.Errorf("PORT is %q", got["PORT"])
	}
	delete(got, "PORT")
	delete(got, "SYSTEM_NAMESPACE") // Knative's packages set it in every test program, and this is one
	want := map[string]string{
		"HOST":   "127.0.0.1", // nobody reaches it from outside
		"BROKER": s.Addresses().Kafka, "REDIS_URL": s.Addresses().Redis, "TARGET": strings.TrimPrefix(s.URLs()[0].Own, "http://"),
		"PLAIN": "as it is", "LITERAL": "here", "STRINGS": "unused",
		"VOTER_SECRET": s.Secret("VOTER_SECRET"), "MONGO_URL": s.Addresses().Mongo, "REDIS_PASSWORD": s.Addresses().RedisPassword,
		"K_SERVICE": "web", "K_CONFIGURATION": "web", "K_REVISION": "web-00001",
	}
	if !maps.Equal(got, want) {
		t.Errorf("environment %v, want %v", got, want)
	}
}

// A reference to a key that no ConfigMap has ends the start.
func TestUnknownKey(t *testing.T) {
	p := housePlan{Data: t.TempDir(), Bin: binaries(t), Manifests: `
kind: Service
metadata: {name: web, namespace: test}
spec: {template: {spec: {containers: [{image: web, env: [{name: A, valueFrom: {configMapKeyRef: {name: none, key: A}}}]}]}}}
`}
	if _, err := Start(t.Context(), p.options()); err == nil || !strings.Contains(err.Error(), "ConfigMap none has no key A") {
		t.Errorf("start: %v", err)
	}
}
