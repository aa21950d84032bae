//go:build unix

package local

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// told are the figures that Prometheus may ask of the house. What a nil one is
// told is forgotten.
type told struct {
	registry   *prometheus.Registry
	starts     *prometheus.CounterVec
	startTimes *prometheus.HistogramVec
	waits      *prometheus.HistogramVec
	crashes    *prometheus.CounterVec
	requests   *prometheus.CounterVec
	deliveries *prometheus.CounterVec
	retries    *prometheus.CounterVec
	dead       *prometheus.CounterVec
}

// startBuckets are bounds of a start, in seconds.
var startBuckets = []float64{.01, .025, .05, .075, .1, .15, .25, .5, 1, 2.5, 5, 10}

func newTold() *told {
	t := &told{registry: prometheus.NewRegistry()}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		t.registry.MustRegister(c)
		return c
	}
	histogram := func(name, help string) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: startBuckets}, []string{"function"})
		t.registry.MustRegister(h)
		return h
	}
	t.starts = counter("marimba_house_cold_starts_total", "Processes that came to listen.", "function")
	t.startTimes = histogram("marimba_house_cold_start_seconds", "Time from a process's begin until it listened.")
	t.waits = histogram("marimba_house_wait_seconds", "How long requests waited that found no process with room for them.")
	t.crashes = counter("marimba_house_crashes_total", "Processes that failed.", "function")
	t.requests = counter("marimba_house_requests_total", "Requests from outside that were answered.", "function", "code")
	t.deliveries = counter("marimba_house_deliveries_total", "Events that a function took from its source.", "function")
	t.retries = counter("marimba_house_retries_total", "Events that a source sent again.", "function")
	t.dead = counter("marimba_house_dead_letters_total", "Events that a source gave up to the dead letter sink.", "function")
	t.registry.MustRegister(
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewGoCollector(collectors.WithGoCollectorMemStatsMetricsDisabled()),
	)
	return t
}

// begin says that there is a function, of which nothing is told yet: what was not
// told of before cannot be seen to grow.
func (t *told) begin(function string) {
	if t == nil {
		return
	}
	for _, c := range []*prometheus.CounterVec{t.starts, t.crashes, t.deliveries, t.retries, t.dead} {
		c.WithLabelValues(function)
	}
}

// note tells of an event.
func (t *told) note(e Event) {
	if t == nil {
		return
	}
	switch e.Kind {
	case Ready:
		t.starts.WithLabelValues(e.Function).Inc()
		t.startTimes.WithLabelValues(e.Function).Observe(e.Took.Seconds())
	case Crashed:
		t.crashes.WithLabelValues(e.Function).Inc()
	case Retried:
		t.retries.WithLabelValues(e.Function).Inc()
	case DeadLetter:
		t.dead.WithLabelValues(e.Function).Inc()
	}
}

func (t *told) delivered(function string) {
	if t != nil {
		t.deliveries.WithLabelValues(function).Inc()
	}
}

func (t *told) waited(function string, since time.Time) {
	if t != nil {
		t.waits.WithLabelValues(function).Observe(time.Since(since).Seconds())
	}
}

// counted tells of each answer of a function's door.
func (t *told) counted(function string, h http.Handler) http.Handler {
	if t == nil {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		answer := &counted{ResponseWriter: w, status: http.StatusOK}
		defer func() { t.requests.WithLabelValues(function, strconv.Itoa(answer.status)).Inc() }()
		h.ServeHTTP(answer, req)
	})
}

// counted is an answer whose status is noted.
type counted struct {
	http.ResponseWriter
	status int
}

func (c *counted) WriteHeader(status int) {
	if status >= http.StatusOK { // others go before the answer
		c.status = status
	}
	c.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach what is below.
func (c *counted) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// instances tells how many processes there are, whenever it is asked.
type instances struct{ of func() []Process }

var instancesDesc = prometheus.NewDesc("marimba_house_instances", "Processes by where they are in their life.",
	[]string{"function", "state"}, nil)

func (i instances) Describe(to chan<- *prometheus.Desc) { to <- instancesDesc }

func (i instances) Collect(to chan<- prometheus.Metric) {
	type group struct {
		function string
		state    State
	}
	n := map[group]int{}
	for _, p := range i.of() {
		n[group{p.Function, p.State}]++
	}
	for g, n := range n {
		to <- prometheus.MustNewConstMetric(instancesDesc, prometheus.GaugeValue, float64(n), g.function, string(g.state))
	}
}

// lagTimeout bounds how long Kafka is asked for how far the sources are.
const lagTimeout = 2 * time.Second

// lag tells how far the sources are behind their topics, whenever it is asked, by
// the names and labels of the exporter that Strimzi deploys: what shows them here
// shows them on a cluster.
type lag struct {
	admin   *kadm.Client
	sources []source
}

var (
	lagDesc = prometheus.NewDesc("kafka_consumergroup_lag", "Records that a consumer group has not done yet.",
		[]string{"consumergroup", "topic", "partition"}, nil)
	committedDesc = prometheus.NewDesc("kafka_consumergroup_current_offset", "Where a consumer group is.",
		[]string{"consumergroup", "topic", "partition"}, nil)
	endDesc = prometheus.NewDesc("kafka_topic_partition_current_offset", "Where a partition ends.",
		[]string{"topic", "partition"}, nil)
)

func openLag(brokers string, sources []source) (lag, error) {
	client, err := kgo.NewClient(seeds(brokers), kgo.ClientID("marimba-lag"))
	if err != nil {
		return lag{}, err
	}
	return lag{kadm.NewClient(client), sources}, nil
}

func (l lag) close() { l.admin.Close() }

func (l lag) Describe(to chan<- *prometheus.Desc) {
	to <- lagDesc
	to <- committedDesc
	to <- endDesc
}

// Collect tells nothing while Kafka does not answer.
func (l lag) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), lagTimeout)
	defer cancel()
	var topics []string
	for _, s := range l.sources {
		topics = append(topics, s.topics...)
	}
	begins, err := l.admin.ListStartOffsets(ctx, topics...)
	if err != nil {
		return
	}
	ends, err := l.admin.ListEndOffsets(ctx, topics...)
	if err != nil {
		return
	}
	ends.Each(func(end kadm.ListedOffset) {
		if end.Err == nil {
			to <- gauge(endDesc, end.Offset, end.Topic, number(end.Partition))
		}
	})
	for _, s := range l.sources {
		done, err := l.admin.FetchOffsets(ctx, s.group)
		if err != nil {
			continue
		}
		for _, topic := range s.topics {
			for partition, end := range ends[topic] {
				if end.Err != nil {
					continue
				}
				at := begins[topic][partition].Offset // a group that has committed nothing begins there
				if c, ok := done.Lookup(topic, partition); ok && c.Err == nil && c.At >= 0 {
					at = c.At
				}
				to <- gauge(committedDesc, at, s.group, topic, number(partition))
				to <- gauge(lagDesc, max(0, end.Offset-at), s.group, topic, number(partition))
			}
		}
	}
}

func gauge(desc *prometheus.Desc, value int64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(value), labels...)
}

func number(partition int32) string { return strconv.Itoa(int(partition)) }
