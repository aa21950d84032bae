package knative

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"

	eventingduckv1 "knative.dev/eventing/pkg/apis/duck/v1"
	"knative.dev/eventing/pkg/apis/feature"
	duckv1 "knative.dev/pkg/apis/duck/v1"

	"marimba/events"
)

// brokers are the bootstrap addresses of the ConfigMap.
func brokers(t *testing.T, m *manifests) []string {
	t.Helper()
	for _, c := range m.configMaps {
		if address := c.Data["KAFKA_BROKER"]; address != "" {
			return []string{address}
		}
	}
	t.Fatal("no ConfigMap has KAFKA_BROKER")
	return nil
}

// Admission does not validate a source's delivery, so Knative's own validation
// is called here, with the feature on without which it refuses a timeout.
func TestDeliveryIsValid(t *testing.T) {
	ctx := feature.ToContext(context.Background(), feature.Flags{feature.DeliveryTimeout: feature.Enabled})
	each(t, func(t *testing.T, m *manifests) {
		for _, s := range m.sources {
			if err := s.Spec.Delivery.Validate(ctx); err != nil {
				t.Errorf("%s: delivery: %v", s.Name, err)
			}
			if err := s.Spec.SourceSpec.Validate(ctx); err != nil {
				t.Errorf("%s: %v", s.Name, err)
			}
		}
	})
}

// All five fields are set. Without retry there is no retry, without backoff they
// come at once, without a dead letter sink what cannot be delivered is dropped,
// without a timeout an event can block its partition for ten minutes.
func TestDeliveryIsSet(t *testing.T) {
	each(t, func(t *testing.T, m *manifests) {
		for _, s := range m.sources {
			d := s.Spec.Delivery
			if d == nil || d.Retry == nil || *d.Retry < 1 || d.Timeout == nil || d.BackoffPolicy == nil || d.BackoffDelay == nil || d.DeadLetterSink == nil {
				t.Errorf("%s: delivery %+v", s.Name, d)
				continue
			}
			ref := d.DeadLetterSink.Ref
			if ref == nil || ref.Kind != "KafkaSink" || ref.APIVersion != "eventing.knative.dev/v1alpha1" ||
				!slices.ContainsFunc(m.sinks, func(k *kafkaSink) bool { return k.Name == ref.Name && k.APIVersion == ref.APIVersion }) {
				t.Errorf("%s: dead letter sink %+v is not one of ours", s.Name, ref)
			}
			if *d.BackoffPolicy != eventingduckv1.BackoffPolicyLinear {
				t.Errorf("%s: backoff %s; see the comment there", s.Name, *d.BackoffPolicy)
			}
		}
	})
}

// A source reads what routes.go says, posts to the function of its name, begins
// with the oldest event, keeps its group's name, and never waits for one event
// with all others of the partition.
func TestSources(t *testing.T) {
	each(t, func(t *testing.T, m *manifests) {
		groups := map[string]string{}
		for _, s := range m.sources {
			route, _ := events.RouteOf(s.Name)
			var want []string
			for _, topic := range route.Reads {
				want = append(want, string(topic))
			}
			if !slices.Equal(s.Spec.Topics, want) {
				t.Errorf("%s reads %v, by routes.go %v", s.Name, s.Spec.Topics, want)
			}
			if to := (duckv1.KReference{APIVersion: "serving.knative.dev/v1", Kind: "Service", Name: s.Name}); s.Spec.Sink.Ref == nil || *s.Spec.Sink.Ref != to {
				t.Errorf("%s posts to %+v", s.Name, s.Spec.Sink.Ref)
			}
			if s.Spec.InitialOffset != "earliest" || s.Spec.Ordering != "unordered" {
				t.Errorf("%s: initialOffset %q, ordering %q; want earliest, unordered", s.Name, s.Spec.InitialOffset, s.Spec.Ordering)
			}
			if other := groups[s.Spec.ConsumerGroup]; s.Spec.ConsumerGroup == "" || other != "" {
				t.Errorf("%s: consumerGroup %q, which %q has too", s.Name, s.Spec.ConsumerGroup, other)
			}
			groups[s.Spec.ConsumerGroup] = s.Name
			if !slices.Equal(s.Spec.BootstrapServers, brokers(t, m)) {
				t.Errorf("%s: brokers %v, the ConfigMap's %v", s.Name, s.Spec.BootstrapServers, brokers(t, m))
			}
		}
	})
}

// Dead letters go to the topic for them, as events and not as JSON around them.
func TestSink(t *testing.T) {
	each(t, func(t *testing.T, m *manifests) {
		if len(m.sinks) != 1 {
			t.Fatalf("%d KafkaSinks, want 1", len(m.sinks))
		}
		s := m.sinks[0]
		if s.Spec.Topic != string(events.VotesDead) || s.Spec.ContentMode != "binary" || !slices.Equal(s.Spec.BootstrapServers, brokers(t, m)) {
			t.Errorf("%s: %+v", s.Name, s.Spec)
		}
	})
}

// With KEDA the sources that carry votes have as many consumers as they need, and
// no more than there are partitions.
func TestConsumersByKEDA(t *testing.T) {
	const prefix = "autoscaling.eventing.knative.dev/"
	each(t, func(t *testing.T, m *manifests) {
		for _, s := range m.sources {
			var scaled bool
			for key, value := range s.Annotations {
				name, ok := strings.CutPrefix(key, prefix)
				if !ok {
					continue
				}
				if name == "class" {
					if value != "disabled" || !slices.Contains(unhurried, s.Name) {
						t.Errorf("%s: %s is %s", s.Name, key, value)
					}
					continue
				}
				if !slices.Contains([]string{"min-scale", "max-scale", "polling-interval", "cooldown-period", "lag-threshold", "activation-lag-threshold"}, name) {
					t.Errorf("%s: there is no annotation %s", s.Name, key)
				}
				if n, err := strconv.Atoi(value); err != nil || name == "max-scale" && int32(n) > m.topics[0].Spec.Partitions {
					t.Errorf("%s: %s is %q", s.Name, key, value)
				}
				scaled = true
			}
			if want := m.folder == "overlays/production-keda" && !slices.Contains(unhurried, s.Name); scaled != want {
				t.Errorf("%s: scaled by KEDA %v, want %v", s.Name, scaled, want)
			}
		}
	})
}
