package local

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// belt is an embedded Kafka with a topic to read and one for dead letters.
type belt struct {
	t       *testing.T
	address string
	client  *kgo.Client
	admin   *kadm.Client
	next    int
}

func newBelt(t *testing.T, partitions int32) *belt {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, "votes"), kfake.SeedTopics(1, "dead"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	b := &belt{t: t, address: cluster.ListenAddrs()[0]}
	b.client, err = kgo.NewClient(seeds(b.address), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.client.Close)
	b.admin = kadm.NewClient(b.client)
	return b
}

// put puts n events on a partition; their ids go on counting.
func (b *belt) put(partition int32, n int) {
	b.t.Helper()
	records := make([]*kgo.Record, n)
	for i := range records {
		records[i] = anEvent(fmt.Sprint(b.next))
		records[i].Partition = partition
		b.next++
	}
	b.putRecords(records...)
}

func (b *belt) putRecords(records ...*kgo.Record) {
	b.t.Helper()
	if err := b.client.ProduceSync(limit(b.t), records...).FirstErr(); err != nil {
		b.t.Fatal(err)
	}
}

// committed is the group's offset of a partition; -1 if there is none.
func (b *belt) committed(partition int32) int64 {
	b.t.Helper()
	offsets, err := b.admin.FetchOffsets(limit(b.t), "line")
	if err != nil {
		b.t.Fatal(err)
	}
	if o, ok := offsets.Lookup("votes", partition); ok {
		return o.At
	}
	return -1
}

// limit bounds a wait for what must happen.
func limit(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// hand is a function whose answers the test gives one by one: each event that
// comes is a post in its channel.
type hand struct {
	t     *testing.T
	posts chan post
}

type post struct {
	id        string
	partition string
	answer    chan int
	gone      <-chan struct{} // closed when the dispatcher no longer waits
}

func newHand(t *testing.T) *hand { return &hand{t, make(chan post, 10_000)} }

func (h *hand) RoundTrip(req *http.Request) (*http.Response, error) {
	p := post{req.Header.Get("Ce-Id"), req.Header.Get("Ce-Knativekafkapartition"), make(chan int, 1), req.Context().Done()}
	h.posts <- p
	select {
	case status := <-p.answer:
		return says(status, ""), nil
	case <-p.gone:
		return nil, req.Context().Err()
	}
}

// take waits for the next post.
func (h *hand) take() post {
	h.t.Helper()
	select {
	case p := <-h.posts:
		return p
	case <-limit(h.t).Done():
		h.t.Fatal("no event came")
		return post{}
	}
}

// takeN waits for n posts, by id.
func (h *hand) takeN(n int) map[string]post {
	h.t.Helper()
	out := map[string]post{}
	for range n {
		p := h.take()
		out[p.id] = p
	}
	return out
}

// willing takes every event, and counts.
type willing struct {
	mu     sync.Mutex
	seen   map[string]int
	taken  chan string
	refuse func(id string) int // a status to answer with; 0: take it
}

func newWilling() *willing { return &willing{seen: map[string]int{}, taken: make(chan string, 10_000)} }

func (w *willing) RoundTrip(req *http.Request) (*http.Response, error) {
	id := req.Header.Get("Ce-Id")
	w.mu.Lock()
	w.seen[id]++
	w.mu.Unlock()
	if w.refuse != nil {
		if status := w.refuse(id); status != 0 {
			return says(status, "refused", "Kne-Reason", "because"), nil
		}
	}
	w.taken <- id
	return says(202, ""), nil
}

func (w *willing) await(t *testing.T, n int) {
	t.Helper()
	ctx := limit(t)
	for got := range n {
		select {
		case <-w.taken:
		case <-ctx.Done():
			t.Fatalf("%d of %d events", got, n)
		}
	}
}

// source is a dispatcher of the group line. It is closed with the test, if it
// is not before.
func (b *belt) source(function http.RoundTripper, ordered bool) *dispatcher {
	b.t.Helper()
	producer, err := deadLetterProducer(b.address)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(producer.Close)
	p, _ := postTo(function, topicSink{producer, "dead"}, delivery{retries: 2, delay: time.Millisecond, timeout: time.Minute})
	p.source.group, p.source.topics, p.source.earliest, p.source.ordered = "line", []string{"votes"}, true, ordered
	p.log = slog.New(slog.NewTextHandler(testWriter{b.t}, nil))
	d, err := openDispatcher(b.address, "", *p)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = d.close(done(b.t)) })
	return d
}

// done is a context that is over: what closes with it does not wait for events
// that are on their way.
func done(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// letters reads the dead letters, until there are n.
func (b *belt) letters(n int) map[string]map[string]string {
	b.t.Helper()
	client, err := kgo.NewClient(seeds(b.address), kgo.ConsumeTopics("dead"))
	if err != nil {
		b.t.Fatal(err)
	}
	defer client.Close()
	out := map[string]map[string]string{}
	for ctx := limit(b.t); len(out) < n; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			b.t.Fatalf("%d of %d dead letters: %v", len(out), n, err)
		}
		fetches.EachRecord(func(rec *kgo.Record) {
			h := headersOf(rec)
			h["key"], h["data"] = string(rec.Key), string(rec.Value)
			out[h["ce_id"]] = h
		})
	}
	return out
}

// Offsets are committed up to the first event that is not done, however many
// behind it are; and as soon as that is done, up to the next. Meanwhile the
// others of the partition go on.
func TestUnorderedGoesAroundAndCommitsThePrefix(t *testing.T) {
	b, h := newBelt(t, 1), newHand(t)
	d := b.source(h, false)
	b.put(0, inFlight)
	first := h.takeN(inFlight)
	for id, p := range first {
		if id != "3" {
			p.answer <- 202
		}
	}
	// That these come proves that those before are done: no worker takes two.
	b.put(0, inFlight-1)
	second := h.takeN(inFlight - 1)
	if err := d.commit(limit(t)); err != nil {
		t.Fatal(err)
	}
	if at := b.committed(0); at != 3 {
		t.Fatalf("event 3 is not done, and committed is %d", at)
	}
	first["3"].answer <- 202
	b.put(0, 1)
	if p := h.take(); p.id != "19" {
		t.Fatalf("event %s came, want 19", p.id)
	}
	if err := d.commit(limit(t)); err != nil {
		t.Fatal(err)
	}
	if at := b.committed(0); at != inFlight {
		t.Fatalf("events 0 … 9 are done, and committed is %d", at)
	}
	if len(second) != inFlight-1 {
		t.Errorf("%d events came around, want %d", len(second), inFlight-1)
	}
}

// What was not done at the end comes again to the next dispatcher, and what was
// committed does not.
func TestNotDoneComesAgain(t *testing.T) {
	b, h := newBelt(t, 1), newHand(t)
	d := b.source(h, false)
	b.put(0, 5)
	posts := h.takeN(5)
	for _, id := range []string{"0", "1", "4"} {
		posts[id].answer <- 202
	}
	closed := make(chan error)
	go func() { closed <- d.close(done(t)) }()
	<-posts["2"].gone
	if err := <-closed; err != nil {
		t.Logf("close: %v", err) // its time is over
	}
	again := newWilling()
	b.source(again, false)
	b.put(0, 1)
	again.await(t, 2) // 2 and 3 at least, and then 5; 4, and with bad luck 0 and 1, come twice
	for got := map[string]bool{}; !got["2"] || !got["3"] || !got["5"]; {
		again.mu.Lock()
		for id := range again.seen {
			got[id] = true
		}
		again.mu.Unlock()
		if !got["2"] || !got["3"] || !got["5"] {
			again.await(t, 1)
		}
	}
}

// An end that has time waits for what is on its way, commits it, and takes no
// more; nothing comes twice.
func TestCloseFinishes(t *testing.T) {
	b, h := newBelt(t, 1), newHand(t)
	d := b.source(h, false)
	b.put(0, 3)
	posts := h.takeN(3)
	closed := make(chan error)
	go func() { closed <- d.close(t.Context()) }()
	<-d.waiting.Done()
	for _, p := range posts {
		p.answer <- 202
	}
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	if at := b.committed(0); at != 3 {
		t.Errorf("committed %d, want 3", at)
	}
	if len(h.posts) != 0 {
		t.Errorf("%d events came after the end", len(h.posts))
	}
}

// With ordering an event that is not taken holds up those behind it, until it is
// taken or dead.
func TestOrderedWaits(t *testing.T) {
	b, h := newBelt(t, 1), newHand(t)
	b.source(h, true)
	b.put(0, 3)
	for _, step := range []struct {
		id     string
		status int
	}{{"0", 503}, {"0", 202}, {"1", 503}, {"1", 503}, {"1", 503}, {"2", 202}} {
		p := h.take()
		if p.id != step.id || len(h.posts) != 0 {
			t.Fatalf("event %s came and %d more; want %s alone", p.id, len(h.posts), step.id)
		}
		p.answer <- step.status
	}
	if h := b.letters(1)["1"]; h["ce_knativeerrorcode"] != "503" {
		t.Errorf("dead letter of 1: %v", h)
	}
}

// A dead letter lies in its topic with the event's key and data, the reasons and
// the place it came from: at once after 4xx, after the retries else.
func TestDeadLettersInKafka(t *testing.T) {
	b, w := newBelt(t, 2), newWilling()
	w.refuse = func(id string) int { return map[string]int{"0": 422, "1": 503}[id] }
	b.source(w, false)
	b.put(0, 1)
	b.put(1, 2)
	w.await(t, 1)
	letters := b.letters(2)
	for id, code := range map[string]string{"0": "422", "1": "503"} {
		h := letters[id]
		if h["key"] != "key "+id || h["data"] != "data "+id || h["ce_knativeerrorcode"] != code || h["ce_reason"] != "because" ||
			h["ce_knativekafkapartition"] != id || h["ce_knativekafkaoffset"] != "0" {
			t.Errorf("dead letter %s: %v", id, h)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seen["0"] != 1 || w.seen["1"] != 3 {
		t.Errorf("attempts %v, want 1 of event 0 and 3 of event 1", w.seen)
	}
}

// What came compressed and is larger than a request to Kafka may be is dead all
// the same, without its data, and its partition goes on.
func TestDeadLetterOfABomb(t *testing.T) {
	b, w := newBelt(t, 1), newWilling()
	w.refuse = func(id string) int { return map[string]int{"bomb": 413}[id] }
	producer, err := kgo.NewClient(seeds(b.address), kgo.ProducerBatchMaxBytes(16<<20), kgo.ProducerBatchCompression(kgo.ZstdCompression()))
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	bomb := anEvent("bomb")
	bomb.Partition, bomb.Value = 0, make([]byte, 8<<20)
	if err := producer.ProduceSync(limit(t), bomb).FirstErr(); err != nil {
		t.Fatal(err)
	}
	b.source(w, true)
	b.put(0, 1)
	w.await(t, 1)
	if h := b.letters(1)["bomb"]; h["ce_knativeerrorcode"] != "413" || h["ce_knativekafkaoffset"] != "0" || h["data"] != "" {
		t.Errorf("dead letter %v", h)
	}
}

// While one event is stuck, no more than a bounded number of those behind it is
// taken from Kafka; when it is done, all others come.
func TestPausesBehindAStuckEvent(t *testing.T) {
	const n = 3 * maxOpen
	for name, size := range map[string]int{"by number": 10, "by size": maxHeld / 4} {
		t.Run(name, func(t *testing.T) {
			b, h := newBelt(t, 1), newHand(t)
			events := n
			if size > 10 {
				events = 40
			}
			for i := range events {
				rec := anEvent(fmt.Sprint(i))
				rec.Partition, rec.Value = 0, make([]byte, size)
				b.putRecords(rec)
			}
			d := b.source(h, size > 10) // by size: none behind it is done, so it is their bytes that count
			stuck := h.take()
			seen := map[string]bool{stuck.id: true}
			paused := func() (bool, int) {
				for _, p := range d.all() {
					p.mu.Lock()
					defer p.mu.Unlock()
					return p.paused, p.prefix.size()
				}
				return false, 0
			}
			ctx := limit(t)
			open := 0
			for is := false; !is; is, open = paused() {
				select {
				case p := <-h.posts:
					seen[p.id] = true
					p.answer <- 202
				case <-time.After(time.Millisecond): // it is paused without a further event
				case <-ctx.Done():
					t.Fatal("never paused")
				}
			}
			if open > maxOpen+maxPoll || open >= events {
				t.Errorf("%d events are open", open)
			}
			stuck.answer <- 202
			for len(seen) < events {
				p := h.take()
				seen[p.id] = true
				p.answer <- 202
			}
		})
	}
}

// Two dispatchers of one group share the partitions: none is in both hands, all
// are in one. What one had on its way when its partition was taken comes to the
// other. When one ends, the other has all.
func TestGroupSharesAndHandsOver(t *testing.T) {
	const partitions = 4
	b, one, two := newBelt(t, partitions), newHand(t), newHand(t)
	first := b.source(one, false)
	for p := range int32(partitions) {
		b.put(p, 1)
	}
	held := one.takeN(partitions)
	b.source(two, false)
	moved := two.take() // not done by the first, so it comes to the second
	before, ok := held[moved.id]
	if !ok {
		t.Fatalf("event %s came to the second, of %v", moved.id, slices.Sorted(maps.Keys(held)))
	}
	<-before.gone // the first has let go of it
	moved.answer <- 202
	for _, p := range held {
		select {
		case <-p.gone:
		default:
			p.answer <- 202
		}
	}
	// The rest moves by itself, if there is more to move. Then each partition is in
	// one of the hands: of as many events as partitions, each comes once.
	where := map[string]int{}
	for round := 0; len(where) < partitions || !shared(where); round++ {
		clear(where)
		for p := range int32(partitions) {
			b.put(p, 1)
		}
		got := map[string]bool{}
		for ctx := limit(t); len(got) < partitions; {
			var p post
			owner := 1
			select {
			case p = <-one.posts:
			case p = <-two.posts:
				owner = 2
			case <-ctx.Done():
				t.Fatalf("round %d: %d of %d events", round, len(got), partitions)
			}
			p.answer <- 202
			got[p.id] = true
			where[p.partition] = owner
		}
	}
	if err := first.close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for p := range int32(partitions) {
		b.put(p, 1)
	}
	last := map[string]bool{}
	for len(last) < partitions {
		p := two.take()
		last[p.partition] = true
		p.answer <- 202
	}
}

// shared says whether both hands have partitions.
func shared(where map[string]int) bool {
	owners := map[int]bool{}
	for _, o := range where {
		owners[o] = true
	}
	return len(owners) == 2
}

// A record without an event, and one in structured mode, come as events.
func TestOtherRecords(t *testing.T) {
	b := newBelt(t, 1)
	got := make(chan http.Header, 2)
	b.source(round(func(req *http.Request) (*http.Response, error) {
		got <- req.Header.Clone()
		return says(202, ""), nil
	}), true)
	b.putRecords(
		&kgo.Record{Topic: "votes", Value: []byte("Alux Nahual, 10"), Key: []byte("k"), Headers: []kgo.RecordHeader{header("trace", "7")}},
		&kgo.Record{Topic: "votes", Headers: []kgo.RecordHeader{header("content-type", "application/cloudevents+json")},
			Value: []byte(`{"specversion":"1.0","id":"a","source":"/s","type":"t","data":"x"}`)},
	)
	for _, want := range []map[string]string{
		{"Ce-Type": "dev.knative.kafka.event", "Ce-Id": "partition:0/offset:0", "Ce-Subject": "partition:0#0", "Ce-Key": "k",
			"Ce-Source": "/apis/v1/namespaces/test/kafkasources/line#votes", "Ce-Kafkaheadertrace": "7", "Ce-Knativekafkaoffset": "0"},
		{"Ce-Type": "t", "Ce-Id": "a", "Ce-Source": "/s", "Ce-Knativekafkaoffset": "1"},
	} {
		select {
		case h := <-got:
			for name, value := range want {
				if h.Get(name) != value {
					t.Errorf("%s: %q, want %q", name, h.Get(name), value)
				}
			}
		case <-limit(t).Done():
			t.Fatal("no event came")
		}
	}
}

// A Kafka that is gone does not keep the system from its end.
func TestCloseWithoutKafka(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "votes", "dead"))
	if err != nil {
		t.Fatal(err)
	}
	b := &belt{t: t, address: cluster.ListenAddrs()[0]}
	if b.client, err = kgo.NewClient(seeds(b.address), kgo.RecordPartitioner(kgo.ManualPartitioner())); err != nil {
		t.Fatal(err)
	}
	defer b.client.Close()
	h := newHand(t)
	d := b.source(h, false)
	b.put(0, 1)
	p := h.take()
	cluster.Close()
	p.answer <- 400 // its dead letter finds no broker
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	ended := make(chan struct{})
	go func() { _ = d.close(ctx); close(ended) }()
	select {
	case <-ended:
	case <-limit(t).Done():
		t.Fatal("the end waits for Kafka")
	}
}
