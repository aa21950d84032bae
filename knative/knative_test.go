package knative

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	goyaml "go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	eventingduckv1 "knative.dev/eventing/pkg/apis/duck/v1"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
	strictjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"marimba/events"
)

// kafkaTopic is Strimzi's, which has no Go types.
type kafkaTopic struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Partitions int32          `json:"partitions"`
		Replicas   int32          `json:"replicas"`
		Config     map[string]any `json:"config"`
	} `json:"spec"`
}

// kafkaSource is sources.knative.dev/v1; its Go types are in a module that is
// not to be had, but for those that it takes from eventing.
type kafkaSource struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Consumers         *int32                       `json:"consumers"`
		BootstrapServers  []string                     `json:"bootstrapServers"`
		Topics            []string                     `json:"topics"`
		ConsumerGroup     string                       `json:"consumerGroup"`
		InitialOffset     string                       `json:"initialOffset"`
		Ordering          string                       `json:"ordering"`
		Delivery          *eventingduckv1.DeliverySpec `json:"delivery"`
		duckv1.SourceSpec `json:",inline"`
	} `json:"spec"`
}

// kafkaSink is eventing.knative.dev/v1alpha1, as kafkaSource.
type kafkaSink struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		BootstrapServers []string `json:"bootstrapServers"`
		Topic            string   `json:"topic"`
		ContentMode      string   `json:"contentMode"`
	} `json:"spec"`
}

// kustomization is as much of kustomize.config.k8s.io/v1beta1 as base uses.
type kustomization struct {
	metav1.TypeMeta `json:",inline"`
	Resources       []string `json:"resources"`
}

// manifests are the objects of base, by kind, in the order of the files.
type manifests struct {
	namespaces []*corev1.Namespace
	configMaps []*corev1.ConfigMap
	topics     []*kafkaTopic
	sinks      []*kafkaSink
	services   []*servingv1.Service
	sources    []*kafkaSource
}

// read decodes base. A field that the kind does not have, or one given twice,
// or in other letters, is a fault: Kubernetes would drop it.
func read(t *testing.T) *manifests {
	t.Helper()
	m := &manifests{}
	for _, name := range yamlFiles(t) {
		text, err := fs.ReadFile(Base, name)
		if err != nil {
			t.Fatal(err)
		}
		documents := goyaml.NewDecoder(bytes.NewReader(text))
		for {
			var doc goyaml.Node
			if err := documents.Decode(&doc); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			one, err := goyaml.Marshal(&doc)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			m.add(t, name, one)
		}
	}
	return m
}

func (m *manifests) add(t *testing.T, file string, text []byte) {
	t.Helper()
	var head metav1.TypeMeta
	if err := yaml.Unmarshal(text, &head); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	switch head.APIVersion + " " + head.Kind {
	case "v1 Namespace":
		m.namespaces = append(m.namespaces, decode[corev1.Namespace](t, file, text))
	case "v1 ConfigMap":
		m.configMaps = append(m.configMaps, decode[corev1.ConfigMap](t, file, text))
	case "kafka.strimzi.io/v1 KafkaTopic":
		m.topics = append(m.topics, decode[kafkaTopic](t, file, text))
	case "eventing.knative.dev/v1alpha1 KafkaSink":
		m.sinks = append(m.sinks, decode[kafkaSink](t, file, text))
	case "sources.knative.dev/v1 KafkaSource":
		m.sources = append(m.sources, decode[kafkaSource](t, file, text))
	case "serving.knative.dev/v1 Service":
		m.services = append(m.services, decode[servingv1.Service](t, file, text))
	default:
		t.Errorf("%s: %s %s is of a kind that no test here holds", file, head.APIVersion, head.Kind)
	}
}

// decode is as strict as the API server is with fieldValidation=Strict.
func decode[T any](t *testing.T, file string, text []byte) *T {
	t.Helper()
	asJSON, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	into := new(T)
	faults, err := strictjson.UnmarshalStrict(asJSON, into)
	if err := errors.Join(append(faults, err)...); err != nil {
		t.Fatalf("%s: %T: %v", file, *into, err)
	}
	return into
}

func yamlFiles(t *testing.T) []string {
	t.Helper()
	files, err := fs.Glob(Base, "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(files, func(name string) bool { return name == "kustomization.yaml" })
}

// What is not decoded strictly would pass any other test here: this holds that
// the decoder refuses what it should.
func TestDecodeIsStrict(t *testing.T) {
	for name, text := range map[string]string{
		"unknown field":  `{"spec": {"topics": ["t"], "orderings": "unordered"}}`,
		"other letters":  `{"spec": {"Topics": ["t"]}}`,
		"given twice":    `{"spec": {"topics": ["t"], "topics": ["u"]}}`,
		"unknown nested": `{"spec": {"delivery": {"retries": 3}}}`,
	} {
		faults, err := strictjson.UnmarshalStrict([]byte(text), &kafkaSource{})
		if err == nil && len(faults) == 0 {
			t.Errorf("%s was taken: %s", name, text)
		}
	}
}

// kubectl apply -k takes what the kustomization lists: all of the folder, in the
// order of the names.
func TestKustomizationListsAll(t *testing.T) {
	text, err := fs.ReadFile(Base, "kustomization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	k := decode[kustomization](t, "kustomization.yaml", text)
	if files := yamlFiles(t); !slices.Equal(k.Resources, files) {
		t.Errorf("resources %v, files %v", k.Resources, files)
	}
}

// One folder = one function = one Service of the same name; a KafkaSource for
// each that reads topics. events.Routes is the table, and the manifests and
// folders say the same.
func TestRoutesFoldersServices(t *testing.T) {
	m := read(t)
	var routes, readers, services, sources, folders []string
	for _, r := range events.Routes {
		routes = append(routes, r.Function)
		if len(r.Reads) > 0 {
			readers = append(readers, r.Function)
		}
	}
	for _, s := range m.services {
		services = append(services, s.Name)
	}
	for _, s := range m.sources {
		sources = append(sources, s.Name)
	}
	entries, err := os.ReadDir(filepath.Join("..", "functions"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() && e.Name() != "internal" {
			folders = append(folders, e.Name())
		}
	}
	for _, list := range [][]string{routes, readers, services, sources, folders} {
		slices.Sort(list)
	}
	if !slices.Equal(services, routes) {
		t.Errorf("Services %v, routes %v", services, routes)
	}
	if !slices.Equal(folders, routes) {
		t.Errorf("folders of functions/ %v, routes %v", folders, routes)
	}
	if !slices.Equal(sources, readers) {
		t.Errorf("KafkaSources %v, functions that read topics %v", sources, readers)
	}
}

// The topics that events names are made, and no other. Each has at least as
// many partitions as the function that reads it may have instances, or some of
// these would have nothing to do; and an acknowledged vote is on two brokers.
func TestTopics(t *testing.T) {
	m := read(t)
	var names []events.Topic
	for _, topic := range m.topics {
		names = append(names, events.Topic(topic.Name))
		if topic.Labels["strimzi.io/cluster"] == "" {
			t.Errorf("%s: no cluster", topic.Name)
		}
		if atLeast, ok := topic.Spec.Config["min.insync.replicas"].(int64); !ok || atLeast < 2 || int64(topic.Spec.Replicas) <= atLeast {
			t.Errorf("%s: min.insync.replicas %v of %d replicas; want 2 at least, and one more that may be lost",
				topic.Name, topic.Spec.Config["min.insync.replicas"], topic.Spec.Replicas)
		}
		for _, s := range m.services {
			if most := maxScale(t, s); topic.Spec.Partitions < most {
				t.Errorf("%s has %d partitions, %s up to %d instances", topic.Name, topic.Spec.Partitions, s.Name, most)
			}
		}
	}
	if !slices.Equal(names, events.Topics) {
		t.Errorf("KafkaTopics %v, topics %v", names, events.Topics)
	}
	// The audit recounts a contest from this topic.
	if m.topics[0].Name != string(events.VotesCast) || m.topics[0].Spec.Config["retention.ms"] != int64(-1) {
		t.Errorf("%s is kept for %v ms, want -1: for good", m.topics[0].Name, m.topics[0].Spec.Config["retention.ms"])
	}
}

// All objects are in the namespace that is made first, which holds its pods to
// the restricted standard; topics are where their operator looks.
func TestNamespaces(t *testing.T) {
	m := read(t)
	if len(m.namespaces) != 1 || m.namespaces[0].Name != "marimba" {
		t.Fatalf("namespaces %v, want marimba", m.namespaces)
	}
	if level := m.namespaces[0].Labels["pod-security.kubernetes.io/enforce"]; level != "restricted" {
		t.Errorf("namespace marimba enforces %q, want restricted", level)
	}
	where := map[string][]string{}
	for _, o := range m.configMaps {
		where[o.Namespace] = append(where[o.Namespace], o.Name)
	}
	for _, o := range m.sinks {
		where[o.Namespace] = append(where[o.Namespace], o.Name)
	}
	for _, o := range m.services {
		where[o.Namespace] = append(where[o.Namespace], o.Name)
	}
	for _, o := range m.sources {
		where[o.Namespace] = append(where[o.Namespace], o.Name)
	}
	if len(where) != 1 || len(where["marimba"]) == 0 {
		t.Errorf("objects by namespace: %v, want all in marimba", where)
	}
	for _, o := range m.topics {
		if o.Namespace != "kafka" {
			t.Errorf("KafkaTopic %s is in %q, want kafka", o.Name, o.Namespace)
		}
	}
}
