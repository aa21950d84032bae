package knative

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
	"sigs.k8s.io/json"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// rendered are the folders that somebody applies.
var rendered = []string{"base", "overlays/classroom", "overlays/production", "overlays/show", "overlays/production-keda"}

// isSecure tells where Kafka and the stores speak TLS and want a login.
func isSecure(folder string) bool { return folder != "base" && folder != "overlays/classroom" }

// manifests are the objects of a folder, as kustomize makes them.
type manifests struct {
	folder  string
	objects []metav1.Object // pointers to their types

	configMaps []*corev1.ConfigMap
	topics     []*kafkaTopic
	sinks      []*kafkaSink
	services   []*servingv1.Service
	sources    []*kafkaSource
}

// kinds makes an object of each kind that is known here.
var kinds = map[string]func() metav1.Object{
	"v1 Namespace":                             func() metav1.Object { return new(corev1.Namespace) },
	"v1 ConfigMap":                             func() metav1.Object { return new(corev1.ConfigMap) },
	"v1 Service":                               func() metav1.Object { return new(corev1.Service) },
	"v1 ServiceAccount":                        func() metav1.Object { return new(corev1.ServiceAccount) },
	"apps/v1 StatefulSet":                      func() metav1.Object { return new(appsv1.StatefulSet) },
	"apps/v1 Deployment":                       func() metav1.Object { return new(appsv1.Deployment) },
	"rbac.authorization.k8s.io/v1 Role":        func() metav1.Object { return new(rbacv1.Role) },
	"rbac.authorization.k8s.io/v1 RoleBinding": func() metav1.Object { return new(rbacv1.RoleBinding) },
	"policy/v1 PodDisruptionBudget":            func() metav1.Object { return new(policyv1.PodDisruptionBudget) },
	"networking.k8s.io/v1 NetworkPolicy":       func() metav1.Object { return new(networkingv1.NetworkPolicy) },
	"serving.knative.dev/v1 Service":           func() metav1.Object { return new(servingv1.Service) },
	"sources.knative.dev/v1 KafkaSource":       func() metav1.Object { return new(kafkaSource) },
	"eventing.knative.dev/v1alpha1 KafkaSink":  func() metav1.Object { return new(kafkaSink) },
	"kafka.strimzi.io/v1 Kafka":                func() metav1.Object { return new(kafkaCluster) },
	"kafka.strimzi.io/v1 KafkaNodePool":        func() metav1.Object { return new(kafkaNodePool) },
	"kafka.strimzi.io/v1 KafkaTopic":           func() metav1.Object { return new(kafkaTopic) },
	"kafka.strimzi.io/v1 KafkaUser":            func() metav1.Object { return new(kafkaUser) },
}

// built remembers what kustomize made of each folder: JSON, as tests change objects.
var built sync.Map

// build runs kustomize on a folder.
func build(t *testing.T, folder string) [][]byte {
	t.Helper()
	once, _ := built.LoadOrStore(folder, sync.OnceValues(func() ([][]byte, error) {
		m, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), folder)
		if err != nil {
			return nil, err
		}
		var texts [][]byte
		for _, r := range m.Resources() {
			text, err := r.MarshalJSON()
			if err != nil {
				return nil, err
			}
			texts = append(texts, text)
		}
		return texts, nil
	}))
	texts, err := once.(func() ([][]byte, error))()
	if err != nil {
		t.Fatalf("kustomize %s: %v", folder, err)
	}
	return texts
}

// render builds a folder and decodes all of it. A field that a kind does not have,
// or one given twice, or in other letters, is a fault: Kubernetes would drop it.
func render(t *testing.T, folder string) *manifests {
	t.Helper()
	m := &manifests{folder: folder}
	for _, text := range build(t, folder) {
		var head metav1.TypeMeta
		if err := json.UnmarshalCaseSensitivePreserveInts(text, &head); err != nil {
			t.Fatalf("%s: %v", folder, err)
		}
		made, ok := kinds[head.APIVersion+" "+head.Kind]
		if !ok {
			t.Errorf("%s: %s %s is of a kind that no test here holds", folder, head.APIVersion, head.Kind)
			continue
		}
		object := made()
		if err := decodeJSON(text, object); err != nil {
			t.Fatalf("%s: %s %s: %v", folder, head.Kind, object.GetName(), err)
		}
		m.objects = append(m.objects, object)
	}
	m.configMaps, m.topics, m.sinks = of[corev1.ConfigMap](m), of[kafkaTopic](m), of[kafkaSink](m)
	m.services, m.sources = of[servingv1.Service](m), of[kafkaSource](m)
	return m
}

// each runs a test on every folder that somebody applies.
func each(t *testing.T, test func(t *testing.T, m *manifests)) {
	for _, folder := range rendered {
		t.Run(folder, func(t *testing.T) { test(t, render(t, folder)) })
	}
}

// of returns the objects of a type.
func of[T any](m *manifests) []*T {
	var found []*T
	for _, o := range m.objects {
		if o, ok := any(o).(*T); ok {
			found = append(found, o)
		}
	}
	return found
}

// named returns the object of a type that has a name.
func named[T any](t *testing.T, m *manifests, name string) *T {
	t.Helper()
	for _, o := range of[T](m) {
		if any(o).(metav1.Object).GetName() == name {
			return o
		}
	}
	t.Fatalf("%s: there is no %T %s", m.folder, *new(T), name)
	return nil
}

// decode is as strict as the API server is with fieldValidation=Strict.
func decode(text []byte, into any) error {
	asJSON, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return err
	}
	return decodeJSON(asJSON, into)
}

func decodeJSON(text []byte, into any) error {
	faults, err := json.UnmarshalStrict(text, into)
	return errors.Join(append(faults, err)...)
}

// pod is the pods of a StatefulSet or a Deployment.
type pod struct {
	owner  string
	labels map[string]string
	spec   *corev1.PodSpec
	claims []string
}

// pods are those that run for good: not the functions', which Knative makes, and
// not Kafka's, which Strimzi makes.
func pods(m *manifests) []pod {
	var all []pod
	for _, s := range of[appsv1.StatefulSet](m) {
		p := pod{owner: "StatefulSet " + s.Name, labels: s.Spec.Template.Labels, spec: &s.Spec.Template.Spec}
		for _, claim := range s.Spec.VolumeClaimTemplates {
			p.claims = append(p.claims, claim.Name)
		}
		all = append(all, p)
	}
	for _, d := range of[appsv1.Deployment](m) {
		all = append(all, pod{owner: "Deployment " + d.Name, labels: d.Spec.Template.Labels, spec: &d.Spec.Template.Spec})
	}
	return all
}

// functionPods are those that Knative makes.
func functionPods(m *manifests) []pod {
	var all []pod
	for _, s := range m.services {
		labels := map[string]string{"serving.knative.dev/service": s.Name}
		maps.Copy(labels, s.Spec.Template.Labels)
		all = append(all, pod{owner: "Knative Service " + s.Name, labels: labels, spec: &s.Spec.Template.Spec.PodSpec})
	}
	return all
}

// containers are all of a pod's, those that only prepare it first.
func (p pod) containers() []corev1.Container {
	return slices.Concat(p.spec.InitContainers, p.spec.Containers)
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
		if decode([]byte(text), new(kafkaSource)) == nil {
			t.Errorf("%s was taken: %s", name, text)
		}
	}
}

// No two objects of a folder are the same one, and all have the kind's namespace.
func TestObjectsAreDistinct(t *testing.T) {
	each(t, func(t *testing.T, m *manifests) {
		seen := map[string]bool{}
		for _, o := range m.objects {
			id := fmt.Sprintf("%T %s/%s", o, o.GetNamespace(), o.GetName())
			if seen[id] {
				t.Errorf("%s is there twice", id)
			}
			seen[id] = true
			if _, ok := o.(*corev1.Namespace); ok == (o.GetNamespace() != "") {
				t.Errorf("%s: its namespace", id)
			}
			if o.GetNamespace() == "kafka" && !strings.HasPrefix(id, "*knative.kafka") && !strings.HasPrefix(id, "*v1.Role") {
				t.Errorf("%s is in Kafka's namespace", id)
			}
		}
	})
}
