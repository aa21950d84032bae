package local

import (
	"strings"
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
	if len(p.services) != 7 || len(p.sources) != 4 || len(p.topics) != 5 {
		t.Fatalf("%d services, %d sources, %d topics; want 7, 4, 5", len(p.services), len(p.sources), len(p.topics))
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
		"unknown field":      "kind: Service\nmetadata: {name: a}\nspec: {template: {spec: {containers: [{image: a, lifecycle: {}}]}}}",
		"unknown annotation": "kind: Service\nmetadata: {name: a}\nspec: {template: {metadata: {annotations: {autoscaling.knative.dev/metric: rps}}, spec: {containers: [{image: a}]}}}",
		"no volume":          "kind: Service\nmetadata: {name: a}\nspec: {template: {spec: {containers: [{image: a, volumeMounts: [{name: c, mountPath: /c}]}]}}}",
		"unknown volume":     "kind: Service\nmetadata: {name: a}\nspec: {template: {spec: {containers: [{image: a}], volumes: [{name: c, emptyDir: {}}]}}}",
		"no container":       "kind: Service\nmetadata: {name: a}\nspec: {template: {spec: {containers: []}}}",
		"max below min":      "kind: Service\nmetadata: {name: a}\nspec: {template: {metadata: {annotations: {autoscaling.knative.dev/min-scale: \"9\"}}, spec: {containers: [{image: a}]}}}",
		"structured sink":    "kind: KafkaSink\nmetadata: {name: a}\nspec: {topic: t}",
		"sink without topic": "kind: KafkaSink\nmetadata: {name: a}\nspec: {topic: t, contentMode: binary}",
		"source without delivery": "kind: KafkaSource\nmetadata: {name: a}\n" +
			"spec: {consumerGroup: g, topics: [t], sink: {ref: {kind: Service, name: a}}}",
		"unknown ordering":      sourceYAML("ordering: sorted"),
		"unknown initialOffset": sourceYAML("initialOffset: first"),
		"unknown backoffPolicy": sourceYAML("delivery: {retry: 1, backoffPolicy: random, backoffDelay: PT1S, timeout: PT1S, deadLetterSink: {ref: {kind: KafkaSink, name: d}}}"),
		"no timeout":            sourceYAML("delivery: {retry: 1, backoffPolicy: linear, backoffDelay: PT1S, deadLetterSink: {ref: {kind: KafkaSink, name: d}}}"),
		"delay of nothing":      sourceYAML("delivery: {retry: 1, backoffPolicy: linear, backoffDelay: PT0.001S, timeout: PT1S, deadLetterSink: {ref: {kind: KafkaSink, name: d}}}"),
		"no dead letter sink":   sourceYAML("delivery: {retry: 1, backoffPolicy: linear, backoffDelay: PT1S, timeout: PT1S}"),
		"not YAML":              "kind: [",
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

// sourceYAML is a KafkaSource that lacks nothing, with more lines of its spec;
// a line that it has too goes before its own.
func sourceYAML(more string) string {
	spec := "  " + more + "\n"
	for _, line := range []string{
		"consumerGroup: g", "topics: [t]", "initialOffset: earliest", "ordering: unordered", "sink: {ref: {kind: Service, name: a}}",
		"delivery: {retry: 1, backoffPolicy: linear, backoffDelay: PT1S, timeout: PT1S, deadLetterSink: {ref: {kind: KafkaSink, name: d}}}",
	} {
		if name, _, _ := strings.Cut(line, ":"); !strings.HasPrefix(more, name+":") {
			spec += "  " + line + "\n"
		}
	}
	return `
kind: KafkaTopic
metadata: {name: t}
spec: {partitions: 1, replicas: 1}
---
kind: KafkaSink
metadata: {name: d}
spec: {topic: t, contentMode: binary}
---
kind: Service
metadata: {name: a}
spec: {template: {spec: {containers: [{image: a}]}}}
---
kind: KafkaSource
metadata: {name: a}
spec:
` + spec
}

// What is refused above is refused for what it says, and not for what is around
// it.
func TestReadTakesWhatLacksNothing(t *testing.T) {
	if _, err := read(fstest.MapFS{"a.yaml": {Data: []byte(sourceYAML("ordering: ordered"))}}); err != nil {
		t.Fatal(err)
	}
}

// The target is the smaller of what the annotation and the hard limit say, and
// used to 70 %, as Knative does.
func TestTarget(t *testing.T) {
	for spec, want := range map[string]float64{
		"spec: {containers: [{image: a}]}":                                                                                              70,
		"spec: {containerConcurrency: 10, containers: [{image: a}]}":                                                                    7,
		"metadata: {annotations: {autoscaling.knative.dev/target: \"50\"}}, spec: {containers: [{image: a}]}":                           35,
		"metadata: {annotations: {autoscaling.knative.dev/target: \"50\"}}, spec: {containerConcurrency: 10, containers: [{image: a}]}": 7,
		"metadata: {annotations: {autoscaling.knative.dev/target: \"5\"}}, spec: {containerConcurrency: 10, containers: [{image: a}]}":  3.5,
	} {
		p, err := read(fstest.MapFS{"a.yaml": {Data: []byte("kind: Service\nmetadata: {name: a}\nspec: {template: {" + spec + "}}")}})
		if err != nil {
			t.Fatal(err)
		}
		if got := p.services[0].target; got != want {
			t.Errorf("%s: target %g, want %g", spec, got, want)
		}
	}
}
