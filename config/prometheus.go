package config

import _ "embed"

// PrometheusRules is prometheus/rules.yaml: what is worth an alert, and figures that
// are made of others.
//
//go:embed prometheus/rules.yaml
var PrometheusRules []byte
