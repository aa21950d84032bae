// Package prometheus_test holds the rules of Prometheus to their word.
package prometheus_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// promtool runs Prometheus's own checker.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	binary, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("MARIMBA_TEST_REAL") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	if out, err := exec.Command(binary, args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// Prometheus takes the rules and, but for the discovery of pods, its configuration:
// Debian's is built without Kubernetes. What stands for the discovery here finds
// nothing.
func TestConfiguration(t *testing.T) {
	text, err := os.ReadFile("prometheus.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := yaml.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	scrapes, _ := config["scrape_configs"].([]any)
	if len(scrapes) == 0 {
		t.Fatal("nothing is scraped")
	}
	for _, one := range scrapes {
		scrape, _ := one.(map[string]any)
		pods, err := yaml.Marshal(scrape["kubernetes_sd_configs"])
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(`^- namespaces:\n +names:\n +- [a-z]+\n +role: pod\n$`).Match(pods) {
			t.Errorf("%s discovers\n%s", scrape["job_name"], pods)
		}
		delete(scrape, "kubernetes_sd_configs")
		scrape["static_configs"] = []any{}
	}
	if text, err = yaml.Marshal(config); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	rules, err := os.ReadFile("rules.yaml")
	if err == nil {
		err = errors.Join(os.WriteFile(filepath.Join(folder, "prometheus.yaml"), text, 0o600),
			os.WriteFile(filepath.Join(folder, "rules.yaml"), rules, 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "config", "--lint=all", "--lint-fatal", filepath.Join(folder, "prometheus.yaml"))
}

// Alerts fire when they should, and not when they should not.
func TestRules(t *testing.T) { promtool(t, "test", "rules", "rules.test.yaml") }

type alert struct {
	Alert       string
	Labels      map[string]string
	Annotations map[string]string
}

func alerts(t *testing.T) []alert {
	t.Helper()
	text, err := os.ReadFile("rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Groups []struct{ Rules []alert } }
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	var out []alert
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			if rule.Alert != "" {
				out = append(out, rule)
			}
		}
	}
	if len(out) < 10 {
		t.Fatalf("only %d alerts were found", len(out))
	}
	return out
}

// Each alert says how urgent it is, what is the matter, and where in the runbook
// stands what to do; and promtool has a test in which it fires.
func TestEachAlertIsTold(t *testing.T) {
	book, err := os.ReadFile("RUNBOOK.md")
	if err != nil {
		t.Fatal(err)
	}
	fired, err := os.ReadFile("rules.test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	sections := make(map[string]bool)
	for _, found := range regexp.MustCompile(`(?m)^## (\w+)$`).FindAllStringSubmatch(string(book), -1) {
		sections[strings.ToLower(found[1])] = true
	}
	for _, a := range alerts(t) {
		switch a.Labels["severity"] {
		case "page", "warn", "info":
		default:
			t.Errorf("%s has severity %q", a.Alert, a.Labels["severity"])
		}
		for _, name := range []string{"summary", "description"} {
			if a.Annotations[name] == "" {
				t.Errorf("%s has no %s", a.Alert, name)
			}
		}
		anchor := strings.ToLower(a.Alert)
		if want := "config/prometheus/RUNBOOK.md#" + anchor; a.Annotations["runbook_url"] != want || !sections[anchor] {
			t.Errorf("%s leads to %q; there is a section for it: %v", a.Alert, a.Annotations["runbook_url"], sections[anchor])
		}
		if !strings.Contains(string(fired), want(anchor)) {
			t.Errorf("no test in rules.test.yaml has %s fire", a.Alert)
		}
		delete(sections, anchor)
	}
	for section := range sections {
		t.Errorf("the runbook has a section %s, and there is no such alert", section)
	}
}

// want is what a test in which an alert fires expects of it.
func want(anchor string) string { return "runbook_url: config/prometheus/RUNBOOK.md#" + anchor }

// The runbook names commands and flags that there are.
func TestRunbookNamesCommandsThatExist(t *testing.T) {
	sources, err := filepath.Glob("../../scripts/marimba/cli/*.go")
	if err != nil || len(sources) == 0 {
		t.Fatal(sources, err)
	}
	var code strings.Builder
	for _, source := range sources {
		text, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		code.Write(text)
	}
	book, err := os.ReadFile("RUNBOOK.md")
	if err != nil {
		t.Fatal(err)
	}
	called := regexp.MustCompile("(?m)(?:`|^)marimba ([a-z]+)([^`\n]*)").FindAllStringSubmatch(string(book), -1)
	if len(called) < 10 {
		t.Fatalf("only %d commands were found", len(called))
	}
	for _, c := range called {
		if !regexp.MustCompile(`Use:\s+"` + c[1] + `[ "]`).MatchString(code.String()) {
			t.Errorf("there is no command marimba %s", c[1])
		}
		for _, flag := range regexp.MustCompile(`--([a-z-]+)`).FindAllStringSubmatch(c[2], -1) {
			if !strings.Contains(code.String(), `"`+flag[1]+`"`) {
				t.Errorf("marimba %s has no flag --%s", c[1], flag[1])
			}
		}
	}
}
