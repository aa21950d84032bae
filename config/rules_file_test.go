package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// example is a module that a contest may name.
func example(t *testing.T) (code []byte, digest string) {
	t.Helper()
	code, err := os.ReadFile("../events/rules/example/example.wasm")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(code)
	return code, hex.EncodeToString(sum[:])
}

const ruled = "id: ruled\ntitle: {es: Con regla, en: With a rule}\nopen_roster: true\nrank_mode: score\nrank_max: 10\n"

// The module that a contest names is read with it.
func TestRulesAreReadWithTheirContest(t *testing.T) {
	code, digest := example(t)
	dir := t.TempDir()
	write(t, dir, "no-live.wasm", string(code))
	write(t, dir, "ruled.yaml", ruled+"rules: no-live.wasm\nrules_sha256: "+digest+"\n")
	roll, err := Contests{Dir: dir}.Load()
	if err != nil {
		t.Fatal(err)
	}
	contest, _ := roll.Contest("ruled")
	if m := contest.Rules; m.File != "no-live.wasm" || m.SHA256 != digest || !bytes.Equal(m.Code, code) {
		t.Errorf("the module is %s, %s, %d bytes", m.File, m.SHA256, len(m.Code))
	}
}

// A module that is not there, is another one, or is no rules, is told with its
// contest, and so is what names none.
func TestFaultsOfRules(t *testing.T) {
	code, digest := example(t)
	other := append([]byte(nil), code...)
	other[len(other)-1]++
	text := []byte("rules")
	sum := sha256.Sum256(text)
	for say, c := range map[string]struct {
		lines string
		file  []byte
		want  string
	}{
		"not there":     {"rules: a.wasm\nrules_sha256: " + digest, nil, "ruled.yaml: rules: a.wasm: open a.wasm: "},
		"another one":   {"rules: a.wasm\nrules_sha256: " + digest, other, "and rules_sha256 is " + digest},
		"no rules":      {"rules: a.wasm\nrules_sha256: " + hex.EncodeToString(sum[:]), text, "ruled.yaml: rules: a.wasm: is not a WebAssembly module"},
		"too large":     {"rules: a.wasm\nrules_sha256: " + digest, make([]byte, 1<<20+1), "a.wasm: more than 1048576 bytes"},
		"no digest":     {"rules: a.wasm", code, "ruled.yaml:1: properties 'rules_sha256' required, if 'rules' exists"},
		"digest only":   {"rules_sha256: " + digest, code, "ruled.yaml:1: properties 'rules' required, if 'rules_sha256' exists"},
		"a path":        {"rules: ../a.wasm\nrules_sha256: " + digest, code, "ruled.yaml:6: rules: '../a.wasm' does not match pattern"},
		"a long digest": {"rules: a.wasm\nrules_sha256: " + digest + "0", code, "ruled.yaml:7: rules_sha256: "},
	} {
		t.Run(say, func(t *testing.T) {
			dir := t.TempDir()
			if c.file != nil {
				write(t, dir, "a.wasm", string(c.file))
			}
			write(t, dir, "ruled.yaml", ruled+c.lines+"\n")
			_, err := Contests{Dir: dir}.Load()
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("told is %v, without %q", err, c.want)
			}
		})
	}
}

// The checks stand without the schema, which a function does not look at for the
// contests that are built in.
func TestRulesAreCheckedWithoutTheSchema(t *testing.T) {
	_, digest := example(t)
	for lines, want := range map[string]string{
		"rules: a.wasm":                                           "x.yaml:6: rules and rules_sha256 go together",
		"rules_sha256: " + digest:                                 "x.yaml:6: rules and rules_sha256 go together",
		"rules: a/b.wasm\nrules_sha256: " + digest:                `x.yaml:6: rules: "a/b.wasm" is not the name of a file`,
		"rules: a.wasm\nrules_sha256: " + digest[1:]:              "x.yaml:7: rules_sha256: ",
		"rules: a.wasm\nrules_sha256: " + strings.ToUpper(digest): "x.yaml:7: rules_sha256: ",
	} {
		_, err := readContest("x.yaml", "x", []byte(strings.Replace(ruled, "ruled", "x", 1)+lines+"\n"), false)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: told is %v, without %q", lines, err, want)
		}
	}
}

// A new module is taken together with its new digest: while one of them is not
// there yet, the contest stays as it was.
func TestRulesChangeWithTheirContest(t *testing.T) {
	code, digest := example(t)
	dir := t.TempDir()
	write(t, dir, "ruled.yaml", ruled)
	r := &Register{contests: Contests{Dir: dir}}
	if err := r.open(); err != nil {
		t.Fatal(err)
	}
	has := func(want string) {
		t.Helper()
		r.look()
		r.look()
		if c, _ := r.Contest("ruled"); c.Rules.SHA256 != want || (c.Rules.Code != nil) != (want != "") {
			t.Errorf("the contest has rules %q", c.Rules.SHA256)
		}
	}
	has("")
	write(t, dir, "ruled.yaml", ruled+"rules: a.wasm\nrules_sha256: "+digest+"\n")
	has("")
	write(t, dir, "a.wasm", string(code))
	has(digest)
	if err := os.Remove(filepath.Join(dir, "a.wasm")); err != nil {
		t.Fatal(err)
	}
	has(digest) // what is at work stays, until the contest says otherwise
}
