package local

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	eventingduckv1 "knative.dev/eventing/pkg/apis/duck/v1"
	"knative.dev/eventing/pkg/eventingtls"
	"knative.dev/eventing/pkg/kncloudevents"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
)

// The table of what is retried is Knative's, for every status that there may be.
func TestRetryTableIsKnatives(t *testing.T) {
	for status := 100; status < 1000; status++ {
		want, err := kncloudevents.SelectiveRetry(t.Context(), &http.Response{StatusCode: status}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := retryable(status); got != want {
			t.Errorf("status %d: retried %v, by Knative %v", status, got, want)
		}
	}
	if want, _ := kncloudevents.SelectiveRetry(t.Context(), nil, io.ErrUnexpectedEOF); retryable(0) != want {
		t.Errorf("no answer: retried %v, by Knative %v", retryable(0), want)
	}
}

// The pauses are Knative's formula, up to an hour. A KafkaSource counts retries
// from 1 on (Vert.x's circuit breaker asks its policy for retryCount + 1), where
// kncloudevents counts from 0; its formula is the same.
func TestPausesAreKnatives(t *testing.T) {
	for _, policy := range []eventingduckv1.BackoffPolicyType{eventingduckv1.BackoffPolicyLinear, eventingduckv1.BackoffPolicyExponential} {
		for _, text := range []string{"PT0.5S", "PT1S", "PT2M", "PT0.1S"} {
			config, err := kncloudevents.RetryConfigFromDeliverySpec(eventingduckv1.DeliverySpec{
				Retry: new(int32(40)), BackoffPolicy: &policy, BackoffDelay: &text, Timeout: &text,
			})
			if err != nil {
				t.Fatal(err)
			}
			delay, err := iso8601(text)
			if err != nil {
				t.Fatal(err)
			}
			if config.RequestTimeout != delay {
				t.Errorf("%s: %s, by Knative %s", text, delay, config.RequestTimeout)
			}
			d := delivery{delay: delay, exponential: policy == eventingduckv1.BackoffPolicyExponential}
			for n := 1; n <= 40; n++ {
				want := config.Backoff(n, nil)
				if want > maxPause || want <= 0 { // Knative's overflows
					want = maxPause
				}
				if got := d.pause(n); got != want {
					t.Errorf("%s %s, retry %d: after %s, by Knative %s", policy, text, n, got, want)
				}
			}
		}
	}
}

// target is a function that both dispatchers are tried on.
type target struct {
	url   *url.URL
	mu    sync.Mutex
	tries int
}

// counted returns how often the target was asked since the last call.
func (f *target) counted() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.tries
	f.tries = 0
	return n
}

func aim(t *testing.T, play http.HandlerFunc) *target {
	t.Helper()
	f := &target{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.tries++
		f.mu.Unlock()
		play(w, r)
	}))
	t.Cleanup(server.Close)
	var err error
	if f.url, err = url.Parse(server.URL); err != nil {
		t.Fatal(err)
	}
	return f
}

// RoundTrip sends our postman's request to the target.
func (f *target) RoundTrip(req *http.Request) (*http.Response, error) {
	out := req.Clone(req.Context())
	out.URL.Host = f.url.Host
	return http.DefaultTransport.RoundTrip(out)
}

// outcome is what became of one event.
type outcome struct {
	tries int
	dead  bool
	code  string
	data  string
}

// knative sends a record's event with kncloudevents' Dispatcher.
func (f *target) knative(t *testing.T, rec *kgo.Record, spec eventingduckv1.DeliverySpec) outcome {
	t.Helper()
	letters := make(chan http.Header, 1)
	sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { letters <- r.Header }))
	defer sink.Close()
	config, err := kncloudevents.RetryConfigFromDeliverySpec(spec)
	if err != nil {
		t.Fatal(err)
	}
	config.Backoff = func(int, *http.Response) time.Duration { return time.Millisecond } // that is held above
	at := func(text string) duckv1.Addressable {
		u, err := apis.ParseURL(text)
		if err != nil {
			t.Fatal(err)
		}
		return duckv1.Addressable{URL: u}
	}
	dead := at(sink.URL)
	dispatcher := kncloudevents.NewDispatcher(eventingtls.ClientConfig{}, nil)
	e := (&source{}).eventOf(rec)
	if _, err := dispatcher.SendEvent(context.Background(), e, at(f.url.String()),
		kncloudevents.WithDeadLetterSink(&dead), kncloudevents.WithRetryConfig(&config)); err != nil {
		t.Fatal(err)
	}
	out := outcome{tries: f.counted()}
	select {
	case h := <-letters:
		out.dead, out.code, out.data = true, h.Get("Ce-Knativeerrorcode"), h.Get("Ce-Knativeerrordata")
		if dest := h.Get("Ce-Knativeerrordest"); dest != f.url.String() {
			t.Errorf("kncloudevents names %q as the destination, not %q", dest, f.url)
		}
	default:
	}
	return out
}

// ours sends it with the postman.
func (f *target) ours(t *testing.T, rec *kgo.Record, spec eventingduckv1.DeliverySpec) outcome {
	t.Helper()
	d := delivery{retries: int(*spec.Retry), delay: time.Millisecond}
	var err error
	if d.timeout, err = iso8601(*spec.Timeout); err != nil {
		t.Fatal(err)
	}
	dead := &cellar{}
	p, _ := postTo(f, dead, d)
	p.log = slog.New(slog.DiscardHandler)
	if !p.deliver(t.Context(), t.Context(), rec) {
		t.Fatal("not done")
	}
	out := outcome{tries: f.counted(), dead: len(dead.letters) > 0}
	if out.dead {
		h := dead.headers(t)
		out.code, out.data = h["ce_knativeerrorcode"], h["ce_knativeerrordata"]
	}
	return out
}

// An event has the same fate here and with Knative's own dispatcher: as many
// attempts, dead letter or not, and the same code and data on it.
func TestFateIsKnatives(t *testing.T) {
	linear := eventingduckv1.BackoffPolicyLinear
	spec := eventingduckv1.DeliverySpec{
		Retry: new(int32(2)), BackoffPolicy: &linear, BackoffDelay: new("PT1S"), Timeout: new("PT20S"),
	}
	for status := 200; status < 600; status++ {
		body := fmt.Sprint("answer ", status)
		f := aim(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			if status != http.StatusNoContent && status != http.StatusNotModified {
				_, _ = io.WriteString(w, body)
			}
		})
		want, got := f.knative(t, anEvent("a"), spec), f.ours(t, anEvent("a"), spec)
		if got != want {
			t.Errorf("status %d: %+v, by Knative %+v", status, got, want)
		}
	}
}

// The same where a function is well again after one failure, does not answer in
// time, or breaks off. Of what gave no answer kncloudevents writes a code 500 of
// its own; a KafkaSource's data plane, and we, write none.
func TestFateWithoutAnswerIsKnatives(t *testing.T) {
	linear := eventingduckv1.BackoffPolicyLinear
	for name, c := range map[string]struct {
		timeout string
		play    func() http.HandlerFunc
		tries   int
		dead    bool
	}{
		"well again": {"PT20S", func() http.HandlerFunc {
			var mu sync.Mutex
			tries := 0
			return func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				if tries++; tries%2 == 1 {
					w.WriteHeader(http.StatusServiceUnavailable)
				}
			}
		}, 2, false},
		"too late": {"PT0.1S", func() http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				<-r.Context().Done()
			}
		}, 3, true},
		"breaks off": {"PT20S", func() http.HandlerFunc {
			return func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
		}, 3, true},
	} {
		t.Run(name, func(t *testing.T) {
			spec := eventingduckv1.DeliverySpec{
				Retry: new(int32(2)), BackoffPolicy: &linear, BackoffDelay: new("PT1S"), Timeout: &c.timeout,
			}
			f := aim(t, c.play())
			theirs, got := f.knative(t, anEvent("a"), spec), f.ours(t, anEvent("a"), spec)
			if theirs.tries != c.tries || got.tries != c.tries || theirs.dead != c.dead || got.dead != c.dead {
				t.Errorf("%+v, by Knative %+v; want %d attempts, dead letter %v", got, theirs, c.tries, c.dead)
			}
			if c.dead && (theirs.code != "500" || got.code != "" || got.data != "") {
				t.Errorf("%+v, by Knative %+v", got, theirs)
			}
		})
	}
}

// The request is Knative's too: the event's attributes as headers, the data as
// it is, and Prefer: reply.
func TestRequestIsKnatives(t *testing.T) {
	linear := eventingduckv1.BackoffPolicyLinear
	spec := eventingduckv1.DeliverySpec{
		Retry: new(int32(0)), BackoffPolicy: &linear, BackoffDelay: new("PT1S"), Timeout: new("PT20S"),
	}
	type seen struct {
		method, path, body string
		headers            http.Header
	}
	requests := make(chan seen, 2)
	f := aim(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h := r.Header.Clone()
		for name := range h { // what a client or its tracing adds is not the event's
			if !strings.HasPrefix(name, "Ce-") && name != "Content-Type" && name != "Prefer" {
				h.Del(name)
			}
		}
		requests <- seen{r.Method, r.URL.Path, string(body), h}
	})
	f.knative(t, anEvent("a"), spec)
	f.ours(t, anEvent("a"), spec)
	for range 2 {
		select {
		case <-time.After(20 * time.Second):
			t.Fatal("no request")
		case got := <-requests:
			if got.method != http.MethodPost || got.path != "/" || got.body != "data a" {
				t.Errorf("request %+v", got)
			}
			for name, want := range map[string]string{
				"Ce-Id": "a", "Ce-Type": "test.v1", "Ce-Source": "/test", "Ce-Specversion": "1.0", "Ce-Own": "kept", "Prefer": "reply",
				"Ce-Knativekafkapartition": "3", "Ce-Knativekafkaoffset": "14", "Content-Type": "text/plain",
			} {
				if got.headers.Get(name) != want {
					t.Errorf("%s: %q, want %q", name, got.headers.Get(name), want)
				}
			}
			if len(got.headers) != 9 {
				t.Errorf("headers %v", got.headers)
			}
		}
	}
}
