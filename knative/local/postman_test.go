package local

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// round is a function as the postman sees it: a http.RoundTripper.
type round func(*http.Request) (*http.Response, error)

func (f round) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// says is an answer with a status and a body.
func says(status int, body string, header ...string) *http.Response {
	res := &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
	for i := 0; i < len(header); i += 2 {
		res.Header.Set(header[i], header[i+1])
	}
	return res
}

// cellar keeps dead letters. A put takes the next of faults, while there are
// any.
type cellar struct {
	mu      sync.Mutex
	letters []*kgo.Record
	faults  []error
	tries   int
}

func (c *cellar) put(ctx context.Context, rec *kgo.Record) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tries++
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if len(c.faults) > 0 {
		fault := c.faults[0]
		c.faults = c.faults[1:]
		return fault
	}
	c.letters = append(c.letters, rec)
	return nil
}

// headers of the only dead letter.
func (c *cellar) headers(t *testing.T) map[string]string {
	t.Helper()
	if len(c.letters) != 1 {
		t.Fatalf("%d dead letters, want 1", len(c.letters))
	}
	return headersOf(c.letters[0])
}

func headersOf(rec *kgo.Record) map[string]string {
	out := map[string]string{}
	for _, h := range rec.Headers {
		out[h.Key] = string(h.Value)
	}
	return out
}

// postTo is a postman of a source that retries by d.
func postTo(function http.RoundTripper, dead sink, d delivery) (*postman, *[]Event) {
	var happened []Event
	var mu sync.Mutex
	d.deadLetter = "dead"
	return &postman{
		source:   &source{name: "line", namespace: "test", sink: "stage", delivery: d},
		to:       function,
		deadSink: dead,
		ledger: &ledger{figures: map[string]Figures{}, onEvent: func(e Event) {
			mu.Lock()
			defer mu.Unlock()
			happened = append(happened, e)
		}},
		log: slog.New(slog.DiscardHandler),
	}, &happened
}

// anEvent is a record in binary mode.
func anEvent(id string) *kgo.Record {
	return &kgo.Record{Topic: "votes", Partition: 3, Offset: 14, Key: []byte("key " + id), Value: []byte("data " + id), Headers: []kgo.RecordHeader{
		{Key: "ce_specversion", Value: []byte("1.0")}, {Key: "ce_id", Value: []byte(id)},
		{Key: "ce_source", Value: []byte("/test")}, {Key: "ce_type", Value: []byte("test.v1")},
		{Key: "ce_own", Value: []byte("kept")}, {Key: "content-type", Value: []byte("text/plain")},
	}}
}

// What our manifests ask for, on a clock: attempts 0.5 s, 1 s … 20 s apart, for
// nearly seven minutes; then the dead letter. Retry-After changes nothing, as
// Knative's data plane does not look at it.
func TestRetriesOnTheClock(t *testing.T) {
	for name, c := range map[string]struct {
		delivery
		last time.Duration // from the first attempt to the last
	}{
		"linear, as in base": {delivery{retries: 40, delay: 500 * time.Millisecond, timeout: 30 * time.Second}, 410 * time.Second},
		"exponential":        {delivery{retries: 6, delay: 500 * time.Millisecond, exponential: true, timeout: time.Second}, 63 * time.Second},
		"no retry":           {delivery{delay: time.Second, timeout: time.Second}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var at []time.Duration
				start, dead := time.Now(), &cellar{}
				p, happened := postTo(round(func(*http.Request) (*http.Response, error) {
					at = append(at, time.Since(start))
					return says(503, "away", "Retry-After", "3600"), nil
				}), dead, c.delivery)
				if !p.deliver(t.Context(), t.Context(), anEvent("a")) {
					t.Fatal("not done")
				}
				if len(at) != c.retries+1 || at[len(at)-1] != c.last {
					t.Errorf("%d attempts, the last after %s; want %d and %s", len(at), at[len(at)-1], c.retries+1, c.last)
				}
				for n := 1; n < len(at); n++ {
					if gap, want := at[n]-at[n-1], c.pause(n); gap != want {
						t.Errorf("retry %d after %s, want %s", n, gap, want)
					}
				}
				if h := dead.headers(t); h["ce_knativeerrorcode"] != "503" {
					t.Errorf("dead letter %v", h)
				}
				if n := len(*happened); n != c.retries+1 || (*happened)[n-1].Kind != DeadLetter {
					t.Errorf("%d events, the last %v; want a Retried for each retry, and DeadLetter", n, (*happened)[n-1])
				}
			})
		})
	}
}

// An attempt that takes longer than the delivery's timeout is given up, and
// counts as no answer: the dead letter then has no code.
func TestAttemptTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries, dead := 0, &cellar{}
		p, _ := postTo(round(func(req *http.Request) (*http.Response, error) {
			tries++
			<-req.Context().Done()
			return nil, req.Context().Err()
		}), dead, delivery{retries: 2, delay: time.Second, timeout: 30 * time.Second})
		start := time.Now()
		if !p.deliver(t.Context(), t.Context(), anEvent("a")) {
			t.Fatal("not done")
		}
		if took := time.Since(start); tries != 3 || took != 93*time.Second {
			t.Errorf("%d attempts in %s; want 3 of 30 s with 1 s and 2 s between", tries, took)
		}
		h := dead.headers(t)
		if _, ok := h["ce_knativeerrorcode"]; ok || h["ce_knativeerrordest"] != "http://stage.test.svc.cluster.local" {
			t.Errorf("dead letter %v", h)
		}
	})
}

// A dead letter is the event as it was, with its place in Kafka, the reasons and
// the answer's Kne- headers, as Knative's data plane makes it
// (RecordDispatcherImpl.errorTransform): of the answer, the first 1024 bytes in
// base64.
func TestDeadLetterTells(t *testing.T) {
	dead := &cellar{}
	long := strings.Repeat("x", 3000)
	p, happened := postTo(round(func(*http.Request) (*http.Response, error) {
		return says(422, long, "Kne-Reason", "event_malformed", "KNE-Other", "too", "Kne-Not-A-Name", "no", "Kne-", "no", "Else", "no"), nil
	}), dead, delivery{retries: 3, delay: time.Hour, timeout: time.Second})
	rec := anEvent("a")
	if !p.deliver(t.Context(), t.Context(), rec) {
		t.Fatal("not done")
	}
	got := dead.headers(t)
	want := map[string]string{
		"ce_specversion": "1.0", "ce_id": "a", "ce_source": "/test", "ce_type": "test.v1", "ce_own": "kept", "content-type": "text/plain",
		"ce_knativekafkapartition": "3", "ce_knativekafkaoffset": "14",
		"ce_knativeerrordest": "http://stage.test.svc.cluster.local", "ce_knativeerrorcode": "422",
		"ce_knativeerrordata": base64.StdEncoding.EncodeToString([]byte(long[:1024])),
		"ce_reason":           "event_malformed", "ce_other": "too",
	}
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s: %q, want %q", name, got[name], value)
		}
	}
	if len(got) != len(want) {
		t.Errorf("headers %v, want %v", got, want)
	}
	if letter := dead.letters[0]; !bytes.Equal(letter.Value, rec.Value) || !bytes.Equal(letter.Key, rec.Key) {
		t.Errorf("key %q, data %q", letter.Key, letter.Value)
	}
	if len(*happened) != 1 || (*happened)[0].Kind != DeadLetter || !strings.Contains((*happened)[0].Err.Error(), "status 422") {
		t.Errorf("events %v, want DeadLetter with its cause", *happened)
	}
}

// While the dead letter sink does not take a letter it is put again, with pauses
// that grow to 5 s; the function is not asked again.
func TestDeadLetterSinkAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, dead := 0, &cellar{}
		for range 8 {
			dead.faults = append(dead.faults, errors.New("away"))
		}
		p, happened := postTo(round(func(*http.Request) (*http.Response, error) {
			asked++
			return says(400, "no"), nil
		}), dead, delivery{retries: 3, delay: time.Second, timeout: time.Second})
		start := time.Now()
		if !p.deliver(t.Context(), t.Context(), anEvent("a")) {
			t.Fatal("not done")
		}
		// 0.1, 0.2, 0.4, 0.8, 1.6, 3.2 s, then 5 s twice.
		if took := time.Since(start); asked != 1 || dead.tries != 9 || took != 16300*time.Millisecond {
			t.Errorf("function asked %d times, sink %d times in %s; want 1, 9, 16.3s", asked, dead.tries, took)
		}
		if n := len(*happened); n != 9 || (*happened)[0].Kind != Unconfirmed || (*happened)[n-1].Kind != DeadLetter {
			t.Errorf("events %v", *happened)
		}
	})
}

// A letter that no broker will ever take for its size goes without its data,
// rather than holding up its partition for good.
func TestDeadLetterTooLarge(t *testing.T) {
	dead := &cellar{faults: []error{kerr.MessageTooLarge}}
	p, _ := postTo(round(func(*http.Request) (*http.Response, error) { return says(413, "large"), nil }),
		dead, delivery{delay: time.Second, timeout: time.Second})
	if !p.deliver(t.Context(), t.Context(), anEvent("a")) {
		t.Fatal("not done")
	}
	if h := dead.headers(t); h["ce_id"] != "a" || h["ce_knativekafkaoffset"] != "14" || h["ce_knativeerrorcode"] != "413" || len(dead.letters[0].Value) != 0 {
		t.Errorf("dead letter %v, data %q", h, dead.letters[0].Value)
	}
}

// An event that is not done when the system stops is not done: neither taken
// nor dead. Between attempts it stops at once; an attempt that runs has until
// sending ends.
func TestDeliverStops(t *testing.T) {
	forever := delivery{retries: 1000, delay: time.Hour, timeout: time.Hour}
	for name, c := range map[string]struct {
		function func(stop func()) round
		faults   []error
	}{
		"between attempts": {func(stop func()) round {
			return func(*http.Request) (*http.Response, error) { stop(); return says(503, ""), nil }
		}, nil},
		"in an attempt": {func(stop func()) round {
			return func(req *http.Request) (*http.Response, error) {
				stop()
				<-req.Context().Done()
				return nil, req.Context().Err()
			}
		}, nil},
		"while its dead letter is not taken": {func(stop func()) round {
			return func(*http.Request) (*http.Response, error) { stop(); return says(400, ""), nil }
		}, []error{errors.New("away")}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				waiting, endWaiting := context.WithCancel(t.Context())
				sending, endSending := context.WithCancel(t.Context())
				defer endSending()
				dead := &cellar{faults: c.faults}
				p, _ := postTo(c.function(func() {
					endWaiting()
					time.AfterFunc(stopAfter, endSending)
				}), dead, forever)
				start := time.Now()
				if p.deliver(waiting, sending, anEvent("a")) {
					t.Error("done")
				}
				if took := time.Since(start); took > stopAfter {
					t.Errorf("stopped after %s", took)
				}
				if len(dead.letters) != 0 {
					t.Errorf("dead letters %v", dead.letters)
				}
			})
		})
	}
}

// The body of an answer is read, so that its connection can be used again, but
// not without end.
func TestAnswerIsReadAndBounded(t *testing.T) {
	body := &endless{}
	p, _ := postTo(round(func(*http.Request) (*http.Response, error) {
		res := says(202, "")
		res.Body = body
		return res, nil
	}), &cellar{}, delivery{delay: time.Second, timeout: time.Second})
	if !p.deliver(t.Context(), t.Context(), anEvent("a")) {
		t.Fatal("not done")
	}
	if !body.closed || body.read > 100<<10 {
		t.Errorf("closed %v after %d bytes", body.closed, body.read)
	}
}

type endless struct {
	read   int
	closed bool
}

func (e *endless) Read(p []byte) (int, error) { e.read += len(p); return len(p), nil }
func (e *endless) Close() error               { e.closed = true; return nil }
