package secrets

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

const manifests = "../../../knative"

// reference is what a manifest needs of a Secret; without a key, all of it.
type reference struct{ secret, key string }

// references finds what an object of a namespace needs, wherever it stands in it.
func references(namespace string, in any, found map[reference]bool) {
	switch in := in.(type) {
	case []any:
		for _, item := range in {
			references(namespace, item, found)
		}
	case map[string]any:
		text := func(of map[string]any, key string) string { s, _ := of[key].(string); return s }
		for key, value := range in {
			of, _ := value.(map[string]any)
			switch {
			case key == "secretKeyRef" && of != nil:
				found[reference{namespace + "/" + text(of, "name"), text(of, "key")}] = true
			case key == "secret" && of != nil && of["ref"] != nil: // a KafkaSink's
				ref, _ := of["ref"].(map[string]any)
				found[reference{namespace + "/" + text(ref, "name"), ""}] = true
			case key == "secretName" && text(in, "certificate") != "": // a Kafka listener's
				for _, part := range []string{"certificate", "key"} {
					found[reference{namespace + "/" + text(in, key), text(in, part)}] = true
				}
			case key == "secretName":
				found[reference{namespace + "/" + text(in, key), ""}] = true
			default:
				references(namespace, value, found)
			}
		}
	}
}

// The set of each overlay has every key of a Secret that its manifests refer to,
// and none that they do not, but for that of the books, which is for people.
func TestOverlaysAreSatisfied(t *testing.T) {
	entries, err := os.ReadDir(filepath.Join(manifests, "overlays"))
	if err != nil {
		t.Fatal(err)
	}
	folders := map[string]string{"base": "base"}
	for _, entry := range entries {
		folders[entry.Name()] = filepath.Join("overlays", entry.Name())
	}
	if there := slices.Sorted(maps.Keys(folders)); !slices.Equal(there, Overlays()) {
		t.Fatalf("there are overlays %v, and secrets for %v", there, Overlays())
	}
	for overlay, folder := range folders {
		objects, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(manifests, folder))
		if err != nil {
			t.Fatalf("%s: %v", overlay, err)
		}
		needed := map[reference]bool{}
		for _, object := range objects.Resources() {
			body, err := object.Map()
			if err != nil {
				t.Fatal(err)
			}
			references(object.GetNamespace(), body, needed)
		}
		if len(needed) < 6 {
			t.Errorf("%s: only %v are found to be needed", overlay, needed)
		}
		unused := map[reference]bool{}
		for name, s := range printed(t, makeSet(t, plan(overlay)).Secrets) {
			for key := range s.StringData {
				unused[reference{name, key}] = true
			}
		}
		printedKeys := maps.Clone(unused)
		for ref := range needed {
			fits := func(has reference) bool { return has.secret == ref.secret && (ref.key == "" || has.key == ref.key) }
			if !slices.ContainsFunc(slices.Collect(maps.Keys(printedKeys)), fits) {
				t.Errorf("%s: %s has no key %q", overlay, ref.secret, ref.key)
			}
			maps.DeleteFunc(unused, func(has reference, _ bool) bool { return fits(has) })
		}
		delete(unused, reference{"marimba/kafka-books", "password"})
		for has := range unused {
			t.Errorf("%s: nobody needs %s %s", overlay, has.secret, has.key)
		}
	}
}
