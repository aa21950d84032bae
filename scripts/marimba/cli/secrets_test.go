package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"marimba/scripts/marimba/secrets"
)

// printSecrets runs the command; in is its standard input.
func printSecrets(t *testing.T, in string, args ...string) (out, told string, err error) {
	t.Helper()
	var printed, said bytes.Buffer
	cmd := secretsCommand(&settings{in: strings.NewReader(in), out: &printed, err: &said})
	cmd.SetArgs(args)
	cmd.SetOut(&said)
	cmd.SetErr(&said)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	err = cmd.Execute()
	return printed.String(), said.String(), err
}

// What is told besides the set names every value and holds none of them; what was
// printed once is printed again when it is kept, from a file or standard input.
func TestSecretsAreToldByName(t *testing.T) {
	out, told, err := printSecrets(t, "", "--overlay", "production")
	if err != nil {
		t.Fatal(err)
	}
	kept, err := secrets.ReadKept(strings.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	open := map[string]bool{"SASL_SSL": true, "SCRAM-SHA-512": true, "marimba-eventing": true}
	for name, values := range kept {
		for key, value := range values {
			if !open[value] && strings.Contains(told, value) {
				t.Errorf("the value of %s %s is told", name, key)
			}
		}
	}
	for _, want := range []string{"new: ", "marimba/marimba:VOTER_SECRET", "kafka/marimba-kafka-users:ingress", "expire on", "Not made here", "marimba-clients-ca"} {
		if !strings.Contains(told, want) {
			t.Errorf("told is\n%s\nwithout %s", told, want)
		}
	}
	file := filepath.Join(t.TempDir(), "set.yaml")
	if err := os.WriteFile(file, []byte(out), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, keep := range []string{file, "-"} {
		again, told, err := printSecrets(t, out, "--overlay", "production", "--keep", keep)
		if err != nil || again != out || strings.Contains(told, "# new: ") {
			t.Errorf("--keep %s: %v\n%s", keep, err, told)
		}
	}
	alone, told, err := printSecrets(t, "", "--overlay", "classroom", "--only", "grafana", "--namespace", "aula")
	if err != nil || strings.Count(alone, "kind: Secret") != 1 || !strings.Contains(alone, "namespace: aula") || !strings.Contains(told, "Only grafana") {
		t.Errorf("--only: %v\n%s", err, told)
	}
}

// What cannot be printed is refused, and nothing is.
func TestSecretsRefuse(t *testing.T) {
	for _, args := range [][]string{
		{}, {"--overlay", "festival"}, {"--overlay", "base", "--only", "kafka-ingress"}, {"--overlay", "base", "--namespace", "a/b"},
		{"--overlay", "base", "--keep", "/nowhere/set.yaml"}, {"--overlay", "base", "more"},
	} {
		if out, _, err := printSecrets(t, "", args...); err == nil || out != "" {
			t.Errorf("%v: %v, printed %d bytes", args, err, len(out))
		}
	}
}
