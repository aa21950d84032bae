package knative

import (
	"slices"
	"strings"
	"testing"

	"marimba/events"
)

// The topics that events names are made, and no other. Each has at least as
// many partitions as the function that reads it may have instances, or some of
// these would have nothing to do; and what was cast is kept for good: the audit
// recounts a contest from it.
func TestTopics(t *testing.T) {
	each(t, func(t *testing.T, m *manifests) {
		var names []events.Topic
		for _, topic := range m.topics {
			names = append(names, events.Topic(topic.Name))
			if topic.Labels["strimzi.io/cluster"] != "marimba" || topic.Namespace != "kafka" {
				t.Errorf("%s: namespace %s, labels %v: its operator does not see it", topic.Name, topic.Namespace, topic.Labels)
			}
			for _, s := range m.services {
				if most := maxScale(t, s); topic.Spec.Partitions < most {
					t.Errorf("%s has %d partitions, %s up to %d instances", topic.Name, topic.Spec.Partitions, s.Name, most)
				}
			}
			if kept := topic.Spec.Config["retention.ms"]; (topic.Name == string(events.VotesCast)) != (kept == int64(-1)) {
				t.Errorf("%s is kept for %v ms", topic.Name, kept)
			}
		}
		want := slices.Clone(events.Topics)
		slices.Sort(want)
		slices.Sort(names)
		if !slices.Equal(names, want) {
			t.Errorf("KafkaTopics %v, topics %v", names, want)
		}
	})
}

// An acknowledged vote is on two brokers and a third may be missing; in a
// classroom there is one, and all is as it can have it.
func TestReplicas(t *testing.T) {
	each(t, func(t *testing.T, m *manifests) {
		brokers, atLeast := int32(3), int64(2)
		if m.folder == "overlays/classroom" {
			brokers, atLeast = 1, 1
		}
		pool := named[kafkaNodePool](t, m, "nodes")
		if pool.Spec.Replicas != brokers {
			t.Errorf("%d brokers, want %d", pool.Spec.Replicas, brokers)
		}
		config := named[kafkaCluster](t, m, "marimba").Spec.Kafka.Config
		for key, want := range map[string]int64{
			"default.replication.factor": int64(brokers), "offsets.topic.replication.factor": int64(brokers),
			"transaction.state.log.replication.factor": int64(brokers), "min.insync.replicas": atLeast,
			"transaction.state.log.min.isr": atLeast,
		} {
			if config[key] != want {
				t.Errorf("%s is %v, want %d", key, config[key], want)
			}
		}
		for _, topic := range m.topics {
			if topic.Spec.Replicas != brokers || topic.Spec.Config["min.insync.replicas"] != atLeast {
				t.Errorf("%s: min.insync.replicas %v of %d replicas, want %d of %d",
					topic.Name, topic.Spec.Config["min.insync.replicas"], topic.Spec.Replicas, atLeast, brokers)
			}
		}
	})
}

// Disks outlive whoever deletes the cluster, and Kafka's parts run with as few
// rights as the others.
func TestKafkaPods(t *testing.T) {
	each(t, func(t *testing.T, m *manifests) {
		pool, k := named[kafkaNodePool](t, m, "nodes"), named[kafkaCluster](t, m, "marimba")
		for _, v := range pool.Spec.Storage.Volumes {
			if v.Type != "persistent-claim" || v.DeleteClaim {
				t.Errorf("volume %d: %+v", v.ID, v)
			}
		}
		entity, exporter := k.Spec.EntityOperator, k.Spec.KafkaExporter
		for name, part := range map[string]struct {
			pod       strimziPod
			container strimziContainer
			size      sized
		}{
			"nodes":          {pool.Spec.Template.Pod, pool.Spec.Template.KafkaContainer, pool.Spec.sized},
			"topic operator": {entity.Template.Pod, entity.Template.TopicOperatorContainer, *entity.TopicOperator},
			"user operator":  {entity.Template.Pod, entity.Template.UserOperatorContainer, *entity.UserOperator},
			"exporter":       {exporter.Template.Pod, exporter.Template.Container, exporter.sized},
		} {
			if p := part.pod.SecurityContext; p == nil || !is(p.RunAsNonRoot, true) || !confined(p.SeccompProfile) {
				t.Errorf("%s: securityContext of the pod %+v", name, p)
			}
			if c := part.container.SecurityContext; c == nil || !is(c.AllowPrivilegeEscalation, false) || !dropsAll(c.Capabilities) {
				t.Errorf("%s: securityContext %+v", name, c)
			}
			if r := part.size.Resources; r.Requests.Cpu().IsZero() || r.Requests.Memory().IsZero() || r.Limits.Memory().IsZero() {
				t.Errorf("%s: resources %+v", name, r)
			}
		}
		if a := exporter.Template.Pod.Metadata.Annotations; a["prometheus.io/scrape"] != "true" || a["prometheus.io/port"] != "9404" {
			t.Errorf("nobody asks how far the sources are: %v", a)
		}
	})
}

// Where others share the cluster, Kafka has one way in, with TLS and a login, and
// its users may do what their part of routes.go needs.
func TestKafkaIsLocked(t *testing.T) {
	each(t, func(t *testing.T, m *manifests) {
		k := named[kafkaCluster](t, m, "marimba")
		if len(k.Spec.Kafka.Listeners) != 1 {
			t.Fatalf("listeners are %+v, want one", k.Spec.Kafka.Listeners)
		}
		l := k.Spec.Kafka.Listeners[0]
		if !isSecure(m.folder) {
			if users := of[kafkaUser](m); l.TLS || l.Authentication.Type != "" || len(users) != 0 {
				t.Errorf("listener %+v, %d users", l, len(users))
			}
			return
		}
		if !l.TLS || l.Authentication.Type != "scram-sha-512" || len(l.NetworkPolicyPeers) == 0 ||
			k.Spec.Kafka.Authorization == nil || k.Spec.Kafka.Authorization.Type != "simple" {
			t.Errorf("listener %+v, authorization %+v", l, k.Spec.Kafka.Authorization)
		}
		for _, r := range events.Routes {
			for _, topic := range r.Writes {
				if user := kafkaUserOf(r.Function); !may(t, m, user, "topic", string(topic), "Write") {
					t.Errorf("%s cannot write %s for %s", user, topic, r.Function)
				}
			}
			for _, topic := range r.Reads {
				if !may(t, m, "marimba-eventing", "topic", string(topic), "Read") {
					t.Errorf("sources cannot read %s", topic)
				}
			}
		}
		if may(t, m, "marimba-ingress", "topic", string(events.VotesAccepted), "Write") || may(t, m, "marimba-screen", "topic", string(events.VotesCast), "Write") {
			t.Error("a function may write what is another's")
		}
		for _, s := range m.sources {
			if !may(t, m, "marimba-eventing", "group", s.Spec.ConsumerGroup, "Read") {
				t.Errorf("group %s is not open to its source", s.Spec.ConsumerGroup)
			}
			if n := s.Spec.Net; n == nil || !n.SASL.Enable || !n.TLS.Enable {
				t.Errorf("KafkaSource %s: net %+v", s.Name, n)
			}
		}
		for _, s := range m.sinks {
			if s.Spec.Auth == nil || s.Spec.Auth.Secret.Ref.Name != "kafka-eventing" || !may(t, m, "marimba-eventing", "topic", s.Spec.Topic, "Write") {
				t.Errorf("KafkaSink %s: auth %+v", s.Name, s.Spec.Auth)
			}
		}
	})
}

// may reports whether a user has an access list that allows an operation.
func may(t *testing.T, m *manifests, user, kind, name, operation string) bool {
	t.Helper()
	for _, acl := range named[kafkaUser](t, m, user).Spec.Authorization.ACLs {
		r := acl.Resource
		if r.Type == kind && (r.Name == name || r.PatternType == "prefix" && strings.HasPrefix(name, r.Name)) && slices.Contains(acl.Operations, operation) {
			return true
		}
	}
	return false
}
