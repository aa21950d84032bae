package telemetry

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Request is a request that is being answered.
type Request struct {
	ctx   context.Context
	began time.Time
	span  trace.Span // nil: none is made
}

// Begin notes that a request has come that says that it is part of a trace, or
// says nothing. The context that it returns is to be the request's.
func Begin(ctx context.Context, name, parent string) (context.Context, Request) {
	inFlight.Inc()
	r := Request{began: time.Now()}
	ctx = Continue(ctx, parent)
	if tracer != nil {
		ctx, r.span = tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer))
	}
	r.ctx = ctx
	return ctx, r
}

// End notes how a request was answered: what it was, of which there are few, and
// HTTP's status or gRPC's code. failed says that the fault is the function's own.
func (r Request) End(route, code string, failed bool) {
	inFlight.Dec()
	took := time.Since(r.began).Seconds()
	if route == "" {
		route = other
	}
	observer := requests.WithLabelValues(route, code)
	if example := exemplar(r.ctx); example != nil {
		observer.(prometheus.ExemplarObserver).ObserveWithExemplar(took, example)
	} else {
		observer.Observe(took)
	}
	if r.span == nil {
		return
	}
	r.span.SetAttributes(attribute.String("code", code))
	if failed {
		r.span.SetStatus(codes.Error, code)
	}
	r.span.End()
}

// Requests notes each request that h answers.
func Requests(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		ctx, r := Begin(req.Context(), req.Method, parentOf(req.Header))
		if ctx != req.Context() {
			req = req.WithContext(ctx)
		}
		answer := &answer{ResponseWriter: w, status: http.StatusOK}
		returned := false
		defer func() {
			if !returned && !answer.begun { // it panics
				answer.status = http.StatusInternalServerError
			}
			// The router that knew the request has noted what it took it for.
			if r.span != nil && req.Pattern != "" {
				r.span.SetName(req.Pattern)
			}
			r.End(req.Pattern, strconv.Itoa(answer.status), answer.status >= http.StatusInternalServerError)
		}()
		h.ServeHTTP(answer, req)
		returned = true
	})
}

// answer notes an answer's status.
type answer struct {
	http.ResponseWriter
	status int
	begun  bool
}

func (a *answer) WriteHeader(status int) {
	if !a.begun && status >= http.StatusOK { // others go before the answer
		a.status, a.begun = status, true
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(p []byte) (int, error) {
	a.begun = true
	return a.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach what is below.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// CauseOf is the cause of an error of a request whose context is ctx, unless it is
// one that only the door knows.
func CauseOf(ctx context.Context, err error) Cause {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return Gone
	case errors.Is(err, context.DeadlineExceeded):
		return Timeout
	}
	return Other
}
