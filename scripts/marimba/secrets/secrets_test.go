package secrets

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

func plan(overlay string) Plan {
	return Plan{Overlay: overlay, Namespace: "marimba", Kafka: "kafka", VoterKeys: []string{"rock"}, Now: time.Now()}
}

func makeSet(t *testing.T, p Plan) Made {
	t.Helper()
	set, err := Make(p)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// printed decodes what is written with Kubernetes' own type, strictly.
func printed(t *testing.T, secrets []Secret) map[string]corev1.Secret {
	t.Helper()
	var text bytes.Buffer
	if err := WriteYAML(&text, secrets); err != nil {
		t.Fatal(err)
	}
	all := make(map[string]corev1.Secret)
	for document := range strings.SplitSeq(text.String(), "\n---\n") {
		var s corev1.Secret
		if err := yaml.UnmarshalStrict([]byte(document), &s); err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		if s.APIVersion != "v1" || s.Kind != "Secret" || s.Type != corev1.SecretTypeOpaque || len(s.StringData) == 0 {
			t.Errorf("printed is %s %s %s, of type %s", s.APIVersion, s.Kind, s.Name, s.Type)
		}
		all[s.Namespace+"/"+s.Name] = s
	}
	if len(all) != len(secrets) {
		t.Errorf("%d Secrets are printed, want %d", len(all), len(secrets))
	}
	return all
}

// Passwords stand in URLs and in redis.conf: none has a character that means
// something there. All that must fit together does.
func TestValues(t *testing.T) {
	plain := regexp.MustCompile(`^[A-Za-z0-9]{32,}$`)
	for _, overlay := range Overlays() {
		all := printed(t, makeSet(t, plan(overlay)).Secrets)
		value := func(secret, key string) string {
			t.Helper()
			v, ok := all[secret].StringData[key]
			if !ok {
				t.Fatalf("%s: %s has no %s", overlay, secret, key)
			}
			return v
		}
		passwords := map[string][2]string{
			"redis": {"marimba/marimba", "REDIS_PASSWORD"}, "voters": {"marimba/marimba", "VOTER_SECRET"}, "receipts": {"marimba/marimba", "RECEIPT_SECRET"}, "seals": {"marimba/marimba", "SEAL_KEY"}, "admin": {"marimba/marimba", "ADMIN_TOKEN"},
			"mongodb": {"marimba/mongodb", "password"}, "root": {"marimba/mongodb", "root-password"}, "grafana": {"marimba/grafana", "admin-password"},
			"looking": {"marimba/grafana", "redis-password"},
		}
		if overlays[overlay] {
			for _, user := range kafkaUsers {
				passwords[user] = [2]string{"marimba/kafka-" + user, "password"}
				if value("kafka/marimba-kafka-users", user) != value("marimba/kafka-"+user, "password") {
					t.Errorf("%s: Kafka and %s have two passwords", overlay, user)
				}
			}
			if value("marimba/kafka-eventing", "ca.crt") != value("marimba/marimba-ca", "ca.crt") {
				t.Errorf("%s: Knative trusts another authority", overlay)
			}
		}
		seen := map[string]string{}
		for name, at := range passwords {
			word := value(at[0], at[1])
			if !plain.MatchString(word) {
				t.Errorf("%s: %s is not of letters and figures, 32 at least", overlay, name)
			}
			if other := seen[word]; other != "" {
				t.Errorf("%s: %s and %s are the same", overlay, name, other)
			}
			seen[word] = name
		}
		u, err := url.Parse(value("marimba/marimba", "MONGO_URL"))
		if err != nil {
			t.Fatal("MONGO_URL is no URL")
		}
		if word, _ := u.User.Password(); word != value("marimba/mongodb", "password") || u.User.Username() != "marimba" {
			t.Errorf("%s: MONGO_URL has another user than mongodb", overlay)
		}
		want := "mongodb-0.mongodb.marimba.svc.cluster.local:27017"
		if overlays[overlay] {
			want += ",mongodb-1.mongodb.marimba.svc.cluster.local:27017,mongodb-2.mongodb.marimba.svc.cluster.local:27017"
		}
		if u.Host != want || u.Query().Get("replicaSet") != "marimba" || u.Query().Get("authSource") != "admin" || (u.Query().Get("tls") == "true") != overlays[overlay] {
			t.Errorf("%s: MONGO_URL is of %s?%s", overlay, u.Host, u.RawQuery)
		}
		keyfile := value("marimba/mongodb", "keyfile")
		if _, err := base64.StdEncoding.DecodeString(keyfile); err != nil || len(keyfile) < 6 || len(keyfile) > 1024 {
			t.Errorf("%s: the keyfile has %d characters, %v", overlay, len(keyfile), err)
		}
	}
}

// Two sets have nothing in common but what is no secret.
func TestTwoSetsDiffer(t *testing.T) {
	open := []string{"protocol", "sasl.mechanism", "user"}
	one, other := makeSet(t, plan("production")), makeSet(t, plan("production"))
	for i, s := range one.Secrets {
		for key, value := range s.Data {
			if same := other.Secrets[i].Data[key] == value; same != slices.Contains(open, key) {
				t.Errorf("%s %s: the same is %v", s.Name, key, same)
			}
		}
	}
}

// What was printed once is kept, to the letter, by whatever way it is read back;
// without it, or with a part of it, only that part is.
func TestKept(t *testing.T) {
	first := makeSet(t, plan("production"))
	var asYAML, asJSON bytes.Buffer
	if err := WriteYAML(&asYAML, first.Secrets); err != nil {
		t.Fatal(err)
	}
	if err := WriteJSON(&asJSON, first.Secrets); err != nil {
		t.Fatal(err)
	}
	// As a cluster gives them: in base64, in a List, with more fields and others' Secrets.
	cluster := "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret, type: Opaque, metadata: {name: other, namespace: marimba, uid: u}, data: {a: YQ==}}\n"
	for _, s := range first.Secrets {
		cluster += "- apiVersion: v1\n  kind: Secret\n  metadata: {name: " + s.Name + ", namespace: " + s.Namespace + ", resourceVersion: \"1\"}\n  data:\n"
		for key, value := range s.Data {
			cluster += "    " + key + ": " + base64.StdEncoding.EncodeToString([]byte(value)) + "\n"
		}
	}
	for name, text := range map[string]string{"YAML": asYAML.String(), "JSON": asJSON.String(), "a cluster's": cluster} {
		kept, err := ReadKept(strings.NewReader(text))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		p := plan("production")
		p.Kept = kept
		again := makeSet(t, p)
		if len(again.New) > 0 || !again.Expires.Equal(first.Expires) {
			t.Errorf("%s: new are %v, and it expires at %s, not %s", name, again.New, again.Expires, first.Expires)
		}
		for i, s := range first.Secrets {
			for key, value := range s.Data {
				if again.Secrets[i].Data[key] != value {
					t.Errorf("%s: %s %s has changed", name, s.Name, key)
				}
			}
		}
		p.Renew = true
		renewed := makeSet(t, p)
		if len(renewed.New) != 6 || slices.ContainsFunc(renewed.New, func(v string) bool { return !strings.Contains(v, "tls") && !strings.Contains(v, "ca.crt") }) {
			t.Errorf("%s: renewed are %v", name, renewed.New)
		}
		// From the small overlay to the large one: passwords stay, the URL follows.
		delete(kept, "marimba/mongodb")
		p = plan("classroom")
		p.Kept = kept
		moved := makeSet(t, p)
		was, _ := url.Parse(first.Secrets[0].Data["MONGO_URL"])
		is, _ := url.Parse(moved.Secrets[0].Data["MONGO_URL"])
		if moved.Secrets[0].Data["VOTER_SECRET"] != first.Secrets[0].Data["VOTER_SECRET"] || is.User.String() != was.User.String() || is.Host == was.Host {
			t.Errorf("%s: of another overlay, VOTER_SECRET or MongoDB's password has changed", name)
		}
	}
	for name, text := range map[string]string{
		"nothing": "", "no Secret": "kind: ConfigMap\n", "no YAML": "a: [hunter2", "no base64": "kind: Secret\nmetadata: {name: marimba, namespace: marimba}\ndata: {a: hunter2!}\n",
	} {
		if _, err := ReadKept(strings.NewReader(text)); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Each server's certificate is good for its names, by the authority that clients
// are given; MongoDB's and Redis's servers call one another with it.
func TestCertificates(t *testing.T) {
	made := makeSet(t, plan("production"))
	all := printed(t, made.Secrets)
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(all["marimba/marimba-ca"].StringData["ca.crt"])) {
		t.Fatal("the authority cannot be read")
	}
	server, client := x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth
	for secret, want := range map[string]struct {
		names []string
		usage []x509.ExtKeyUsage
	}{
		"marimba/redis-tls":            {[]string{"redis-0.redis.marimba.svc.cluster.local", "redis.marimba.svc.cluster.local", "localhost", "127.0.0.1"}, []x509.ExtKeyUsage{server, client}},
		"marimba/mongodb-tls":          {[]string{"mongodb-2.mongodb.marimba.svc.cluster.local", "mongodb.marimba.svc.cluster.local", "localhost", "127.0.0.1"}, []x509.ExtKeyUsage{server, client}},
		"kafka/marimba-kafka-listener": {[]string{"marimba-kafka-bootstrap.kafka.svc.cluster.local", "marimba-kafka-bootstrap.kafka.svc", "b-0.marimba-kafka-brokers.kafka.svc.cluster.local", "b-0.marimba-kafka-brokers.kafka.svc"}, []x509.ExtKeyUsage{server}},
	} {
		data := all[secret].StringData
		crt, key := data["tls.crt"], data["tls.key"]
		if joined, ok := data["tls.pem"]; ok {
			crt, key = joined, joined
		}
		pair, err := tls.X509KeyPair([]byte(crt), []byte(key))
		if err != nil {
			t.Fatalf("%s: %v", secret, err)
		}
		for _, usage := range want.usage {
			for _, name := range want.names {
				_, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, KeyUsages: []x509.ExtKeyUsage{usage}, CurrentTime: made.Expires.Add(-time.Hour)})
				if err != nil {
					t.Errorf("%s for %s: %v", secret, name, err)
				}
			}
		}
		if len(want.usage) == 1 && slices.Contains(pair.Leaf.ExtKeyUsage, client) {
			t.Errorf("%s: it is a client's too", secret)
		}
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "elsewhere.example"}); err == nil {
			t.Errorf("%s is good for any name", secret)
		}
	}
}

func TestNoSuchOverlay(t *testing.T) {
	if _, err := Make(plan("festival")); err == nil || !strings.Contains(err.Error(), "classroom") {
		t.Error(err)
	}
}

// A contest's own voter key stays when it is kept, whether the contest is named again
// or not; one that is named anew gets its own; without any there is no such Secret.
func TestVoterKeys(t *testing.T) {
	keysOf := func(p Plan) map[string]string {
		for _, s := range makeSet(t, p).Secrets {
			if s.Name == "voter-keys" {
				return s.Data
			}
		}
		return nil
	}
	p := plan("base")
	first := keysOf(p)
	if len(first["rock"]) != 64 {
		t.Fatalf("the keys are %d, rock's of %d digits", len(first), len(first["rock"]))
	}
	p.Kept, p.VoterKeys = Kept{"marimba/voter-keys": first}, []string{"jazz"}
	if second := keysOf(p); second["rock"] != first["rock"] || len(second["jazz"]) != 64 || second["jazz"] == second["rock"] {
		t.Errorf("%d keys, of which rock's or jazz's is not right", len(second))
	}
	p.Kept, p.VoterKeys = nil, nil
	if none := keysOf(p); none != nil {
		t.Error("there is a Secret without a key in it")
	}
}
