// Package secrets makes the Secrets that the manifests of knative/ refer to. They
// are printed, and kept nowhere: a cluster has them, and whoever applies them.
package secrets

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"marimba/config/voterkey"
)

// Secret is a Secret of a cluster.
type Secret struct {
	Namespace, Name string
	Data            map[string]string
}

// Plan says what is wanted.
type Plan struct {
	Overlay   string   // of knative/overlays, or base
	Namespace string   // of the functions and stores
	Kafka     string   // namespace of Kafka
	VoterKeys []string // contests that get a voter key of their own, besides those that have one
	Kept      Kept     // values that stay as they are
	Renew     bool     // certificates, though Kept has some
	Now       time.Time
}

// overlays are those of knative/overlays, with the base that they stand on; true
// for those where Kafka and the stores speak TLS and Kafka wants a login.
var overlays = map[string]bool{"base": false, "classroom": false, "production": true, "production-keda": true, "show": true}

// Overlays are the names of the overlays.
func Overlays() []string { return slices.Sorted(maps.Keys(overlays)) }

// mongoUser is who the functions are for MongoDB.
const mongoUser = "marimba"

// kafkaUsers are the users of Kafka, each with a password of its own.
var kafkaUsers = []string{"ingress", "screen", "tally", "eventing", "books"}

// Made is a set of Secrets and what there is to say about it.
type Made struct {
	Secrets   []Secret
	Kept      []string  // values that were kept, as namespace/name:key
	New       []string  // the others that are secret
	Expires   time.Time // the certificates; zero: there are none
	Elsewhere []string  // what is not made here, and who makes it
}

// Make makes the Secrets of an overlay. Values that are kept stay as they are.
func Make(p Plan) (Made, error) {
	secure, ok := overlays[p.Overlay]
	if !ok {
		return Made{}, fmt.Errorf("there is no overlay %q, only %s", p.Overlay, strings.Join(Overlays(), ", "))
	}
	m := maker{plan: p}
	mongo := m.mongoPassword()
	m.add(p.Namespace, "marimba", map[string]string{
		"REDIS_PASSWORD": m.password(p.Namespace, "marimba", "REDIS_PASSWORD"),
		"MONGO_URL":      mongoURL(p, secure, mongo),
		"VOTER_SECRET":   m.password(p.Namespace, "marimba", "VOTER_SECRET"),
		"RECEIPT_SECRET": m.password(p.Namespace, "marimba", "RECEIPT_SECRET"),
		"SEAL_KEY":       m.password(p.Namespace, "marimba", "SEAL_KEY"),
		"ADMIN_TOKEN":    m.password(p.Namespace, "marimba", "ADMIN_TOKEN"),
	})
	m.add(p.Namespace, "mongodb", map[string]string{
		"root-password": m.password(p.Namespace, "mongodb", "root-password"),
		"password":      mongo,
		"keyfile":       m.value(p.Namespace, "mongodb", "keyfile", keyfile),
	})
	m.add(p.Namespace, "grafana", map[string]string{
		"admin-password": m.password(p.Namespace, "grafana", "admin-password"),
		"redis-password": m.password(p.Namespace, "grafana", "redis-password"), // of a user who may only look
	})
	m.voterKeys()
	m.made.Elsewhere = slices.Clone(elsewhere)
	if secure {
		if err := m.secure(); err != nil {
			return Made{}, err
		}
		m.made.Elsewhere = append(m.made.Elsewhere, elsewhereSecure...)
	}
	return m.made, nil
}

// What is not made here.
var (
	elsewhere = []string{
		"the certificate of the public domain: whoever runs Knative's ingress has it (cert-manager, for example)",
		"a login for the registry of the images, if it wants one: kubectl create secret docker-registry",
		"the authorities of Kafka's brokers and of its operators (Secrets marimba-cluster-ca… and marimba-clients-ca…): Strimzi makes and renews them",
	}
	elsewhereSecure = []string{
		"the Secrets of Kafka's users (marimba-ingress and others): Strimzi makes them of the passwords in marimba-kafka-users",
	}
)

type maker struct {
	plan Plan
	made Made
}

func (m *maker) add(namespace, name string, data map[string]string) {
	m.made.Secrets = append(m.made.Secrets, Secret{namespace, name, data})
}

// value returns a value that is kept, or a new one.
func (m *maker) value(namespace, name, key string, make func() string) string {
	called := namespace + "/" + name + ":" + key
	if kept, ok := m.plan.Kept.Value(namespace, name, key); ok {
		m.made.Kept = append(m.made.Kept, called)
		return kept
	}
	m.made.New = append(m.made.New, called)
	return make()
}

func (m *maker) password(namespace, name, key string) string {
	return m.value(namespace, name, key, password)
}

// voterKeys adds the contests' own voter keys, if there are any.
func (m *maker) voterKeys() {
	contests := slices.Concat(m.plan.VoterKeys, slices.Collect(maps.Keys(m.plan.Kept[m.plan.Namespace+"/voter-keys"])))
	slices.Sort(contests)
	keys := make(map[string]string)
	for _, contest := range slices.Compact(contests) {
		keys[contest] = m.value(m.plan.Namespace, "voter-keys", contest, voterkey.New)
	}
	if len(keys) > 0 {
		m.add(m.plan.Namespace, "voter-keys", keys)
	}
}

// password is 256 random bits in letters and figures, which stand in a URL and in
// redis.conf as they are.
func password() string {
	var bits [32]byte
	_, _ = rand.Read(bits[:]) // it never fails
	return hex.EncodeToString(bits[:])
}

// keyfile is by what the members of MongoDB's replica set know one another.
func keyfile() string {
	var bits [384]byte
	_, _ = rand.Read(bits[:]) // it never fails
	return base64.StdEncoding.EncodeToString(bits[:])
}

// mongoPassword is that of the functions' user: the one of Secret mongodb or, where
// only the functions' URL was kept, the one in it.
func (m *maker) mongoPassword() string {
	kept, ok := m.plan.Kept.Value(m.plan.Namespace, "marimba", "MONGO_URL")
	if _, own := m.plan.Kept.Value(m.plan.Namespace, "mongodb", "password"); ok && !own {
		if u, err := url.Parse(kept); err == nil && u.User.Username() == mongoUser {
			if word, ok := u.User.Password(); ok {
				m.made.Kept = append(m.made.Kept, m.plan.Namespace+"/marimba:MONGO_URL")
				return word
			}
		}
	}
	return m.password(m.plan.Namespace, "mongodb", "password")
}

// mongoURL names the members that an overlay has; it is made anew of the password
// each time, so that a change of overlay does not leave it behind.
func mongoURL(p Plan, secure bool, password string) string {
	members, query := 1, "replicaSet=marimba&authSource=admin"
	if secure {
		members, query = 3, query+"&tls=true"
	}
	var hosts []string
	for i := range members {
		hosts = append(hosts, fmt.Sprintf("mongodb-%d.mongodb.%s.svc.cluster.local:27017", i, p.Namespace))
	}
	u := url.URL{Scheme: "mongodb", User: url.UserPassword(mongoUser, password), Host: strings.Join(hosts, ","), Path: "/", RawQuery: query}
	return u.String()
}

// secure adds what an overlay with TLS and logins has besides.
func (m *maker) secure() error {
	p := m.plan
	held, expires, err := m.certificates()
	if err != nil {
		return err
	}
	m.made.Expires = expires
	m.made.Secrets = append(m.made.Secrets, held...)
	authority := held[0].Data["ca.crt"]

	users := make(map[string]string)
	for _, user := range kafkaUsers {
		users[user] = m.password(p.Kafka, "marimba-kafka-users", user)
		if user == "eventing" { // Knative's own form
			m.add(p.Namespace, "kafka-eventing", map[string]string{
				"protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512", "user": "marimba-eventing",
				"password": users[user], "ca.crt": authority,
			})
			continue
		}
		m.add(p.Namespace, "kafka-"+user, map[string]string{"password": users[user]})
	}
	m.add(p.Kafka, "marimba-kafka-users", users)
	return nil
}
