package local

import (
	"testing"
	"testing/fstest"
	"time"

	"marimba/knative"
)

// The manifests that are shipped are ones that this package runs, and it reads
// from them what they say.
func TestReadBase(t *testing.T) {
	p, err := read(knative.Base)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.services) != 6 || len(p.sources) != 3 || len(p.topics) != 4 {
		t.Fatalf("%d services, %d sources, %d topics; want 6, 3, 4", len(p.services), len(p.sources), len(p.topics))
	}
	grpc := p.service("ingress-grpc")
	if !grpc.h2c || grpc.private || grpc.maxScale != 8 || grpc.target != 140 || grpc.window != 15*time.Second || grpc.timeout != 10*time.Minute {
		t.Errorf("ingress-grpc: %+v", grpc)
	}
	screen := p.service("screen")
	if !screen.private || screen.concurrency != 100 || screen.target != 70 || screen.timeout != time.Minute {
		t.Errorf("screen: %+v", screen)
	}
	tally := p.sources[1]
	if tally.group != "marimba-tally" || len(tally.topics) != 2 || !tally.earliest || tally.ordered || tally.sink != "tally" {
		t.Errorf("tally's source: %+v", tally)
	}
	if want := (delivery{retries: 40, delay: 500 * time.Millisecond, timeout: 30 * time.Second, deadLetter: "votes-dead"}); tally.delivery != want {
		t.Errorf("tally's delivery: %+v", tally.delivery)
	}
}

// A manifest that asks for what is not honoured here is refused, with the field
// named, and not run as if it had not asked.
func TestReadRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"unknown kind":       "kind: Broker\nmetadata: {name: b}",
		"unknown field":      "kind: Service\nmetadata: {name: a}\nspec: {template: {spec: {containers: [{image: a, volumeMounts: []}]}}}",
		"unknown annotation": "kind: Service\nmetadata: {name: a}\nspec: {template: {metadata: {annotations: {autoscaling.knative.dev/metric: rps}}, spec: {containers: [{image: a}]}}}",
		"no container":       "kind: Service\nmetadata: {name: a}\nspec: {template: {spec: {containers: []}}}",
		"max below min":      "kind: Service\nmetadata: {name: a}\nspec: {template: {metadata: {annotations: {autoscaling.knative.dev/min-scale: \"9\"}}, spec: {containers: [{image: a}]}}}",
		"structured sink":    "kind: KafkaSink\nmetadata: {name: a}\nspec: {topic: t}",
		"sink without topic": "kind: KafkaSink\nmetadata: {name: a}\nspec: {topic: t, contentMode: binary}",
		"source without delivery": "kind: KafkaSource\nmetadata: {name: a}\n" +
			"spec: {consumerGroup: g, topics: [t], sink: {ref: {kind: Service, name: a}}}",
		"not YAML": "kind: [",
	} {
		t.Run(name, func(t *testing.T) {
			p, err := read(fstest.MapFS{"a.yaml": {Data: []byte(text)}})
			if err == nil {
				t.Fatalf("accepted: %+v", p)
			}
			t.Log(err)
		})
	}
}
