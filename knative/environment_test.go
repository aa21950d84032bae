package knative

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"marimba/config"
)

// secretKeys are the keys of the Secret that whoever installs Marimba makes.
var secretKeys = map[string]bool{"REDIS_PASSWORD": true, "MONGO_URL": true, "VOTER_SECRET": true, "ADMIN_TOKEN": true}

// blocks are the settings that several functions share, by their type's name.
var blocks = map[string]reflect.Type{
	"Server":   reflect.TypeFor[config.Server](),
	"Kafka":    reflect.TypeFor[config.Kafka](),
	"Redis":    reflect.TypeFor[config.Redis](),
	"Mongo":    reflect.TypeFor[config.Mongo](),
	"Contests": reflect.TypeFor[config.Contests](),
	"Voters":   reflect.TypeFor[config.Voters](),
}

// settings reads from the type settings in a function's config.go which
// variables the function knows; the value says whether it needs the variable.
func settings(t *testing.T, function string) map[string]bool {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "functions", function, "config.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	tag := func(text string) {
		if name, more, _ := strings.Cut(reflect.StructTag(text).Get("env"), ","); name != "" {
			known[name] = slices.Contains(strings.Split(more, ","), "required")
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok || spec.Name.Name != "settings" {
			return true
		}
		for _, field := range spec.Type.(*ast.StructType).Fields.List {
			if field.Tag != nil {
				text, err := strconv.Unquote(field.Tag.Value)
				if err != nil {
					t.Fatal(err)
				}
				tag(text)
				continue
			}
			name := field.Type.(*ast.SelectorExpr).Sel.Name
			block, ok := blocks[name]
			if !ok {
				t.Fatalf("%s: config.%s is not known to this test", function, name)
			}
			for i := range block.NumField() {
				tag(string(block.Field(i).Tag))
			}
		}
		return false
	})
	return known
}

// A function gets every variable that it knows and that the ConfigMap or the
// Secret has a key for, from that key, and no other; so it gets all that it
// needs, and no secret that it does not.
func TestEnvironment(t *testing.T) {
	m := read(t)
	if len(m.configMaps) != 1 {
		t.Fatalf("%d ConfigMaps, want 1", len(m.configMaps))
	}
	values := m.configMaps[0]
	used := map[string]bool{}
	for _, s := range m.services {
		t.Run(s.Name, func(t *testing.T) {
			known := settings(t, s.Name)
			var want, got []string
			for name, needed := range known {
				if _, ok := values.Data[name]; ok || secretKeys[name] {
					want = append(want, name)
				} else if needed {
					t.Errorf("it needs %s, which neither ConfigMap nor Secret has", name)
				}
			}
			for _, e := range container(t, s).Env {
				got = append(got, e.Name)
				used[e.Name] = true
				if e.Value != "" || e.ValueFrom == nil {
					t.Errorf("%s has a value of its own", e.Name)
					continue
				}
				switch c, secret := e.ValueFrom.ConfigMapKeyRef, e.ValueFrom.SecretKeyRef; {
				case c != nil && secret == nil:
					if _, ok := values.Data[c.Key]; !ok || c.Name != values.Name || c.Key != e.Name {
						t.Errorf("%s is from key %s of ConfigMap %s", e.Name, c.Key, c.Name)
					}
				case secret != nil && c == nil:
					if !secretKeys[secret.Key] || secret.Name != "marimba" || secret.Key != e.Name {
						t.Errorf("%s is from key %s of Secret %s", e.Name, secret.Key, secret.Name)
					}
				default:
					t.Errorf("%s is from %+v", e.Name, e.ValueFrom)
				}
			}
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("environment %v, want %v", got, want)
			}
		})
	}
	for key := range values.Data {
		if !used[key] {
			t.Errorf("no function takes %s from the ConfigMap", key)
		}
	}
	for key := range secretKeys {
		if !used[key] {
			t.Errorf("no function takes %s from the Secret", key)
		}
	}
}
