package telemetry

import (
	"context"
	"errors"
	"net/http"

	"github.com/cloudevents/sdk-go/v2/event"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// maxLinks bounds the traces that a box is linked to beside its own.
const maxLinks = 32

// traceparent is the name of W3C's trace context in HTTP and gRPC, and of
// CloudEvents' distributed tracing extension.
const traceparent = "traceparent"

// tracer makes spans; nil: none are made. It is set before anything is served.
var tracer trace.Tracer

// TraceID is the trace that ctx is part of, in hexadecimal; "" if it is in none.
func TraceID(ctx context.Context) string {
	if id := trace.SpanContextFromContext(ctx).TraceID(); id.IsValid() {
		return id.String()
	}
	return ""
}

// Span begins a span within that of ctx. The returned function ends it, with what
// went wrong.
func Span(ctx context.Context, name string) (context.Context, func(error)) {
	if tracer == nil {
		return ctx, noEnd
	}
	return begin(ctx, name, trace.SpanKindInternal)
}

// Origin is a request's place in its trace.
type Origin = trace.SpanContext

// OriginOf is the place that ctx is at.
func OriginOf(ctx context.Context) Origin { return trace.SpanContextFromContext(ctx) }

// Gather begins the span of something that is made of several requests: it is
// part of the first one's trace, and linked to those of the others, as far as
// they are not too many. Without a tracer it goes on in the first one's.
func Gather(ctx context.Context, name string, origins []Origin) (context.Context, func(error)) {
	if len(origins) > 0 {
		ctx = trace.ContextWithSpanContext(ctx, origins[0])
	}
	if tracer == nil {
		return ctx, noEnd
	}
	var links []trace.Link
	for _, o := range origins[min(1, len(origins)):min(1+maxLinks, len(origins))] {
		links = append(links, trace.Link{SpanContext: o})
	}
	return begin(ctx, name, trace.SpanKindProducer, trace.WithLinks(links...))
}

// MaxOrigins is how many of a box's requests Gather takes note of.
const MaxOrigins = 1 + maxLinks

func begin(ctx context.Context, name string, kind trace.SpanKind, more ...trace.SpanStartOption) (context.Context, func(error)) {
	ctx, span := tracer.Start(ctx, name, append(more, trace.WithSpanKind(kind))...)
	return ctx, func(err error) {
		fail(span, err)
		span.End()
	}
}

func noEnd(error) {}

// fail notes what went wrong in a span. An error's text is not part of it: those
// of others may hold what is nobody's business.
func fail(span trace.Span, err error) {
	switch {
	case err == nil:
	case errors.Is(err, context.Canceled):
		span.SetStatus(codes.Error, "canceled")
	case errors.Is(err, context.DeadlineExceeded):
		span.SetStatus(codes.Error, "timeout")
	default:
		span.SetStatus(codes.Error, "failed")
	}
}

// Note adds to the span of ctx what it is about, such as a box's id.
func Note(ctx context.Context, name, value string) {
	if tracer != nil {
		trace.SpanFromContext(ctx).SetAttributes(attribute.String(name, value))
	}
}

// context of traces as W3C has it. Its tracestate and baggage are not taken: they
// are of any content.
var w3c propagation.TraceContext

// one carries the one header that is taken.
type one struct {
	get string
	set func(value string)
}

func (o one) Get(key string) string {
	if key == traceparent {
		return o.get
	}
	return ""
}

func (o one) Set(key, value string) {
	if key == traceparent {
		o.set(value)
	}
}

func (o one) Keys() []string { return []string{traceparent} }

// Continue puts ctx into the trace that a text of W3C's form names. Any other
// text names none.
func Continue(ctx context.Context, parent string) context.Context {
	if parent == "" {
		return ctx
	}
	return w3c.Extract(ctx, one{get: parent})
}

// Parent is what a call that ctx makes says of its trace; "" if it is in none.
func Parent(ctx context.Context) string {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return ""
	}
	var parent string
	w3c.Inject(ctx, one{set: func(value string) { parent = value }})
	return parent
}

// ParentOf is what an event says of its trace; "" if it says nothing.
func ParentOf(e event.Event) string {
	parent, _ := e.Extensions()[traceparent].(string)
	return parent
}

// Carry writes the trace that ctx is part of on an event, as CloudEvents'
// extension for distributed tracing.
func Carry(ctx context.Context, e *event.Event) {
	if parent := Parent(ctx); parent != "" {
		e.SetExtension(traceparent, parent)
	}
}

// parentOf is what a request says of its trace. An event's own word goes before
// that of whatever brought it.
func parentOf(h http.Header) string {
	if of := h["Ce-Traceparent"]; len(of) > 0 {
		return of[0]
	}
	if of := h["Traceparent"]; len(of) > 0 {
		return of[0]
	}
	return ""
}
