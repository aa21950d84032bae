package telemetry

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"marimba/events"
)

// Bounds of histograms, in seconds: calls within the cluster, whole requests, and
// the way of a vote.
var (
	callBuckets    = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	requestBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
	wayBuckets     = append(requestBuckets[:len(requestBuckets):len(requestBuckets)], 60)
	boxBuckets     = []float64{1, 2, 5, 10, 20, 50, 100, 200, 500}
)

// The figures. Each is told by those functions that have something to tell.
var (
	accepted = counter("marimba_votes_accepted_total",
		"Votes that Kafka confirmed.", "contest", "channel")
	refused = counter("marimba_votes_refused_total",
		"Ballots, or requests as a whole, that were refused at the door.", "contest", "code")
	unavailable = counter("marimba_unavailable_total",
		"Answers of a door that the same may succeed later.", "cause")
	requests = histogram("marimba_request_duration_seconds",
		"Time from a request's arrival to the end of its answer.", requestBuckets, "route", "code")
	inFlight = prometheus.NewGauge(prometheus.GaugeOpts{Name: "marimba_requests_in_flight",
		Help: "Requests that are being answered."})
	boxes = counter("marimba_boxes_total",
		"Events from Kafka by how their handling ended; after an error the event comes again.", "outcome")
	boxVotes = histogram("marimba_box_votes",
		"Votes of a box that was cast or handled.", boxBuckets)
	produce = histogram("marimba_kafka_produce_duration_seconds",
		"Time until Kafka confirmed an event.", callBuckets, "topic", "outcome")
	redis = histogram("marimba_redis_duration_seconds",
		"Time of a call of Redis.", callBuckets, "operation", "outcome")
	mongo = histogram("marimba_mongodb_duration_seconds",
		"Time of a command of MongoDB.", callBuckets, "operation", "outcome")
	final = counter("marimba_votes_final_total",
		"Votes that came to their final state.", "contest", "channel", "state", "reason")
	castToCounted = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "marimba_cast_to_counted_seconds",
		Help:    "Time from a vote's receipt at the door until it was counted and logged.",
		Buckets: wayBuckets, NativeHistogramBucketFactor: 1.1,
		NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
	}, []string{"contest"})
	deadLetters = counter("marimba_dead_letters_total",
		"Dead letters that were shelved.", "reason")
	deadVotes = counter("marimba_dead_votes_total",
		"Votes in the dead letters that were shelved.", "reason")
	startDuration = prometheus.NewGauge(prometheus.GaugeOpts{Name: "marimba_start_duration_seconds",
		Help: "Time from this process's begin until it listened."})
	starts = prometheus.NewCounter(prometheus.CounterOpts{Name: "marimba_starts_total",
		Help: "One, in each process that came to listen."})
)

var all = []prometheus.Collector{
	accepted, refused, unavailable, requests, inFlight, boxes, boxVotes, produce, redis, mongo,
	final, castToCounted, deadLetters, deadVotes, startDuration, starts,
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
}

// Accepted tells of a box that Kafka confirmed.
func Accepted(b events.Box) {
	accepted.WithLabelValues(contestLabel(b.Contest), channelLabel(b.Channel)).Add(float64(len(b.Votes)))
	Box(len(b.Votes))
}

// Refused tells of a ballot, or a request as a whole, that a door refused.
func Refused(contest string, code events.Code) {
	refused.WithLabelValues(contestLabel(contest), codeLabel(code)).Inc()
}

// Cause is why a door answered that the same may succeed later.
type Cause string

// The causes.
const (
	Busy    Cause = "busy"         // as much waits as may
	Kafka   Cause = "kafka"        // it did not confirm
	Rules   Cause = "rules"        // they gave no answer
	Inner   Cause = "ingress_grpc" // which stands behind ingress-http's older route
	Timeout Cause = "timeout"
	Gone    Cause = "gone"  // the client went away
	Other   Cause = "other" // told in the log
)

// Causes lists all causes.
var Causes = []Cause{Busy, Kafka, Rules, Inner, Timeout, Gone, Other}

// Door says that this process is one, whose faults are none at first: what was not
// told of before cannot be seen to grow.
func Door() {
	for _, cause := range Causes {
		unavailable.WithLabelValues(string(cause))
	}
}

// Unavailable tells of such an answer.
func Unavailable(cause Cause) { unavailable.WithLabelValues(string(cause)).Inc() }

// Outcome is how the handling of an event ended.
type Outcome string

// The outcomes.
const (
	Pass   Outcome = "pass"
	Poison Outcome = "poison" // it goes to the dead letters
	Error  Outcome = "error"  // it comes again
)

// Stage says that this process handles events, none at first.
func Stage() {
	for _, o := range []Outcome{Pass, Poison, Error} {
		boxes.WithLabelValues(string(o))
	}
}

// Handled tells of an event that was handled.
func Handled(o Outcome) { boxes.WithLabelValues(string(o)).Inc() }

// Box tells of a box with so many votes that was handled to its end.
func Box(votes int) { boxVotes.WithLabelValues().Observe(float64(votes)) }

// Produced tells how long Kafka took for an event.
func Produced(topic events.Topic, took time.Duration, err error) {
	produce.WithLabelValues(string(topic), ended(err)).Observe(took.Seconds())
}

// Redis tells how long a call took. The operation is a script's or a command's
// name, of which the program has few.
func Redis(operation string, took time.Duration, err error) {
	redis.WithLabelValues(operation, ended(err)).Observe(took.Seconds())
}

// MongoDB tells how long a command took.
func MongoDB(operation string, took time.Duration, err error) {
	mongo.WithLabelValues(operation, ended(err)).Observe(took.Seconds())
}

func ended(err error) string {
	if err != nil {
		return "error"
	}
	return "ok"
}

// Final tells of a box whose votes came to their final states, for the first
// time as far as this process knows.
func Final(ctx context.Context, b events.Box, states []events.State) {
	contest, channel, now := contestLabel(b.Contest), channelLabel(b.Channel), time.Now()
	type end struct {
		state  events.State
		reason string
	}
	ends := make(map[end]int, 4)
	counted := castToCounted.WithLabelValues(contest)
	example := exemplar(ctx)
	for i, v := range b.Votes {
		e := end{state: states[i]}
		if e.state == events.Refused {
			e.reason = codeLabel(v.Reason)
		}
		ends[e]++
		if e.state != events.Counted {
			continue
		}
		took := max(0, now.Sub(v.At).Seconds())
		if example != nil { // once a box: its votes have the trace in common
			counted.(prometheus.ExemplarObserver).ObserveWithExemplar(took, example)
			example = nil
			continue
		}
		counted.Observe(took)
	}
	for e, n := range ends {
		final.WithLabelValues(contest, channel, stateLabel(e.state), e.reason).Add(float64(n))
	}
}

// Shelved tells of a dead letter with so many votes, and of why it is one.
func Shelved(cause string, votes int64) {
	reason := causeLabel(cause)
	deadLetters.WithLabelValues(reason).Inc()
	deadVotes.WithLabelValues(reason).Add(float64(votes))
}

// exemplar names the trace that a figure is an example of, if one is kept of it.
func exemplar(ctx context.Context) prometheus.Labels {
	span := trace.SpanContextFromContext(ctx)
	if !span.IsValid() || !span.IsSampled() {
		return nil
	}
	return prometheus.Labels{"trace_id": span.TraceID().String()}
}
