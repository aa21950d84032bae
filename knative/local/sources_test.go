package local

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

// Sources without a house make the topics, send each event to the gateway under
// its function's cluster-local name, and what is done when they end does not come
// again to those that follow them.
func TestDeliver(t *testing.T) {
	b := newBelt(t, 1)
	took := make(chan string, 100)
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		took <- r.Host + " " + r.Header.Get("ce-id")
		w.WriteHeader(http.StatusAccepted)
	}))
	defer gateway.Close()
	o := Options{
		Manifests: fstest.MapFS{"all.yaml": {Data: []byte(strings.ReplaceAll(sourceYAML("topics: [votes, t]"), "{name: a}", "{name: a, namespace: test}") +
			"---\nkind: KafkaTopic\nmetadata: {name: votes}\nspec: {partitions: 1, replicas: 1}\n")}},
		Kafka: b.address, Log: testLog(t),
	}
	deliver := func(id, topic string) {
		t.Helper()
		ctx, end := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- Deliver(ctx, o, strings.TrimPrefix(gateway.URL, "http://")) }()
		rec := anEvent(id)
		rec.Topic, rec.Partition = topic, 0
		b.putRecords(rec)
		select {
		case got := <-took:
			if want := "a.test.svc.cluster.local " + id; got != want {
				t.Errorf("the gateway was asked for %q, want %q", got, want)
			}
		case err := <-ended:
			t.Fatalf("it ended: %v", err)
		case <-limit(t).Done():
			t.Fatal("no event came")
		}
		end()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	deliver("first", "votes")
	if topics, err := b.admin.ListTopics(t.Context()); err != nil || !topics.Has("t") {
		t.Fatalf("topics %v, error %v; want t among them", topics.Names(), err)
	}
	deliver("second", "t")
	if len(took) > 0 {
		t.Errorf("more came: %s", <-took)
	}
}
