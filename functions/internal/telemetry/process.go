package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"marimba/config"
)

// Bounds of answering Prometheus.
const (
	headerTimeout  = 5 * time.Second
	scrapeTimeout  = 10 * time.Second
	scrapesAtOnce  = 4
	maxQueryHeader = 16 << 10
)

// began is when this process did, or soon after that where the system does not
// tell.
var began = time.Now()

// function is whose process this is.
var function string

// Name says whose process this is, first of all.
func Name(name string) { function = name }

// Process is what a function's process tells of itself.
type Process struct {
	exporter *exporter // nil: no traces are made
	server   atomic.Pointer[http.Server]
}

// Open begins to tell. It returns at once; what cannot be told is logged, and
// votes are taken all the same. It is called when the function listens.
func Open(at config.Server) *Process {
	p := new(Process)
	if at.Collector != "" {
		p.exporter = export(at)
	}
	if at.MetricsPort != 0 {
		took := time.Since(processBegan())
		startDuration.Set(took.Seconds())
		starts.Inc()
		go p.answer(at) // the first vote does not wait for it
	}
	return p
}

// answer answers Prometheus until the process is closed.
func (p *Process) answer(at config.Server) {
	lis, err := net.Listen("tcp", net.JoinHostPort(at.Host, strconv.Itoa(at.MetricsPort)))
	if err != nil {
		slog.Warn("metrics are not told", "error", err)
		return
	}
	server := NewServer(Handler(registry()))
	p.server.Store(server)
	_ = server.Serve(lis) // until Close
}

// registry has all figures of this process, each with its function's name.
func registry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	named := prometheus.WrapRegistererWith(prometheus.Labels{"function": function}, registry)
	named.MustRegister(all...)
	Runtime(named)
	return registry
}

// Runtime adds what the system and Go tell of any process.
func Runtime(to prometheus.Registerer) {
	to.MustRegister(
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewGoCollector(collectors.WithGoCollectorMemStatsMetricsDisabled()),
	)
}

// Handler answers GET /metrics, as OpenMetrics with exemplars where that is asked
// for.
func Handler(of prometheus.Gatherer) *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(of, promhttp.HandlerOpts{
		EnableOpenMetrics: true, MaxRequestsInFlight: scrapesAtOnce, Timeout: scrapeTimeout,
		ErrorLog: slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn), ErrorHandling: promhttp.ContinueOnError,
	}))
	return mux
}

// NewServer returns a server for Prometheus.
func NewServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, ReadTimeout: headerTimeout,
		WriteTimeout: 2 * scrapeTimeout, MaxHeaderBytes: maxQueryHeader,
		ErrorLog: slog.NewLogLogger(slog.Default().Handler(), slog.LevelDebug),
	}
}

// Close tells what is left to be told, within bounds, and ends.
func (p *Process) Close(ctx context.Context) error {
	if server := p.server.Load(); server != nil {
		_ = server.Close()
	}
	if p.exporter == nil {
		return nil
	}
	if err := p.exporter.close(ctx); err != nil {
		return fmt.Errorf("export traces: %w", err)
	}
	return nil
}
