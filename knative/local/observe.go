//go:build unix

package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.yaml.in/yaml/v3"
)

// Bounds of answering Prometheus.
const (
	scrapeTimeout = 5 * time.Second
	scrapesAtOnce = 4
	scrapeEvery   = "2s" // functions sleep after 15 s: each is asked after its last vote
	figuresKept   = "30d"
)

// Prometheus says how it is run.
type Prometheus struct {
	Binary string
	Listen string // its address; empty: the port of the loopback that it had last, or any
	Rules  []byte // a file of rules; empty: none
}

// Observed says where the house is observed; what is not there is empty.
type Observed struct {
	Metrics    string `json:"metrics,omitempty"`    // URL of the house's own figures
	Targets    string `json:"targets,omitempty"`    // URL of the functions' processes, as Prometheus' http_sd reads them
	Prometheus string `json:"prometheus,omitempty"` // URL of the one that runs here
}

// Observed tells where the system is observed.
func (s *System) Observed() Observed { return s.observed }

// observe answers Prometheus, and runs one if that is asked for.
func (s *System) observe(births *nursery) error {
	lag, err := openLag(s.parts.Kafka, s.plan.sources)
	if err != nil {
		return fmt.Errorf("open Kafka to observe it: %w", err)
	}
	s.onClose(func(context.Context) error { lag.close(); return nil })
	registry := s.ledger.told.registry
	registry.MustRegister(lag, instances{s.Processes})

	lis, err := net.Listen("tcp", s.options.Observe)
	if err != nil {
		return fmt.Errorf("listen for Prometheus: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		EnableOpenMetrics: true, MaxRequestsInFlight: scrapesAtOnce, Timeout: scrapeTimeout,
		ErrorHandling: promhttp.ContinueOnError,
	}))
	mux.HandleFunc("GET /targets", s.showTargets)
	server := newServer(mux, s.log)
	s.onClose(func(context.Context) error { return server.Close() })
	go func() {
		if err := server.Serve(lis); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("the house is not observed", "error", err)
		}
	}()
	at := "http://" + lis.Addr().String()
	s.observed = Observed{Metrics: at + "/metrics", Targets: at + "/targets"}
	if s.options.Prometheus == nil {
		return nil
	}
	return s.runPrometheus(*s.options.Prometheus, lis.Addr().String(), births)
}

// showTargets lists the functions' processes that answer, as Prometheus reads
// them (http_sd).
func (s *System) showTargets(w http.ResponseWriter, _ *http.Request) {
	type group struct {
		Targets []string          `json:"targets"`
		Labels  map[string]string `json:"labels"`
	}
	groups := []group{}
	for _, p := range s.Processes() {
		if p.Metrics != "" && p.State != Starting {
			groups = append(groups, group{[]string{p.Metrics}, map[string]string{"__meta_marimba_function": p.Function}})
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(groups) // one that went away asks again
}

// runPrometheus runs Prometheus on the house until that ends.
func (s *System) runPrometheus(p Prometheus, house string, births *nursery) error {
	folder, err := filepath.Abs(filepath.Join(s.options.Data, "prometheus"))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("make Prometheus' folder: %w", err)
	}
	settings, err := settingsOf(house, s.observed.Targets, len(p.Rules) > 0)
	if err != nil {
		return fmt.Errorf("write Prometheus' settings: %w", err)
	}
	for name, text := range map[string][]byte{"prometheus.yaml": settings, "rules.yaml": p.Rules} {
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
			return fmt.Errorf("write Prometheus' settings: %w", err)
		}
	}
	if p.Listen == "" {
		port, err := s.state.port("prometheus")
		if err != nil {
			return err
		}
		p.Listen = loopback(port)
	}
	running, err := guard(s.options.Data, births, s.log, p.Binary,
		"--config.file="+filepath.Join(folder, "prometheus.yaml"),
		"--storage.tsdb.path="+filepath.Join(folder, "data"),
		"--storage.tsdb.retention.time="+figuresKept,
		"--web.listen-address="+p.Listen,
		"--enable-feature=exemplar-storage",
		"--log.format=json")
	if err != nil {
		return err
	}
	s.onClose(func(ctx context.Context) error { running.close(ctx); return nil })
	s.observed.Prometheus = "http://" + p.Listen
	return nil
}

// settingsOf are those of a Prometheus that asks the house and its functions.
func settingsOf(house, targets string, rules bool) ([]byte, error) {
	type m = map[string]any
	settings := m{
		"global": m{"scrape_interval": scrapeEvery, "scrape_timeout": scrapeEvery, "evaluation_interval": scrapeEvery},
		"scrape_configs": []m{
			{"job_name": "marimba", "http_sd_configs": []m{{"url": targets, "refresh_interval": scrapeEvery}}},
			{"job_name": "marimba-house", "static_configs": []m{{"targets": []string{house}}}},
		},
	}
	if rules {
		settings["rule_files"] = []string{"rules.yaml"} // beside the settings
	}
	return yaml.Marshal(settings)
}
