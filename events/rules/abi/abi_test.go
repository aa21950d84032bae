package abi

import (
	"os"
	"strings"
	"testing"

	"marimba/events/rules/rulestest"
)

// fine is a module without a fault, with some changes.
func fine(changes ...func(*rulestest.Module)) []byte {
	m := rulestest.Module{
		Pages: 1,
		Functions: []rulestest.Function{
			{Name: "marimba_rules_1"},
			{Name: "room", Params: 1, Results: 1, Code: rulestest.Const(1024)},
			{Name: "judge", Params: 1, Results: 1, Code: rulestest.Const(0)},
		},
	}
	for _, change := range changes {
		change(&m)
	}
	return m.Bytes()
}

// Modules that have what they need are taken: the smallest one, one that has
// more, and those of the crates.
func TestModulesThatAreTaken(t *testing.T) {
	taken := map[string][]byte{
		"smallest": fine(),
		"more": fine(func(m *rulestest.Module) {
			m.Pages, m.Table = MaxPages, maxTable
			m.Functions = append(m.Functions,
				rulestest.Function{Name: "contest", Params: 1, Results: 1, Code: rulestest.Const(0), Locals: maxLocals},
				rulestest.Function{Name: "other", Params: 3, Results: 2, Code: rulestest.Code(rulestest.Const(0), rulestest.Const(0))})
			m.Data = map[uint32]string{8: "data"}
		}),
	}
	for _, name := range []string{"../rules.wasm", "../example/example.wasm"} {
		code, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		taken[name] = code
	}
	for say, code := range taken {
		if err := Check(code); err != nil {
			t.Errorf("%s: %v", say, err)
		}
	}
}

// A module that is not fit is told why.
func TestFaults(t *testing.T) {
	cut := fine()
	for say, c := range map[string]struct {
		code []byte
		want string
	}{
		"nothing":       {nil, "is not a WebAssembly module"},
		"text":          {[]byte("(module)"), "is not a WebAssembly module"},
		"a later form":  {[]byte("\x00asm\x02\x00\x00\x00"), "is not a WebAssembly module"},
		"too large":     {make([]byte, MaxSize+1), "has more than 1048576 bytes"},
		"empty":         {cut[:8], "does not export its one memory as memory"},
		"cut off":       {cut[:len(cut)-1], "is cut off"},
		"endless count": {append(cut[:8:8], 7, 5, 0xff, 0xff, 0xff, 0xff, 0x0f), "is cut off"},
		"number":        {append(cut[:8:8], 7, 6, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f), "is cut off"},
		"import":        {fine(func(m *rulestest.Module) { m.Imports = []string{"clock"} }), "imports env.clock: a module is given nothing by its host"},
		"no memory":     {fine(func(m *rulestest.Module) { m.NoMemory = true }), "does not export its one memory as memory"},
		"large memory":  {fine(func(m *rulestest.Module) { m.Pages = MaxPages + 1 }), "needs a memory of 257 pages, more than 256"},
		"large table":   {fine(func(m *rulestest.Module) { m.Table = 1 << 27 }), "has a table of 134217728 entries, more than 10000"},
		"many locals":   {fine(func(m *rulestest.Module) { m.Functions[2].Locals = 1<<32 - 1 }), "has a function of 4294967295 locals, more than 2000"},
		"other version": {fine(func(m *rulestest.Module) { m.Functions[0].Name = "marimba_rules_2" }), "does not export the function marimba_rules_1"},
		"no room":       {fine(func(m *rulestest.Module) { m.Functions[1].Name = "rooms" }), "does not export the function room"},
		"other judge":   {fine(func(m *rulestest.Module) { m.Functions[2].Params = 2 }), "exports judge as something else than a function of 1 × i32 → 1 × i32"},
		"other contest": {fine(func(m *rulestest.Module) { m.Functions = append(m.Functions, rulestest.Function{Name: "contest"}) }), "exports contest as something else"},
		"a type that there is not": {[]byte(strings.Replace(string(fine()), "\x03\x04\x03\x01\x02\x03", "\x03\x04\x03\x01\x02\x09", 1)),
			"has a function of type 9, and no such type"},
		"judge of another type": {[]byte(strings.Replace(string(fine()), "\x60\x01\x7f\x01\x7f", "\x60\x01\x7e\x01\x7f", 2)),
			"as something else than a function"},
	} {
		if err := Check(c.code); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", say, err, c.want)
		}
	}
}

// Whatever the bytes are, the check ends, and says something if it says no.
func FuzzCheck(f *testing.F) {
	f.Add(fine())
	f.Add(fine(func(m *rulestest.Module) { m.Table, m.Imports, m.Start = 3, []string{"a"}, "judge" }))
	f.Fuzz(func(t *testing.T, code []byte) {
		if err := Check(code); err != nil && err.Error() == "" {
			t.Error("a fault without words")
		}
	})
}
