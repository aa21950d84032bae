package knative

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"marimba/config"
)

// blocks are the settings that several functions share, by their type's name.
var blocks = map[string]reflect.Type{
	"Server":   reflect.TypeFor[config.Server](),
	"Kafka":    reflect.TypeFor[config.Kafka](),
	"Redis":    reflect.TypeFor[config.Redis](),
	"Mongo":    reflect.TypeFor[config.Mongo](),
	"Contests": reflect.TypeFor[config.Contests](),
	"Voters":   reflect.TypeFor[config.Voters](),
	"Receipts": reflect.TypeFor[config.Receipts](),
	"Seal":     reflect.TypeFor[config.Seal](),
}

// settings reads from the type settings in a function's config.go which
// variables the function knows; the value says whether it needs the variable.
func settings(t *testing.T, function string) map[string]bool {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "functions", function, "config.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	tag := func(text string) {
		if name, more, _ := strings.Cut(reflect.StructTag(text).Get("env"), ","); name != "" {
			known[name] = slices.Contains(strings.Split(more, ","), "required")
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok || spec.Name.Name != "settings" {
			return true
		}
		for _, field := range spec.Type.(*ast.StructType).Fields.List {
			if field.Tag != nil {
				text, err := strconv.Unquote(field.Tag.Value)
				if err != nil {
					t.Fatal(err)
				}
				tag(text)
				continue
			}
			name := field.Type.(*ast.SelectorExpr).Sel.Name
			block, ok := blocks[name]
			if !ok {
				t.Fatalf("%s: config.%s is not known to this test", function, name)
			}
			for i := range block.NumField() {
				tag(string(block.Field(i).Tag))
			}
		}
		return false
	})
	return known
}

// secretOf tells which key of which Secret fills a variable of a function.
func secretOf(function, variable string) (secret, key string) {
	switch variable {
	case "REDIS_PASSWORD", "MONGO_URL", "VOTER_SECRET", "RECEIPT_SECRET", "SEAL_KEY", "ADMIN_TOKEN":
		return "marimba", variable
	case "KAFKA_TLS_CA", "REDIS_TLS_CA", "MONGO_TLS_CA":
		return "marimba-ca", "ca.crt"
	case "KAFKA_PASSWORD":
		return strings.Replace(kafkaUserOf(function), "marimba-", "kafka-", 1), "password"
	}
	return "", ""
}

// kafkaUserOf tells who a function is for Kafka.
func kafkaUserOf(function string) string {
	switch function {
	case "screen", "tally":
		return "marimba-" + function
	case "results":
		return "marimba-books"
	}
	return "marimba-ingress"
}

// literal are the variables that a manifest itself gives a value; for the first
// of them it is the Go runtime that reads it.
var literal = []string{"GOMEMLIMIT", "METRICS_PORT", "CONTESTS_DIR", "VOTER_KEYS_DIR", "KAFKA_USERNAME"}

// A function gets every variable that it knows and that there is a key for, in
// the ConfigMap or among the Secrets, from that key, and no other; so it gets all
// that it needs, and no secret that it does not.
func TestEnvironment(t *testing.T) {
	each(t, func(t *testing.T, m *manifests) {
		values := named[corev1.ConfigMap](t, m, "marimba")
		secrets := secretsOf(t, m.folder)
		used := map[string]bool{}
		for _, s := range m.services {
			known := settings(t, s.Name)
			var want, got []string
			for name, needed := range known {
				_, inConfig := values.Data[name]
				secret, key := secretOf(s.Name, name)
				_, inSecret := secrets["marimba/"+secret][key]
				switch {
				case inConfig || inSecret:
					want = append(want, name)
				case needed:
					t.Errorf("%s needs %s, which neither ConfigMap nor Secret has", s.Name, name)
				}
			}
			for _, e := range container(t, s).Env {
				if slices.Contains(literal, e.Name) {
					if _, ok := known[e.Name]; e.Value == "" || !ok && e.Name != "GOMEMLIMIT" {
						t.Errorf("%s: %s is %q, and the function knows it: %v", s.Name, e.Name, e.Value, ok)
					}
					continue
				}
				got = append(got, e.Name)
				used[e.Name] = true
				if e.Value != "" || e.ValueFrom == nil {
					t.Errorf("%s: %s has a value of its own", s.Name, e.Name)
					continue
				}
				wantSecret, wantKey := secretOf(s.Name, e.Name)
				switch c, secret := e.ValueFrom.ConfigMapKeyRef, e.ValueFrom.SecretKeyRef; {
				case c != nil && secret == nil:
					if c.Name != values.Name || c.Key != e.Name || wantSecret != "" {
						t.Errorf("%s: %s is from key %s of ConfigMap %s", s.Name, e.Name, c.Key, c.Name)
					}
				case secret != nil && c == nil:
					if secret.Name != wantSecret || secret.Key != wantKey {
						t.Errorf("%s: %s is from key %s of Secret %s", s.Name, e.Name, secret.Key, secret.Name)
					}
				default:
					t.Errorf("%s: %s is from %+v", s.Name, e.Name, e.ValueFrom)
				}
			}
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("%s: environment %v, want %v", s.Name, got, want)
			}
		}
		for key := range values.Data {
			if !used[key] {
				t.Errorf("no function takes %s from the ConfigMap", key)
			}
		}
	})
}

// With the values of the ConfigMap and of Secrets as `marimba secrets` makes them,
// each function's settings are right; where others share the cluster, all of its
// connections have TLS.
func TestSettings(t *testing.T) {
	each(t, func(t *testing.T, m *manifests) {
		values, secrets := named[corev1.ConfigMap](t, m, "marimba"), secretsOf(t, m.folder)
		for _, s := range m.services {
			var environ []string
			for _, e := range container(t, s).Env {
				value := e.Value
				switch from := e.ValueFrom; {
				case from != nil && from.ConfigMapKeyRef != nil:
					value = values.Data[from.ConfigMapKeyRef.Key]
				case from != nil && from.SecretKeyRef != nil:
					value = secrets["marimba/"+from.SecretKeyRef.Name][from.SecretKeyRef.Key]
				}
				environ = append(environ, e.Name+"="+value)
			}
			known := settings(t, s.Name)
			for name, block := range blocks {
				if first, _, _ := strings.Cut(block.Field(0).Tag.Get("env"), ","); !has(known, first) {
					continue
				}
				cfg := reflect.New(block)
				if err := config.Load(cfg.Interface(), environ); err != nil {
					t.Errorf("%s: config.%s: %v", s.Name, name, err)
				}
				switch cfg := cfg.Elem().Interface().(type) {
				case config.Kafka:
					if isSecure(m.folder) && cfg.Username != kafkaUserOf(s.Name) {
						t.Errorf("%s: it is %s for Kafka", s.Name, cfg.Username)
					}
					if protocol := cfg.Security()["security.protocol"]; (protocol == "sasl_ssl") != isSecure(m.folder) {
						t.Errorf("%s: Kafka by %s", s.Name, protocol)
					}
				case config.Redis:
					if strings.HasPrefix(cfg.URL, "rediss://") != isSecure(m.folder) || (cfg.TLSCA != "") != isSecure(m.folder) || cfg.Password == "" {
						t.Errorf("%s: Redis at %s", s.Name, cfg.URL)
					}
				case config.Mongo:
					if strings.Contains(cfg.URL.Reveal(), "tls=true") != isSecure(m.folder) || (cfg.TLSCA != "") != isSecure(m.folder) {
						t.Errorf("%s: MongoDB without TLS, or with", s.Name)
					}
				}
			}
		}
	})
}

func has(known map[string]bool, name string) bool {
	_, ok := known[name]
	return ok
}
