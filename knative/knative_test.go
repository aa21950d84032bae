package knative

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"marimba/events"
)

// kubectl apply -k takes what the kustomization lists: all files of the folder, in
// the order of the names, then config and all folders.
func TestKustomizationListsAll(t *testing.T) {
	text, err := fs.ReadFile(Base, "kustomization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var k kustomization
	if err := decode(text, &k); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir("base")
	if err != nil {
		t.Fatal(err)
	}
	var files, folders []string
	for _, e := range entries {
		if e.IsDir() {
			folders = append(folders, e.Name())
		} else if e.Name() != "kustomization.yaml" {
			files = append(files, e.Name())
		}
	}
	if want := slices.Concat(files, []string{"../../config"}, folders); !slices.Equal(k.Resources, want) {
		t.Errorf("resources %v, want %v", k.Resources, want)
	}
}

// Each overlay is one that the tests render.
func TestAllOverlaysAreRendered(t *testing.T) {
	folders, err := filepath.Glob("overlays/*")
	if err != nil {
		t.Fatal(err)
	}
	if want := slices.Sorted(slices.Values(rendered[1:])); !slices.Equal(folders, want) {
		t.Errorf("overlays %v, rendered %v", folders, want)
	}
}

// One folder = one function = one Service of the same name; a KafkaSource for
// each that reads topics. events.Routes is the table, and the manifests and
// folders say the same.
func TestRoutesFoldersServices(t *testing.T) {
	each(t, func(t *testing.T, m *manifests) {
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
	})
}

// All objects are in the two namespaces that are made first; the functions' holds
// its pods to the restricted standard, Kafka's to the baseline.
func TestNamespaces(t *testing.T) {
	each(t, func(t *testing.T, m *manifests) {
		levels := map[string]string{}
		for _, n := range of[corev1.Namespace](m) {
			levels[n.Name] = n.Labels["pod-security.kubernetes.io/enforce"]
		}
		if len(levels) != 2 || levels["marimba"] != "restricted" || levels["kafka"] != "baseline" {
			t.Errorf("namespaces are %v", levels)
		}
		for _, o := range m.objects {
			if _, ok := levels[o.GetNamespace()]; !ok && o.GetNamespace() != "" {
				t.Errorf("%T %s is in %s", o, o.GetName(), o.GetNamespace())
			}
		}
	})
}

// Nothing but Knative's routes of public functions leads in from outside.
func TestNothingElseIsPublic(t *testing.T) {
	each(t, func(t *testing.T, m *manifests) {
		for _, s := range of[corev1.Service](m) {
			if s.Spec.Type != "" && s.Spec.Type != corev1.ServiceTypeClusterIP || len(s.Spec.ExternalIPs) > 0 {
				t.Errorf("Service %s is of type %s", s.Name, s.Spec.Type)
			}
		}
		for _, k := range of[kafkaCluster](m) {
			for _, l := range k.Spec.Kafka.Listeners {
				if l.Type != "internal" {
					t.Errorf("Kafka's listener %s is of type %s", l.Name, l.Type)
				}
			}
		}
		for _, p := range slices.Concat(pods(m), functionPods(m)) {
			if p.spec.HostNetwork || p.spec.HostPID || p.spec.HostIPC {
				t.Errorf("%s uses the host's network or processes", p.owner)
			}
			for _, c := range p.containers() {
				for _, port := range c.Ports {
					if port.HostPort != 0 {
						t.Errorf("%s: %s has a port of the host", p.owner, c.Name)
					}
				}
			}
		}
	})
}

// With components/functions base is the functions and what they read, and nothing
// of what they stand on.
func TestFunctionsAlone(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	own := t.TempDir()
	to := func(folder string) string {
		path, err := filepath.Rel(own, filepath.Join(here, folder))
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	text := fmt.Sprintf("resources: [%s]\ncomponents: [%s]\n", to("base"), to("components/functions"))
	if err := os.WriteFile(filepath.Join(own, "kustomization.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	m := render(t, own)
	want := []string{"ServiceAccount functions", "ConfigMap contests", "ConfigMap marimba", "Namespace marimba"}
	for _, r := range events.Routes {
		want = append(want, "Service "+r.Function)
	}
	var got []string
	for _, o := range m.objects {
		kind := reflect.TypeOf(o).Elem().Name()
		got = append(got, kind+" "+o.GetName())
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) || len(m.services) != len(events.Routes) {
		t.Errorf("there is %v\nwant %v", got, want)
	}
}
