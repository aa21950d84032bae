package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"
)

// Server is what each function is told about itself.
type Server struct {
	Host     string     `env:"HOST"`                   // to listen at; empty: all of the machine's, as in a pod
	Port     int        `env:"PORT" envDefault:"8080"` // 0 picks a free one
	LogLevel slog.Level `env:"LOG_LEVEL" envDefault:"info"`

	// MetricsPort is where Prometheus may ask for figures; 0: nowhere.
	MetricsPort int `env:"METRICS_PORT"`
	// Collector is the URL of an OpenTelemetry collector that takes traces by
	// OTLP over HTTP; empty: none are made. What else OpenTelemetry's variables may
	// set of traces, such as OTEL_TRACES_SAMPLER, is as in its specification.
	Collector string `env:"OTEL_EXPORTER_OTLP_ENDPOINT"`
	// CollectorHeaders go with each request to it: "name=value", several with
	// commas, values as in URLs.
	CollectorHeaders Secret `env:"OTEL_EXPORTER_OTLP_HEADERS"`
}

func (s Server) check() []error {
	var faults []error
	if s.Port < 0 || s.Port > 65535 {
		faults = append(faults, fmt.Errorf("PORT: %d is not a port", s.Port))
	}
	if s.MetricsPort < 0 || s.MetricsPort > 65535 {
		faults = append(faults, fmt.Errorf("METRICS_PORT: %d is not a port", s.MetricsPort))
	}
	if s.Collector != "" {
		at, err := url.Parse(s.Collector)
		if err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Host == "" || at.User != nil {
			faults = append(faults, errors.New("OTEL_EXPORTER_OTLP_ENDPOINT: is not http://host:port or https://host:port"))
		}
	}
	return faults
}

// Kafka says how to reach the brokers. Without further settings it is in plain
// text and without a login.
type Kafka struct {
	Broker string `env:"KAFKA_BROKER,required,notEmpty"` // host:port, or several with commas
	// DeliveryTimeout is how long Kafka may take to confirm an event before the
	// sender is told to try again.
	DeliveryTimeout time.Duration `env:"KAFKA_DELIVERY_TIMEOUT" envDefault:"10s"`

	TLS     bool   `env:"KAFKA_TLS"`
	TLSCA   string `env:"KAFKA_TLS_CA"`   // PEM; empty: the system's
	TLSCert string `env:"KAFKA_TLS_CERT"` // PEM; empty: no client certificate
	TLSKey  Secret `env:"KAFKA_TLS_KEY"`  // PEM

	Mechanism string `env:"KAFKA_SASL_MECHANISM"` // PLAIN, SCRAM-SHA-256, SCRAM-SHA-512; empty: no login
	Username  string `env:"KAFKA_USERNAME"`
	Password  Secret `env:"KAFKA_PASSWORD"`
}

func (k Kafka) check() []error {
	var faults []error
	if k.DeliveryTimeout < 100*time.Millisecond || k.DeliveryTimeout > time.Minute {
		faults = append(faults, fmt.Errorf("KAFKA_DELIVERY_TIMEOUT: %s is not between 100ms and 1m", k.DeliveryTimeout))
	}
	if !k.TLS && (k.TLSCA != "" || k.TLSCert != "" || k.TLSKey != "") {
		faults = append(faults, fmt.Errorf("KAFKA_TLS: is not true, but KAFKA_TLS_CA, _CERT or _KEY is set"))
	}
	if (k.TLSCert == "") != (k.TLSKey == "") {
		faults = append(faults, fmt.Errorf("KAFKA_TLS_CERT: goes with KAFKA_TLS_KEY, and one is not set"))
	}
	switch k.Mechanism {
	case "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512":
		if k.Username == "" || k.Password == "" {
			faults = append(faults, fmt.Errorf("KAFKA_SASL_MECHANISM: needs KAFKA_USERNAME and KAFKA_PASSWORD"))
		}
	case "":
		if k.Username != "" || k.Password != "" {
			faults = append(faults, fmt.Errorf("KAFKA_SASL_MECHANISM: is not set, but KAFKA_USERNAME or KAFKA_PASSWORD is"))
		}
	default:
		faults = append(faults, fmt.Errorf("KAFKA_SASL_MECHANISM: %q is not PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", k.Mechanism))
	}
	return faults
}

// Security returns librdkafka's settings for TLS and login, with the secrets in
// them: they are not for printing.
func (k Kafka) Security() map[string]string {
	protocol := map[[2]bool]string{
		{false, false}: "plaintext",
		{false, true}:  "sasl_plaintext",
		{true, false}:  "ssl",
		{true, true}:   "sasl_ssl",
	}[[2]bool{k.TLS, k.Mechanism != ""}]
	settings := map[string]string{"security.protocol": protocol}
	for name, value := range map[string]string{
		"ssl.ca.pem":          k.TLSCA,
		"ssl.certificate.pem": k.TLSCert,
		"ssl.key.pem":         k.TLSKey.Reveal(),
		"sasl.mechanism":      k.Mechanism,
		"sasl.username":       k.Username,
		"sasl.password":       k.Password.Reveal(),
	} {
		if value != "" {
			settings[name] = value
		}
	}
	return settings
}

// Redis says where the counts are.
type Redis struct {
	// URL is redis://host:port/db, rediss:// for TLS, or a list of host:port with
	// commas, which is a Redis Cluster. It should not hold a password.
	URL      string `env:"REDIS_URL,required,notEmpty"`
	Password Secret `env:"REDIS_PASSWORD"`
	TLSCA    CA     `env:"REDIS_TLS_CA"`
}

func (r Redis) check() []error {
	faults := r.TLSCA.check("REDIS_TLS_CA")
	if r.TLSCA != "" && !strings.HasPrefix(r.URL, "rediss://") {
		faults = append(faults, errors.New("REDIS_TLS_CA: is set, but REDIS_URL is not rediss://"))
	}
	return faults
}

// Mongo says where the log is.
type Mongo struct {
	URL      Secret `env:"MONGO_URL,required,notEmpty"` // mongodb://…; it may hold a password
	Database string `env:"MONGO_DATABASE" envDefault:"marimba"`
	TLSCA    CA     `env:"MONGO_TLS_CA"`
}

func (m Mongo) check() []error { return m.TLSCA.check("MONGO_TLS_CA") }

// Voters holds the key from which the voters' keys are made. If it changes
// while a contest runs, every voter is a new one.
type Voters struct {
	Secret Secret `env:"VOTER_SECRET,required,notEmpty"`
	// Keys is the folder of contests' own keys, a file each, named like the contest: they
	// can be destroyed one by one. Empty, or for a contest without a file: its key
	// is made from Secret.
	Keys string `env:"VOTER_KEYS_DIR"`
}

// Receipts holds the key from which the secrets of receipts are made. If it
// changes, receipts that were given before can no longer be shown to be anyone's.
type Receipts struct {
	Secret Secret `env:"RECEIPT_SECRET,required,notEmpty"`
}

// Seal says in whose name the public log of counted votes is signed.
type Seal struct {
	// Key is what the signing key is derived from. If it changes, checkpoints are
	// signed with another key from then on.
	Key Secret `env:"SEAL_KEY,required,notEmpty"`
	// Origin names the house; a contest's log is Origin/contest. Where the log can be
	// read makes a good one: "votes.example.org". It stays as it is for ever.
	Origin string `env:"SEAL_ORIGIN,required,notEmpty"`
}

// maxOrigin bounds SEAL_ORIGIN: it is in each checkpoint.
const maxOrigin = 200

func (s Seal) check() []error {
	odd := func(r rune) bool { return r <= ' ' || r > '~' || r == '+' }
	if len(s.Origin) > maxOrigin || strings.ContainsFunc(s.Origin, odd) || strings.Trim(s.Origin, "/") != s.Origin {
		return []error{fmt.Errorf("SEAL_ORIGIN: is not up to %d ASCII characters without spaces and plus, such as votes.example.org", maxOrigin)}
	}
	return nil
}
