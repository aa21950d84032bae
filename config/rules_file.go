package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"regexp"

	"marimba/events"
	"marimba/events/rules/abi"
)

// What the schema states of the two fields, too.
var (
	rulesFile   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}[.]wasm$`)
	rulesSHA256 = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// rules checks what a contest's file says of its rules' file, not that itself.
func (c *checking) rules(f *contestFile) {
	c.need(f.Rules.line == 0 || rulesFile.MatchString(f.Rules.value), f.Rules.line,
		"rules: %q is not the name of a file such as rules.wasm", f.Rules.value)
	c.need(f.RulesSHA256.line == 0 || rulesSHA256.MatchString(f.RulesSHA256.value), f.RulesSHA256.line,
		"rules_sha256: %q is not 64 hexadecimal digits, in small letters", f.RulesSHA256.value)
	c.need((f.Rules.line == 0) == (f.RulesSHA256.line == 0), max(f.Rules.line, f.RulesSHA256.line),
		"rules and rules_sha256 go together")
}

// readRules reads the module that a contest names, if it names one. That it is
// the one that the organiser means, its digest says; that it has the form of
// rules is checked without running any of it.
func readRules(files fs.FS, dir string, contest *events.Contest) error {
	m := &contest.Rules
	if m.File == "" {
		return nil
	}
	fail := func(text string, args ...any) error {
		return fmt.Errorf("%s.yaml: rules: %s: %w", contest.ID, m.File, fmt.Errorf(text, args...))
	}
	code, err := readBounded(files, path.Join(dir, m.File), abi.MaxSize)
	if err != nil {
		return fail("%w", err)
	}
	sum := sha256.Sum256(code)
	if has := hex.EncodeToString(sum[:]); has != m.SHA256 {
		return fail("has SHA-256 %s, and rules_sha256 is %s", has, m.SHA256)
	}
	if err := abi.Check(code); err != nil {
		return fail("%w", err)
	}
	m.Code = code
	return nil
}
