package rulestest

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"marimba/events"
)

// Example returns the rules of the example crate: live albums are not admitted.
func Example(t testing.TB) events.Module {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	code, err := os.ReadFile(filepath.Join(filepath.Dir(here), "../example/example.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return events.Module{File: "example.wasm", Code: code}
}

// Broken returns rules that break at every vote.
func Broken() events.Module {
	m := Module{
		Pages: 1,
		Functions: []Function{
			{Name: "marimba_rules_1"},
			{Name: "room", Params: 1, Results: 1, Code: Const(1024)},
			{Name: "judge", Params: 1, Results: 1, Code: Code(Unreachable)},
		},
	}
	return events.Module{File: "broken.wasm", Code: m.Bytes()}
}
