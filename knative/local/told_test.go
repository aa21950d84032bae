//go:build unix

package local_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/twmb/franz-go/pkg/kgo"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"marimba/knative"
	"marimba/knative/local"
	marimbav1 "marimba/proto/marimba/v1"
)

var update = flag.Bool("update", false, "write the list of figures anew")

// What is in every vote of the test and may be in no log line, label or span.
const (
	secretBand  = "Alux Nahual"
	secretAlbum = "Conquista"
	secretVoter = "ana.morales@example.gt"
	refusedBand = "Bohemia Suburbana"
)

// Traces that clients began: of a vote by HTTP, and of one that goes by way of gRPC.
const (
	theirTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	innerTrace = "80f198ee56343ba864fe8b2a57d3eff7"
)

// collector keeps the spans that the functions tell.
type collector struct {
	*httptest.Server
	mu    sync.Mutex
	spans map[string][]*tracepb.Span // by function
	text  bytes.Buffer
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{spans: map[string][]*tracepb.Span{}}
	c.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		var batch tracepb.TracesData // an ExportTraceServiceRequest, on the wire
		if err == nil {
			err = proto.Unmarshal(body, &batch)
		}
		if err != nil {
			t.Error(err)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.text.Write(body)
		for _, of := range batch.GetResourceSpans() {
			function := ""
			for _, a := range of.GetResource().GetAttributes() {
				if a.GetKey() == "service.name" {
					function = a.GetValue().GetStringValue()
				}
			}
			for _, scope := range of.GetScopeSpans() {
				c.spans[function] = append(c.spans[function], scope.GetSpans()...)
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// in returns "function: span" of each span of a trace.
func (c *collector) in(trace string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for function, spans := range c.spans {
		for _, s := range spans {
			if fmt.Sprintf("%x", s.GetTraceId()) == trace {
				out = append(out, function+": "+s.GetName())
			}
		}
	}
	slices.Sort(out)
	return out
}

// scrape asks an address of figures as Prometheus does. Of several processes of a
// function the figures are put together.
func scrape(t *testing.T, url string, into map[string]*dto.MetricFamily) (text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, res.Status, err)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(body))
	if err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	for name, f := range families {
		if has := into[name]; has != nil {
			has.Metric = append(has.Metric, f.Metric...)
			continue
		}
		into[name] = f
	}
	return string(body)
}

// openMetrics asks for figures in the form that has examples.
func openMetrics(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// list says of each figure what it is, and which labels it has.
func list(families map[string]*dto.MetricFamily) string {
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(families)) {
		f := families[name]
		labels := map[string]bool{}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = true
			}
		}
		fmt.Fprintf(&out, "%s %s %s\n", name, strings.ToLower(f.GetType().String()), strings.Join(slices.Sorted(maps.Keys(labels)), " "))
	}
	return out.String()
}

// value is the sum of a figure's series that have the labels.
func value(families map[string]*dto.MetricFamily, name string, labels ...string) float64 {
	sum := 0.0
	for _, m := range families[name].GetMetric() {
		all := true
		for i := 0; i+1 < len(labels); i += 2 {
			all = all && slices.ContainsFunc(m.GetLabel(), func(l *dto.LabelPair) bool {
				return l.GetName() == labels[i] && l.GetValue() == labels[i+1]
			})
		}
		if all {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return sum
}

// The whole way of votes as it is told: which figures there are, that a client's
// trace leads from the door to the log's row, and that no log, label or span holds
// a vote's contents or its voter, even when all is logged that can be.
func TestTold(t *testing.T) {
	traces := newCollector(t)
	var log syncBuffer
	h := raiseWith(t, "embedded", func(o *local.Options) {
		o.Manifests = knative.Base // no function sleeps before it was asked
		o.Observe = "127.0.0.1:0"
		o.Log = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		o.Env = map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": traces.URL, "LOG_LEVEL": "debug"}
	})
	receipt := castAll(t, h)
	killPoison(t, h)
	h.await(t, func(b books) bool { return b.States["counted"] >= 3 && sum(b.Pending) == 0 })

	var row struct {
		TraceID string `json:"trace_id"`
		State   string
	}
	showAdmin(t, h, "/v1/receipts/"+receipt, &row)
	if row.TraceID != theirTrace || row.State != "counted" {
		t.Errorf("the log's row is %+v", row)
	}
	var public map[string]any
	if err := h.show(t.Context(), "/v1/receipts/"+receipt, &public); err != nil || public["trace_id"] != nil {
		t.Errorf("public is %v, %v", public, err)
	}

	families, texts, examples := map[string]*dto.MetricFamily{}, "", ""
	var targets []struct{ Targets []string }
	readJSON(t, h.Observed().Targets, &targets)
	for _, target := range targets {
		texts += scrape(t, "http://"+target.Targets[0]+"/metrics", families)
		examples += openMetrics(t, "http://"+target.Targets[0]+"/metrics")
	}
	texts += scrape(t, h.Observed().Metrics, families)
	compare(t, list(families))
	checkFigures(t, families)

	functions := slices.Collect(maps.Keys(h.Figures()))
	if err := h.Stop(t.Context()); err != nil { // each process tells what it has left to tell at its end
		t.Error(err)
	}
	spans := traces.in(theirTrace)
	for _, want := range []string{
		"ingress-http: POST /v1/contests/{contest}/votes", "ingress-http: cast box", "screen: /", "screen: send judged votes",
		"tally: /", "tally: count", "tally: log", "tally: settle", "tally: announce",
	} {
		if !slices.Contains(spans, want) {
			t.Errorf("the trace has no span %q: %v", want, spans)
		}
	}
	spans = traces.in(innerTrace)
	for _, want := range []string{"ingress-http: POST /grpc", "ingress-grpc: /marimba.v1.Votes/Cast", "ingress-grpc: cast box", "tally: count"} {
		if !slices.Contains(spans, want) {
			t.Errorf("the trace by way of gRPC has no span %q: %v", want, spans)
		}
	}
	example := regexp.MustCompile(`marimba_cast_to_counted_seconds_bucket\{[^}]*\} \S+ # \{trace_id="([0-9a-f]{32})"\}`).FindStringSubmatch(examples)
	if len(example) == 0 || !slices.Contains(traces.in(example[1]), "tally: count") {
		t.Errorf("no trace is an example of how long the way takes: %v", example)
	}
	if len(functions) == 0 {
		t.Error("no function had a process")
	}
	texts += examples + log.String() + traces.text.String()
	for _, function := range functions {
		text, err := os.ReadFile(filepath.Join(h.options.Data, "log", function+".log"))
		if err != nil {
			t.Error(err)
		}
		texts += string(text)
	}
	if !strings.Contains(texts, `"trace_id":"`+theirTrace+`"`) && !strings.Contains(texts, "dead letter shelved") {
		t.Error("no log line was looked at")
	}
	for _, secret := range []string{secretBand, secretAlbum, secretVoter, refusedBand, "alux nahual"} {
		if at := strings.Index(texts, secret); at >= 0 {
			t.Errorf("%q is told: …%s…", secret, texts[max(0, at-200):min(len(texts), at+100)])
		}
	}
}

// castAll casts by each door, with a trace at the first, and hands in what is
// refused. It returns the first vote's receipt.
func castAll(t *testing.T, h *house) string {
	t.Helper()
	vote := map[string]string{"name": secretBand, "album": secretAlbum, "year": "1990", "rank": "2", "voter": secretVoter}
	text, err := json.Marshal(vote)
	if err != nil {
		t.Fatal(err)
	}
	post := func(path string, header map[string]string, body []byte) (int, []byte) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url("ingress-http")+path, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		for name, value := range header {
			req.Header.Set(name, value)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		said, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, said
	}
	status, said := post("/v1/contests/default/votes", map[string]string{"Traceparent": "00-" + theirTrace + "-00f067aa0ba902b7-01"}, text)
	var receipt struct{ Receipt string }
	if err := json.Unmarshal(said, &receipt); err != nil || status != http.StatusAccepted {
		t.Fatalf("%d %s", status, said)
	}
	inner := map[string]string{"Traceparent": "00-" + innerTrace + "-00f067aa0ba902b7-01"}
	for path, want := range map[string]int{"/grpc": 202, "/v1/contests/made-up/votes": 404} {
		if status, said := post(path, inner, text); status != want {
			t.Errorf("%s: %d %s", path, status, said)
		}
	}
	wrong := fmt.Appendf(nil, `[{"name":%q,"album":%q,"year":1,"rank":1},{%q:1}]`, refusedBand, secretAlbum, secretVoter)
	if status, said := post("/v1/contests/default/votes", nil, wrong); status != http.StatusUnprocessableEntity {
		t.Errorf("%d %s", status, said)
	}
	v := ballots(0, 1)[0]
	v.Voter = secretVoter
	if _, err := insist(t.Context(), func(ctx context.Context, votes []*marimbav1.Vote) error {
		_, err := h.votes.Cast(ctx, votes[0])
		return err
	}, []*marimbav1.Vote{v}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.votes.Cast(t.Context(), &marimbav1.Vote{Name: refusedBand, Year: secretVoter}); err == nil {
		t.Error("a vote without sense is taken")
	}
	return receipt.Receipt
}

// killPoison puts what nobody can read into Kafka, and waits until it is shelved.
func killPoison(t *testing.T, h *house) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(h.Addresses().Kafka))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	poison := &kgo.Record{Topic: "votes.cast", Value: []byte(refusedBand + " " + secretVoter)}
	if err := client.ProduceSync(t.Context(), poison).FirstErr(); err != nil {
		t.Fatal(err)
	}
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for h.Figures()["shelve"].Delivered == 0 {
		select {
		case <-again.C:
		case <-t.Context().Done():
			t.Fatal("the dead letter is not shelved")
		}
	}
}

func checkFigures(t *testing.T, families map[string]*dto.MetricFamily) {
	t.Helper()
	for _, want := range []struct {
		n      float64
		name   string
		labels []string
	}{
		{1, "marimba_votes_accepted_total", []string{"function", "ingress-http", "contest", "default", "channel", "http"}},
		{2, "marimba_votes_accepted_total", []string{"function", "ingress-grpc", "contest", "default", "channel", "grpc"}},
		{1, "marimba_votes_refused_total", []string{"function", "ingress-http", "contest", "_unknown", "code", "contest_unknown"}},
		{4, "marimba_votes_refused_total", nil},
		{3, "marimba_votes_final_total", []string{"function", "tally", "contest", "default", "state", "counted", "reason", ""}},
		{3, "marimba_cast_to_counted_seconds", []string{"function", "tally", "contest", "default"}},
		{1, "marimba_boxes_total", []string{"function", "screen", "outcome", "poison"}},
		{3, "marimba_boxes_total", []string{"function", "tally", "outcome", "pass"}},
		{1, "marimba_dead_letters_total", []string{"function", "shelve", "reason", "event_malformed"}},
		{1, "marimba_starts_total", []string{"function", "tally"}},
		{1, "marimba_house_cold_starts_total", []string{"function", "tally"}},
		{1, "marimba_house_dead_letters_total", []string{"function", "screen"}},
	} {
		if got := value(families, want.name, want.labels...); got != want.n {
			t.Errorf("%s %v is %v, want %v", want.name, want.labels, got, want.n)
		}
	}
	if value(families, "kafka_topic_partition_current_offset", "topic", "votes.accepted") < 3 {
		t.Errorf("offsets: %v", families["kafka_topic_partition_current_offset"])
	}
	if families["kafka_consumergroup_lag"] == nil || families["process_resident_memory_bytes"] == nil {
		t.Errorf("%v", slices.Sorted(maps.Keys(families)))
	}
}

// compare holds the list of figures against what dashboards and alerts rest on.
func compare(t *testing.T, got string) {
	t.Helper()
	const golden = "testdata/figures.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || got != string(want) {
		t.Errorf("figures are\n%s\nwant\n%s\n%v; if that is meant, run with -update", got, want, err)
	}
}

// syncBuffer is a log that several write.
type syncBuffer struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.out.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.out.String()
}

func readJSON(t *testing.T, url string, into any) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(into); err != nil {
		t.Fatal(err)
	}
}

// showAdmin reads a document of results with the token.
func showAdmin(t *testing.T, h *house, path string, into any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.url("results")+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+h.Secret("ADMIN_TOKEN"))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", path, res.Status)
	}
	if err := json.NewDecoder(res.Body).Decode(into); err != nil {
		t.Fatal(err)
	}
}
