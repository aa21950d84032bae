package main

import (
	"os"
	"os/exec"
	"strings"

	"marimba/config"
	"marimba/knative/local"
)

// prometheusAt is Prometheus' usual address.
const prometheusAt = "127.0.0.1:9090"

// observe has the house observed, and Prometheus run if there is one.
func (h *house) observe(o *local.Options) {
	o.Observe = "127.0.0.1:0"
	binary, err := exec.LookPath("prometheus")
	if err != nil {
		return
	}
	o.Prometheus = &local.Prometheus{Binary: binary, Rules: config.PrometheusRules}
	if h.listen == "" && free(prometheusAt) {
		o.Prometheus.Listen = prometheusAt
	}
}

// tellObserved says where the house is observed.
func (h *house) tellObserved(at local.Observed) {
	switch {
	case at.Prometheus != "":
		h.tell("  %-14s %s", "Prometheus", at.Prometheus)
	case at.Metrics != "":
		h.tell("  Prometheus is not installed here (on Debian: apt-get install prometheus). Any other may ask %s,", at.Metrics)
		h.tell("  and the functions, which %s lists for its http_sd.", at.Targets)
	}
}

// passTraces lets functions know what OpenTelemetry's variables say here.
func passTraces(env map[string]string) {
	for _, entry := range os.Environ() {
		if name, value, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "OTEL_") {
			env[name] = value
		}
	}
}
