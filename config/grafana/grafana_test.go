// Package grafana_test holds what Grafana is provisioned with to its word. That
// each query of the dashboards shows something is shown in scripts/marimba.
package grafana_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

type dashboard struct {
	UID, Title, Description string
	Tags                    []string
	Panels                  []panel
	Templating              struct{ List []struct{ Datasource source } }
}

type panel struct {
	ID                       int
	Type, Title, Description string
	GridPos                  struct{ X, Y, W, H int }
	Datasource               source
	Targets                  []struct {
		RefID      string
		Datasource source
	}
	FieldConfig struct{ Defaults struct{ Unit string } }
	Options     struct{ YAxis struct{ Unit string } }
}

type source struct{ Type, UID string }

func dashboards(t *testing.T) []dashboard {
	t.Helper()
	files, err := filepath.Glob("dashboards/*.json")
	if err != nil || len(files) != 2 {
		t.Fatal(files, err)
	}
	var out []dashboard
	for _, file := range files {
		var d dashboard
		read(t, file, json.Unmarshal, &d)
		out = append(out, d)
	}
	return out
}

func read(t *testing.T, file string, unmarshal func([]byte, any) error, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err == nil {
		err = unmarshal(text, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Every panel says what it shows, in which unit, and what it means; it asks a data
// source that is provisioned; and it has a place that no other one has.
func TestPanels(t *testing.T) {
	var provisioned struct {
		Datasources []struct{ UID, Type string }
	}
	read(t, "provisioning/datasources/marimba.yaml", yaml.Unmarshal, &provisioned)
	known := make(map[source]bool)
	for _, d := range provisioned.Datasources {
		known[source{d.Type, d.UID}] = true
	}
	for _, d := range dashboards(t) {
		if d.UID == "" || d.Title == "" || d.Description == "" || len(d.Tags) == 0 {
			t.Errorf("%q has no uid, title, description or tag", d.Title)
		}
		for _, v := range d.Templating.List {
			if !known[v.Datasource] {
				t.Errorf("%s: a variable asks %v", d.Title, v.Datasource)
			}
		}
		ids, taken := make(map[int]bool), make(map[[2]int]string)
		for _, p := range d.Panels {
			if ids[p.ID] {
				t.Errorf("%s: two panels have the id %d", d.Title, p.ID)
			}
			ids[p.ID] = true
			for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
				for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
					if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
						t.Fatalf("%s: %q stands where %q does, or outside", d.Title, p.Title, other)
					}
					taken[[2]int{x, y}] = p.Title + p.Type
				}
			}
			if p.Type == "row" {
				continue
			}
			if p.Title == "" || p.Description == "" || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 {
				t.Errorf("%s: %q has no title, description, unit or query", d.Title, p.Title)
			}
			for _, target := range p.Targets {
				if !known[target.Datasource] || target.Datasource != p.Datasource || target.RefID == "" {
					t.Errorf("%s: %q asks %+v", d.Title, p.Title, target)
				}
			}
		}
	}
}

// Whatever is secret, and whatever is another in each place, comes from the
// environment.
func TestNothingSecretStandsInFiles(t *testing.T) {
	text, err := os.ReadFile("provisioning/datasources/marimba.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Datasources []struct {
			Name, URL      string
			SecureJSONData map[string]string `yaml:"secureJsonData"`
		}
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	variable := regexp.MustCompile(`^\$[A-Z_]+$`)
	for _, d := range file.Datasources {
		if !variable.MatchString(d.URL) {
			t.Errorf("%s is asked at %s", d.Name, d.URL)
		}
		for name, value := range d.SecureJSONData {
			if !variable.MatchString(value) {
				t.Errorf("%s has %s in clear", d.Name, name)
			}
		}
	}
	for _, found := range regexp.MustCompile(`\$([A-Z_]+)`).FindAllStringSubmatch(string(text), -1) {
		if !strings.Contains(string(text), "#   "+found[1]+" ") {
			t.Errorf("$%s is not explained", found[1])
		}
	}
}
