package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// all is a function that needs everything.
type all struct {
	Server
	Kafka
	Redis
	Mongo
	Contests
	Voters
	Token Secret `env:"ADMIN_TOKEN"`
}

var needed = []string{
	"KAFKA_BROKER=localhost:9092", "REDIS_URL=redis://localhost:6379", "MONGO_URL=mongodb://u:hunter2@localhost",
	"VOTER_SECRET=hunter2", "PATH=/bin", "broken entry",
}

// Settings have what the environment says, and else their defaults.
func TestLoad(t *testing.T) {
	var s all
	if err := Load(&s, needed); err != nil {
		t.Fatal(err)
	}
	if s.Port != 8080 || s.LogLevel != slog.LevelInfo || s.DeliveryTimeout != 10*time.Second || s.Database != "marimba" || s.Dir != "" {
		t.Errorf("defaults are %+v", s)
	}
	if s.Broker != "localhost:9092" || s.Redis.URL != "redis://localhost:6379" ||
		s.Mongo.URL.Reveal() != "mongodb://u:hunter2@localhost" || s.Secret.Reveal() != "hunter2" {
		t.Errorf("settings are %+v", s)
	}
	environ := append([]string{"PORT=0", "LOG_LEVEL=warn", "KAFKA_DELIVERY_TIMEOUT=3s", "MONGO_DATABASE=other", "CONTESTS_DIR=/c"}, needed...)
	if err := Load(&s, environ); err != nil {
		t.Fatal(err)
	}
	if s.Port != 0 || s.LogLevel != slog.LevelWarn || s.DeliveryTimeout != 3*time.Second || s.Database != "other" || s.Dir != "/c" {
		t.Errorf("settings are %+v", s)
	}
}

// The process's own environment is not looked at: only what Load is given.
func TestLoadTakesOnlyWhatItIsGiven(t *testing.T) {
	t.Setenv("REDIS_URL", "redis://elsewhere")
	var s struct{ Redis }
	if err := Load(&s, []string{}); err == nil {
		t.Errorf("settings are %+v", s)
	}
}

// All faults are told at once, each by the name of its variable, and none of
// them tells a secret.
func TestLoadFaults(t *testing.T) {
	tests := map[string]struct {
		environ []string
		want    []string
	}{
		"nothing set": {nil, []string{"KAFKA_BROKER: is not set", "REDIS_URL: is not set", "MONGO_URL: is not set", "VOTER_SECRET: is not set"}},
		"empty and unreadable": {
			[]string{"KAFKA_BROKER=", "REDIS_URL=r", "MONGO_URL=hunter2", "VOTER_SECRET=", "PORT=http", "LOG_LEVEL=loud", "KAFKA_DELIVERY_TIMEOUT=soon", "KAFKA_TLS=maybe"},
			[]string{"KAFKA_BROKER: is empty", "VOTER_SECRET: is empty", "PORT: ", "LOG_LEVEL: ", "KAFKA_DELIVERY_TIMEOUT: ", "KAFKA_TLS: "},
		},
		"out of bounds": {
			append([]string{"PORT=65536", "KAFKA_DELIVERY_TIMEOUT=1ns", "KAFKA_TLS_CERT=c", "KAFKA_SASL_MECHANISM=GUESS"}, needed...),
			[]string{"PORT: 65536", "KAFKA_DELIVERY_TIMEOUT: 1ns", "KAFKA_TLS: ", "KAFKA_TLS_CERT: ", `KAFKA_SASL_MECHANISM: "GUESS"`},
		},
		"no certificate": {
			append([]string{"REDIS_TLS_CA=hunter2", "MONGO_TLS_CA=-----BEGIN CERTIFICATE-----"}, needed...),
			[]string{"REDIS_TLS_CA: holds no certificate", "REDIS_TLS_CA: is set, but REDIS_URL is not rediss://", "MONGO_TLS_CA: holds no certificate"},
		},
		"login without name":  {append([]string{"KAFKA_SASL_MECHANISM=PLAIN", "KAFKA_PASSWORD=hunter2"}, needed...), []string{"KAFKA_SASL_MECHANISM: needs"}},
		"name without login":  {append([]string{"KAFKA_USERNAME=u"}, needed...), []string{"KAFKA_SASL_MECHANISM: is not set"}},
		"file and value":      {append([]string{"VOTER_SECRET_FILE=/etc/hostname"}, needed...), []string{"VOTER_SECRET: VOTER_SECRET_FILE is set too"}},
		"file not there":      {[]string{"VOTER_SECRET_FILE=/nowhere/secret"}, []string{"VOTER_SECRET_FILE: open /nowhere/secret", "KAFKA_BROKER: is not set"}},
		"file is a directory": {[]string{"VOTER_SECRET_FILE=/"}, []string{"VOTER_SECRET_FILE: read /"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var s all
			err := Load(&s, test.environ)
			if err == nil {
				t.Fatal("no fault is told")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("told is\n%v\nwithout %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("a secret is told: %v", err)
			}
			if strings.Contains(err.Error(), "VOTER_SECRET_FILE: ") && strings.Contains(err.Error(), "VOTER_SECRET: is") {
				t.Errorf("one fault is told twice: %v", err)
			}
		})
	}
}

// A mounted file holds the value of a variable, without its line end.
func TestLoadFromFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(" s3cret \r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var s struct{ Voters }
	if err := Load(&s, []string{"VOTER_SECRET_FILE=" + path}); err != nil {
		t.Fatal(err)
	}
	if got := s.Secret.Reveal(); got != " s3cret " {
		t.Errorf("secret is %q", got)
	}
	if err := os.WriteFile(path, make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Load(&s, []string{"VOTER_SECRET_FILE=" + path}); err == nil {
		t.Error("a file without bound is taken")
	}
}

// A secret cannot be printed by accident.
func TestSecretIsNeverPrinted(t *testing.T) {
	held := struct {
		Secret Secret
		Inner  *Secret
	}{Secret: "hunter2", Inner: new(Secret("hunter2"))}
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X"} {
		fmt.Fprintf(&out, verb+verb, held, held.Secret)
	}
	if err := json.NewEncoder(&out).Encode(held); err != nil {
		t.Fatal(err)
	}
	for _, handler := range []slog.Handler{slog.NewJSONHandler(&out, nil), slog.NewTextHandler(&out, nil)} {
		slog.New(handler).Info("settings", "secret", held.Secret, "all", held)
	}
	for _, form := range []string{"hunter2", "68756e74657232", "68756E74657232"} {
		if strings.Contains(out.String(), form) {
			t.Errorf("printed is %s", out.String())
		}
	}
}

// librdkafka is told of TLS and login just when they are set.
func TestKafkaSecurity(t *testing.T) {
	tests := map[string]struct {
		kafka Kafka
		want  map[string]string
	}{
		"plain": {Kafka{}, map[string]string{"security.protocol": "plaintext"}},
		"tls":   {Kafka{TLS: true, TLSCA: "ca"}, map[string]string{"security.protocol": "ssl", "ssl.ca.pem": "ca"}},
		"mutual tls": {Kafka{TLS: true, TLSCert: "c", TLSKey: "k"},
			map[string]string{"security.protocol": "ssl", "ssl.certificate.pem": "c", "ssl.key.pem": "k"}},
		"login": {Kafka{Mechanism: "PLAIN", Username: "u", Password: "p"},
			map[string]string{"security.protocol": "sasl_plaintext", "sasl.mechanism": "PLAIN", "sasl.username": "u", "sasl.password": "p"}},
		"both": {Kafka{TLS: true, Mechanism: "SCRAM-SHA-512", Username: "u", Password: "p"},
			map[string]string{"security.protocol": "sasl_ssl", "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": "u", "sasl.password": "p"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.kafka.DeliveryTimeout = time.Second
			if faults := test.kafka.check(); len(faults) > 0 {
				t.Errorf("faults are %v", faults)
			}
			if got := test.kafka.Security(); fmt.Sprint(got) != fmt.Sprint(test.want) {
				t.Errorf("settings are %v, want %v", got, test.want)
			}
		})
	}
}

// The house's name in its logs is one that a note's key can have.
func TestSealOrigin(t *testing.T) {
	for origin, good := range map[string]bool{
		"votes.example.org": true, "example.org/votes": true, strings.Repeat("a", maxOrigin): true,
		"votes example": false, "votes+example": false, "votos.ñ": false, "votes.example.org/": false, "/": false, "a\nb": false, strings.Repeat("a", maxOrigin+1): false,
	} {
		var s struct{ Seal }
		err := Load(&s, []string{"SEAL_KEY=hunter2", "SEAL_ORIGIN=" + origin})
		if (err == nil) != good {
			t.Errorf("%q: %v", origin, err)
		}
	}
	var s struct {
		Receipts
		Seal
	}
	err := Load(&s, nil)
	for _, name := range []string{"RECEIPT_SECRET", "SEAL_KEY", "SEAL_ORIGIN"} {
		if err == nil || !strings.Contains(err.Error(), name+": is not set") {
			t.Errorf("%s is missing, and the error is %v", name, err)
		}
	}
}
