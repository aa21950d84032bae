// Package functions_test holds the house's plan: what stands where, and what may
// import what.
package functions_test

import (
	"errors"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"marimba/events"
)

const module = "marimba"

// root is the module's folder.
const root = ".."

// imported is an import in a file of the module.
type imported struct {
	by   string // the importing package's folder: "functions/tally"
	file string
	what string // the import path
}

// imports finds all imports of the module, also those of its tests.
func imports(t *testing.T) []imported {
	t.Helper()
	var all []imported
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name != root && outside(name) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		where, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		where = filepath.ToSlash(where)
		for _, spec := range file.Imports {
			what, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			all = append(all, imported{by: path.Dir(where), file: where, what: what})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 500 {
		t.Fatalf("only %d imports were found", len(all))
	}
	return all
}

// outside reports whether a folder is not of the module's packages.
func outside(folder string) bool {
	base := filepath.Base(folder)
	if strings.HasPrefix(base, ".") || slices.Contains([]string{"testdata", "node_modules", "target"}, base) {
		return true
	}
	_, err := os.Stat(filepath.Join(folder, "go.mod"))
	return err == nil
}

// within reports whether a package or folder is another or lies in it.
func within(name, of string) bool { return name == of || strings.HasPrefix(name, of+"/") }

// ours returns the folder of a package of the module.
func ours(what string) (string, bool) { return strings.CutPrefix(what, module+"/") }

// functionOf returns the function that a folder belongs to; "internal" for what
// they share.
func functionOf(folder string) (string, bool) {
	rest, ok := strings.CutPrefix(folder, "functions/")
	name, _, _ := strings.Cut(rest, "/")
	return name, ok
}

// Functions never import one another, and what they share imports none of them:
// each is built, shipped and started alone. Nor do they import what runs them; but
// their tests may run on real parts.
func TestFunctionsStandAlone(t *testing.T) {
	for _, i := range imports(t) {
		by, isFunction := functionOf(i.by)
		folder, isOurs := ours(i.what)
		if !isFunction || !isOurs {
			continue
		}
		if of, ok := functionOf(folder); ok && of != "internal" && of != by {
			t.Errorf("%s imports %s", i.file, i.what)
		}
		if folder == "knative/local/real/realtest" && strings.HasSuffix(i.file, "_test.go") {
			continue
		}
		if within(folder, "knative") || within(folder, "scripts") {
			t.Errorf("%s imports %s", i.file, i.what)
		}
	}
}

// Knative's packages cost 48 MB of binary and 30 MB of memory: only what describes
// and runs the functions imports them.
func TestKnativeStaysOutside(t *testing.T) {
	for _, i := range imports(t) {
		if host, _, _ := strings.Cut(i.what, "/"); host != "knative.dev" && host != "k8s.io" {
			continue
		}
		if !within(i.by, "knative") && !within(i.by, "scripts/marimba") {
			t.Errorf("%s imports %s", i.file, i.what)
		}
	}
}

// Of the functions, only the doors speak the wire forms of the outside.
func TestOnlyDoorsImportProto(t *testing.T) {
	for _, i := range imports(t) {
		folder, isOurs := ours(i.what)
		if !isOurs || !within(folder, "proto") {
			continue
		}
		by, isFunction := functionOf(i.by)
		if isFunction && !strings.HasPrefix(by, "ingress-") || within(i.by, "events") || within(i.by, "config") {
			t.Errorf("%s imports %s", i.file, i.what)
		}
	}
}

// The words of the house need nothing of the house; its settings need the words
// only.
func TestWordsStandFirst(t *testing.T) {
	for _, i := range imports(t) {
		folder, isOurs := ours(i.what)
		if !isOurs {
			continue
		}
		if within(i.by, "events") && !within(folder, "events") ||
			within(i.by, "config") && !within(folder, "events") && !within(folder, "config") {
			t.Errorf("%s imports %s", i.file, i.what)
		}
	}
}

// Each function of the table has its folder with a main.go and a config.go, and
// each folder is a function of the table.
func TestFoldersAreFunctions(t *testing.T) {
	for _, route := range events.Routes {
		for _, name := range []string{"main.go", "config.go"} {
			if _, err := os.Stat(filepath.Join(route.Function, name)); err != nil {
				t.Errorf("function %s: %v", route.Function, err)
			}
		}
	}
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if _, ok := events.RouteOf(entry.Name()); entry.IsDir() && !ok && entry.Name() != "internal" {
			t.Errorf("functions/%s is no function", entry.Name())
		}
	}
}

// The top level is fixed: nothing is added to it, and nothing is missing.
func TestTopLevelIsFixed(t *testing.T) {
	fixed := []string{"LICENSE", "README.md", "config", "events", "functions", "go.mod", "go.sum", "knative", "proto", "scripts"}
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), ".") && !slices.Contains(fixed, entry.Name()) {
			t.Errorf("%s is at the top level", entry.Name())
		}
	}
	for _, name := range fixed {
		if _, err := os.Stat(filepath.Join(root, name)); errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is missing", name)
		}
	}
}
