// Package telemetry tells an operator what a function does and how well: figures
// that Prometheus asks for, traces that go to an OpenTelemetry collector, and log
// lines that name their trace.
//
// What it tells never holds a vote's contents or its voter, and has bounds: no
// label takes a value that a client chooses. Nothing here can fail a vote or make
// it wait. What is not asked for costs next to nothing: without METRICS_PORT
// nobody listens, and without a collector no span is made. But the trace that a
// request says it is part of is passed on in either case, as far as the log.
package telemetry
