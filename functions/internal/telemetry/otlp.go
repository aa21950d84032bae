package telemetry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"marimba/config"
)

// Bounds of telling a collector. Spans that it does not take in time, or that
// more wait than may, are let go: nothing waits for it.
const (
	exportTimeout = 3 * time.Second
	exportAtEnd   = 2 * time.Second
	maxQueue      = 2048
	maxAnswer     = 64 << 10
)

// exporter sends spans to a collector.
type exporter struct {
	provider *sdk.TracerProvider
}

// export has spans made and sent. The sampler and the rest of the batching are as
// OpenTelemetry's variables say.
func export(at config.Server) *exporter {
	ctx := context.Background()
	client := &collector{
		url:     strings.TrimSuffix(at.Collector, "/") + "/v1/traces",
		headers: headersOf(at.CollectorHeaders.Reveal()),
		http:    &http.Client{Timeout: exportTimeout},
	}
	// Start of the client cannot fail: it has nothing to do.
	out := otlptrace.NewUnstarted(client)
	if err := out.Start(ctx); err != nil {
		slog.Warn("traces are not told", "error", err)
		return nil
	}
	// What OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME say goes before the name.
	about, err := resource.New(ctx, resource.WithTelemetrySDK(),
		resource.WithAttributes(attribute.String("service.namespace", "marimba"), attribute.String("service.name", function)),
		resource.WithFromEnv())
	if err != nil {
		slog.Warn("traces do not say all of where they are from", "error", err)
	}
	otel.SetErrorHandler(&faults{})
	provider := sdk.NewTracerProvider(
		sdk.WithResource(about),
		sdk.WithBatcher(out, sdk.WithMaxQueueSize(maxQueue), sdk.WithExportTimeout(exportTimeout)),
	)
	tracer = provider.Tracer("marimba")
	return &exporter{provider}
}

// close sends what waits, but not for long: a collector that is away does not
// keep a process from ending.
func (e *exporter) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, exportAtEnd)
	defer cancel()
	return e.provider.Shutdown(ctx)
}

// faults tells of what went wrong with traces, once for each fault in a row.
type faults struct {
	mu   sync.Mutex
	told string
}

func (f *faults) Handle(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if text := err.Error(); text != f.told {
		f.told = text
		slog.Warn("traces are lost", "error", err)
	}
}

// collector is OTLP over HTTP (OpenTelemetry protocol, 1.x): one POST of protobuf
// for a batch. It is written here because the library's own client would link gRPC
// and its gateway into each function.
type collector struct {
	url     string
	headers map[string]string
	http    *http.Client
}

func (c *collector) Start(context.Context) error { return nil }

func (c *collector) Stop(context.Context) error {
	c.http.CloseIdleConnections()
	return nil
}

// UploadTraces sends a batch once: what the collector does not take is lost.
// TracesData has the wire form of ExportTraceServiceRequest.
func (c *collector) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return fmt.Errorf("write spans: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("ask the collector: %w", err)
	}
	for name, value := range c.headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	res, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("ask the collector: %w", err)
	}
	defer res.Body.Close()                                          //nolint:errcheck // it was only read
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, maxAnswer)) // so that the connection can be used again
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return errors.New("the collector answered " + res.Status)
	}
	return nil
}

// headersOf reads "name=value,name=value", with values as in URLs. What is not of
// this form is left out.
func headersOf(list string) map[string]string {
	headers := make(map[string]string)
	for pair := range strings.SplitSeq(list, ",") {
		name, value, ok := strings.Cut(pair, "=")
		if text, err := url.PathUnescape(strings.TrimSpace(value)); ok && err == nil {
			headers[strings.TrimSpace(name)] = text
		}
	}
	return headers
}
