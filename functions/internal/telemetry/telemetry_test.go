package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"marimba/config"
	"marimba/events"
)

// A trace that somebody else began, and who is in it.
const (
	theirs  = "4bf92f3577b34da6a3ce929d0e0e4736"
	parent  = "00-" + theirs + "-00f067aa0ba902b7-01"
	private = "ana@example.gt"
)

// twin is a register of contests.
type twin map[string]bool

func (t twin) Contest(id string) (events.Contest, bool) { return events.Contest{ID: id}, t[id] }

// know says which contests there are until the test ends.
func know(t *testing.T, ids ...string) {
	t.Helper()
	known := twin{}
	for _, id := range ids {
		known[id] = true
	}
	Contests(known)
	t.Cleanup(func() { Contests(nil) })
}

// Whatever clients send, a label has few values.
func TestLabelsAreBounded(t *testing.T) {
	var many []string
	for i := range 5 * maxContests {
		many = append(many, fmt.Sprintf("contest-%d", i))
	}
	know(t, many...)
	seen := map[string]bool{}
	for _, id := range append(many, "", "made-up", private, "contest-0", "contest-999") {
		seen[contestLabel(id)] = true
	}
	if len(seen) != maxContests+2 || !seen[unknown] || !seen[other] || seen["made-up"] || seen[private] {
		t.Errorf("%d values of contest: %v", len(seen), seen)
	}
	for _, code := range events.Codes {
		if codeLabel(code) != string(code) {
			t.Errorf("code %s is %s", code, codeLabel(code))
		}
	}
	for got, want := range map[string]string{
		codeLabel("made_up"): other, codeLabel(""): other,
		causeLabel("no_answer"): "no_answer", causeLabel(string(events.EventMalformed)): "event_malformed", causeLabel(private): other,
		channelLabel(events.ByGRPC): "grpc", channelLabel("fax"): other,
		stateLabel(events.Counted): "counted", stateLabel("lost"): other,
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Before the contests are known none has a figure of its own.
func TestNoContestIsKnownAtFirst(t *testing.T) {
	if got := contestLabel("default"); got != unknown {
		t.Errorf("%q", got)
	}
}

// What is not asked for starts nothing, takes no memory, and still passes on the
// trace that a request says it is part of.
func TestOffByDefault(t *testing.T) {
	before := runtime.NumGoroutine()
	p := Open(config.Server{})
	if after := runtime.NumGoroutine(); after != before || tracer != nil || p.exporter != nil || p.server.Load() != nil {
		t.Errorf("%d goroutines before, %d after; %+v", before, after, p)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
	ctx := t.Context()
	var e event.Event
	if n := testing.AllocsPerRun(100, func() {
		within, end := Span(Continue(ctx, ""), "count")
		within, done := Gather(within, "cast box", nil)
		Note(within, "box", "b")
		Carry(within, &e)
		done(nil)
		end(nil)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	asked := Continue(ctx, parent)
	gathered, end := Gather(ctx, "cast box", []Origin{OriginOf(asked)})
	end(nil)
	e = event.New(event.CloudEventsVersionV1)
	Carry(gathered, &e)
	if got := e.Extensions()["traceparent"]; got != parent || TraceID(gathered) != theirs {
		t.Errorf("carries %v", got)
	}
}

// What is not W3C's form is no trace.
func TestContinueRefuses(t *testing.T) {
	for _, said := range []string{
		"", "x", private, "00-" + strings.Repeat("0", 32) + "-00f067aa0ba902b7-01", "00-" + theirs + "-00f067aa0ba902b7",
		"ff-" + theirs + "-00f067aa0ba902b7-01", strings.ToUpper(parent), parent + "\n", strings.Repeat("0", 1<<16),
	} {
		if ctx := Continue(t.Context(), said); TraceID(ctx) != "" || Parent(ctx) != "" {
			t.Errorf("%.60q is trace %s", said, TraceID(ctx))
		}
	}
}

// receiver is an OpenTelemetry collector that keeps what it is told.
type receiver struct {
	*httptest.Server
	batches chan *collectorpb.ExportTraceServiceRequest
	headers chan http.Header
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{batches: make(chan *collectorpb.ExportTraceServiceRequest, 100), headers: make(chan http.Header, 100)}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		var batch collectorpb.ExportTraceServiceRequest
		if err != nil || req.URL.Path != "/v1/traces" || proto.Unmarshal(body, &batch) != nil {
			t.Errorf("%s %s: %v: %d bytes", req.Method, req.URL.Path, err, len(body))
		}
		r.batches <- &batch
		r.headers <- req.Header
	}))
	t.Cleanup(r.Close)
	return r
}

// tracing opens the process with a collector until the test ends.
func tracing(t *testing.T, url string) *Process {
	t.Helper()
	p := Open(config.Server{Collector: url, CollectorHeaders: "x-key=a%20key,broken,x-two=2"})
	t.Cleanup(func() { tracer = nil })
	if tracer == nil {
		t.Fatal("there is no tracer")
	}
	return p
}

// Spans go to the collector when the process ends, in the trace of the request
// that began them; those of a box's other requests are linked, not too many.
func TestTraces(t *testing.T) {
	Name("ingress-http")
	collector := newReceiver(t)
	p := tracing(t, collector.URL)
	ctx, request := Begin(t.Context(), "POST /", parent)
	origins := []Origin{OriginOf(ctx)}
	for i := range 3 * maxLinks {
		origins = append(origins, trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: trace.TraceID{1, byte(i)}, SpanID: trace.SpanID{1, byte(i)}, TraceFlags: trace.FlagsSampled, Remote: true,
		}))
	}
	box, end := Gather(context.Background(), "cast box", origins)
	Note(box, "box", "b1")
	carried := Parent(box)
	end(fmt.Errorf("kafka did not confirm: %w", errors.New(private)))
	request.End("POST /", "202", false)
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	batch := <-collector.batches
	if h := <-collector.headers; h.Get("X-Key") != "a key" || h.Get("X-Two") != "2" || h.Get("Content-Type") != "application/x-protobuf" {
		t.Errorf("headers %v", h)
	}
	text := batch.String()
	if strings.Contains(text, private) || !strings.Contains(text, `"ingress-http"`) {
		t.Errorf("told: %s", text)
	}
	spans := map[string]*tracepb.Span{}
	for _, of := range batch.GetResourceSpans()[0].GetScopeSpans() {
		for _, s := range of.GetSpans() {
			spans[s.GetName()] = s
			if fmt.Sprintf("%x", s.GetTraceId()) != theirs {
				t.Errorf("%s is in trace %x", s.GetName(), s.GetTraceId())
			}
		}
	}
	server, cast := spans["POST /"], spans["cast box"]
	if server == nil || cast == nil || fmt.Sprintf("%x", server.GetParentSpanId()) != "00f067aa0ba902b7" ||
		!bytes.Equal(cast.GetParentSpanId(), server.GetSpanId()) || len(cast.GetLinks()) != maxLinks ||
		cast.GetStatus().GetCode() != tracepb.Status_STATUS_CODE_ERROR {
		t.Errorf("spans %v", spans)
	}
	if want := fmt.Sprintf("00-%s-%x-01", theirs, cast.GetSpanId()); carried != want {
		t.Errorf("carried %s, want %s", carried, want)
	}
}

// A collector that takes a request and never answers keeps neither a request nor
// the end of the process waiting.
func TestCollectorHangs(t *testing.T) {
	release := make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer hangs.Close()
	defer close(release)
	p := tracing(t, hangs.URL)
	for range 3 * maxQueue { // more than may wait
		_, end := Span(t.Context(), "count")
		end(nil)
	}
	if err := p.Close(t.Context()); err == nil {
		t.Error("nothing is said of what is lost")
	}
}

// A line that is logged with a request's context names its trace.
func TestLog(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(Log(slog.NewJSONHandler(&out, nil))).With("function", "tally").WithGroup("g")
	log.InfoContext(Continue(t.Context(), parent), "one", "event", "b1/accepted")
	log.InfoContext(t.Context(), "two")
	var lines []map[string]any
	for in := json.NewDecoder(&out); ; {
		var line map[string]any
		if in.Decode(&line) != nil {
			break
		}
		lines = append(lines, line)
	}
	if len(lines) != 2 || lines[0]["g"].(map[string]any)["trace_id"] != theirs || lines[0]["function"] != "tally" || lines[1]["trace_id"] != nil {
		t.Errorf("%v", lines)
	}
}

// scrape asks as Prometheus does.
func scrape(t *testing.T) string {
	t.Helper()
	req := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	req.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	answer := httptest.NewRecorder()
	Handler(registry()).ServeHTTP(answer, req)
	if answer.Code != http.StatusOK || !strings.HasPrefix(answer.Header().Get("Content-Type"), "application/openmetrics-text") {
		t.Fatalf("%d %s", answer.Code, answer.Header())
	}
	return answer.Body.String()
}

// A request is counted by the route that answers it, and is an example of its
// bucket, with its trace; also one that panics.
func TestRequests(t *testing.T) {
	Name("results")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /things/{id}", func(w http.ResponseWriter, req *http.Request) {
		if TraceID(req.Context()) != theirs {
			t.Errorf("in trace %q", TraceID(req.Context()))
		}
		w.WriteHeader(http.StatusTeapot)
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
	})
	mux.HandleFunc("GET /broken", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	outer := http.NewServeMux()
	outer.Handle("/", Requests(mux))
	req := httptest.NewRequest(http.MethodGet, "/things/"+private, nil)
	req.Header.Set("Traceparent", "00-"+strings.Repeat("1", 32)+"-00f067aa0ba902b7-01")
	req.Header.Set("Ce-Traceparent", parent) // the event's own word goes first
	outer.ServeHTTP(httptest.NewRecorder(), req)
	func() {
		defer func() { _ = recover() }()
		outer.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/broken", nil))
	}()
	text := scrape(t)
	for _, want := range []string{
		`marimba_request_duration_seconds_count{code="418",function="results",route="GET /things/{id}"} 1`,
		`marimba_request_duration_seconds_count{code="500",function="results",route="GET /broken"} 1`,
		`# {trace_id="` + theirs + `"}`,
		`marimba_requests_in_flight{function="results"} 0.0`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is missing", want)
		}
	}
	if strings.Contains(text, private) {
		t.Error("a path is told")
	}
}

// Of a box's votes each is counted by how it ended, and those that were counted
// have their time, with an example.
func TestFinal(t *testing.T) {
	Name("tally")
	know(t, "rock")
	box := events.Box{ID: "b1", Contest: "rock", Channel: events.ByHTTP, Votes: make([]events.Vote, 4)}
	for i := range box.Votes {
		box.Votes[i].At = time.Now().Add(-12 * time.Second)
	}
	box.Votes[3].Reason = "made_up"
	before := figures(t)
	Final(Continue(t.Context(), parent), box, []events.State{events.Counted, events.Counted, events.Duplicate, events.Refused})
	after := figures(t)
	for series, want := range map[string]float64{
		`marimba_votes_final_total channel=http contest=rock function=tally reason= state=counted`:       2,
		`marimba_votes_final_total channel=http contest=rock function=tally reason= state=duplicate`:     1,
		`marimba_votes_final_total channel=http contest=rock function=tally reason=_other state=refused`: 1,
		`marimba_cast_to_counted_seconds contest=rock function=tally`:                                    2,
	} {
		if got := after[series] - before[series]; got != want {
			t.Errorf("%s: %v, want %v", series, got, want)
		}
	}
	example := regexp.MustCompile(`marimba_cast_to_counted_seconds_bucket\{contest="rock",function="tally",le="30.0"\} \d+ # \{trace_id="` + theirs + `"\} \d+`)
	if text := scrape(t); !example.MatchString(text) {
		t.Error("there is no example")
	}
}

// figures are all counters, and the counts of histograms.
func figures(t *testing.T) map[string]float64 {
	t.Helper()
	families, err := registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetName() + "=" + l.GetValue()
			}
			out[name] = m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return out
}

// Every figure is ours by its name, and says what it is.
func TestFiguresAreDescribed(t *testing.T) {
	for _, c := range all {
		descs := make(chan *prometheus.Desc, 1)
		c.Describe(descs)
		text := (<-descs).String()
		if !strings.Contains(text, `"marimba_`) || strings.Contains(text, `help: ""`) {
			t.Error(text)
		}
	}
}

// The process began before this test did, and not long before.
func TestProcessBegan(t *testing.T) {
	at := processBegan()
	if at.After(time.Now()) || began.Sub(at) > time.Minute {
		t.Errorf("began %s before its code", began.Sub(at))
	}
}

// What a request costs when nothing is asked for but figures.
func BenchmarkRequests(b *testing.B) {
	answers := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) })
	for name, h := range map[string]http.Handler{"bare": answers, "told": Requests(answers)} {
		b.Run(name, func(b *testing.B) {
			req := httptest.NewRequest(http.MethodPost, "/", nil)
			req.Pattern = "POST /"
			w := httptest.NewRecorder()
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, req)
			}
		})
	}
}

// What a full box of counted votes costs.
func BenchmarkFinal(b *testing.B) {
	Contests(twin{"rock": true})
	box := events.Box{Contest: "rock", Channel: events.ByHTTP, Votes: make([]events.Vote, events.MaxBoxVotes)}
	states := slices.Repeat([]events.State{events.Counted}, len(box.Votes))
	for i := range box.Votes {
		box.Votes[i].At = time.Now().Add(-time.Duration(i) * time.Millisecond)
	}
	b.ReportAllocs()
	for b.Loop() {
		Final(b.Context(), box, states)
	}
}
