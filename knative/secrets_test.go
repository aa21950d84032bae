package knative

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"marimba/scripts/marimba/secrets"
)

// secretsOf are the Secrets of a folder as `marimba secrets` makes them:
// namespace/name, key and value.
func secretsOf(t *testing.T, folder string) map[string]map[string]string {
	t.Helper()
	made, err := secrets.Make(secrets.Plan{VoterKeys: []string{"rock"}, Overlay: filepath.Base(folder), Namespace: "marimba", Kafka: "kafka", Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]map[string]string{}
	for _, s := range made.Secrets {
		all[s.Namespace+"/"+s.Name] = s.Data
	}
	return all
}

// reference is where a manifest names a Secret's or a ConfigMap's key; without a
// key it is all of it.
type reference struct{ from, namespace, name, key string }

// ofPod are what a pod's environment and volumes refer to.
func ofPod(p pod) (secrets, configMaps []reference) {
	for _, c := range p.containers() {
		for _, e := range c.Env {
			if e.ValueFrom == nil {
				continue
			}
			if s := e.ValueFrom.SecretKeyRef; s != nil {
				secrets = append(secrets, reference{p.owner, "marimba", s.Name, s.Key})
			}
			if s := e.ValueFrom.ConfigMapKeyRef; s != nil {
				configMaps = append(configMaps, reference{p.owner, "marimba", s.Name, s.Key})
			}
		}
	}
	for _, v := range p.spec.Volumes {
		if v.Secret != nil {
			secrets = append(secrets, reference{p.owner, "marimba", v.Secret.SecretName, ""})
		}
		if v.ConfigMap != nil {
			configMaps = append(configMaps, reference{p.owner, "marimba", v.ConfigMap.Name, ""})
		}
	}
	return secrets, configMaps
}

// secretsOfKafka are what Strimzi, the sources and the sink refer to.
func secretsOfKafka(m *manifests) []reference {
	var all []reference
	for _, u := range of[kafkaUser](m) {
		s := u.Spec.Authentication.Password.ValueFrom.SecretKeyRef
		all = append(all, reference{"KafkaUser " + u.Name, "kafka", s.Name, s.Key})
	}
	for _, k := range of[kafkaCluster](m) {
		for _, l := range k.Spec.Kafka.Listeners {
			if c := l.Configuration.BrokerCertChainAndKey; c.SecretName != "" {
				all = append(all, reference{"Kafka", "kafka", c.SecretName, c.Certificate}, reference{"Kafka", "kafka", c.SecretName, c.Key})
			}
		}
	}
	for _, s := range m.sources {
		if n := s.Spec.Net; n != nil {
			for _, v := range []fromValue{n.SASL.Type, n.SASL.User, n.SASL.Password, n.TLS.CACert} {
				all = append(all, reference{"KafkaSource " + s.Name, "marimba", v.SecretKeyRef.Name, v.SecretKeyRef.Key})
			}
		}
	}
	for _, s := range m.sinks {
		if s.Spec.Auth != nil {
			for _, key := range []string{"protocol", "sasl.mechanism", "user", "password", "ca.crt"} { // Knative's names
				all = append(all, reference{"KafkaSink " + s.Name, "marimba", s.Spec.Auth.Secret.Ref.Name, key})
			}
		}
	}
	return all
}

// Each Secret and ConfigMap that something refers to is there, with its key; and
// each Secret that is made is for somebody.
func TestReferences(t *testing.T) {
	each(t, func(t *testing.T, m *manifests) {
		wanted, used := secretsOfKafka(m), map[string]bool{}
		var configMaps []reference
		for _, p := range slices.Concat(pods(m), functionPods(m)) {
			s, c := ofPod(p)
			wanted, configMaps = append(wanted, s...), append(configMaps, c...)
		}
		made := secretsOf(t, m.folder)
		for _, r := range wanted {
			id := r.namespace + "/" + r.name
			used[id] = true
			if _, ok := made[id][r.key]; !ok && (r.key != "" || made[id] == nil) {
				t.Errorf("%s refers to key %q of Secret %s, which `marimba secrets` does not make", r.from, r.key, id)
			}
		}
		for id := range made {
			if !used[id] {
				t.Errorf("`marimba secrets` makes Secret %s for nobody", id)
			}
		}
		taken := map[string]bool{}
		for _, r := range configMaps {
			c := named[corev1.ConfigMap](t, m, r.name)
			taken[r.name] = true
			if _, ok := c.Data[r.key]; !ok && r.key != "" {
				t.Errorf("%s refers to key %s of ConfigMap %s", r.from, r.key, r.name)
			}
		}
		for _, c := range m.configMaps {
			if !taken[c.Name] {
				t.Errorf("ConfigMap %s is for nobody", c.Name)
			}
		}
	})
}

// What is secret is only referred to: no Secret is among the manifests, no value
// of a variable or a file looks like one.
func TestNoSecretInClear(t *testing.T) {
	each(t, func(t *testing.T, m *manifests) {
		for _, c := range m.configMaps {
			if len(c.BinaryData) > 0 {
				t.Errorf("ConfigMap %s has binary data", c.Name)
			}
			for key, value := range c.Data {
				if secretLike(key) || strings.Contains(value, "PRIVATE KEY") || inURL(value) || saysPassword(value) {
					t.Errorf("ConfigMap %s: %s looks like a secret", c.Name, key)
				}
			}
		}
		for _, p := range slices.Concat(pods(m), functionPods(m)) {
			for _, c := range p.containers() {
				for _, e := range c.Env {
					if secretLike(e.Name) && !strings.HasSuffix(e.Name, "_DIR") && (e.ValueFrom == nil || e.ValueFrom.SecretKeyRef == nil) {
						t.Errorf("%s: %s is not from a Secret", p.owner, e.Name)
					}
				}
			}
		}
	})
}

func secretLike(name string) bool {
	for _, part := range []string{"PASSWORD", "SECRET", "TOKEN", "_KEY"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

// inURL reports whether a text has a URL with a password in it.
func inURL(text string) bool {
	for rest, found := "", true; found; text = rest {
		if _, rest, found = strings.Cut(text, "://"); found {
			authority, _, _ := strings.Cut(rest, "/")
			if before, _, ok := strings.Cut(authority, "@"); ok && strings.Contains(before, ":") && !strings.ContainsAny(before, " \n\"'") {
				return true
			}
		}
	}
	return false
}

// saysPassword reports whether a file of settings gives a password: a line of
// Redis's, or a field of Grafana's that is not filled from a variable.
func saysPassword(text string) bool {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "requirepass ") || strings.HasPrefix(line, "masterauth ") {
			return true
		}
		name, value, _ := strings.Cut(line, ":")
		if value = strings.Trim(value, ` "',`); strings.EqualFold(strings.Trim(name, `" `), "password") && value != "" && !strings.HasPrefix(value, "$") {
			return true
		}
	}
	return false
}
