// Package abi holds a contest's own rules module to its form, without running
// any of it: what its host needs of it is there, it asks its host for nothing,
// and what it takes from the start is bounded. The form is told in
// events/rules/README.md.
package abi

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Version is the version of the interface. A module says that it is made for it
// by exporting a function marimba_rules_<version>.
const Version = 1

// Bounds of a module.
const (
	MaxSize  = 1 << 20 // bytes
	MaxPages = 256     // of 64 KiB: the memory of an instance

	maxTable  = 10_000 // entries
	maxLocals = 2_000  // of a function
)

// form is what functions a module exports: parameters and results, all i32.
var form = map[string]signature{
	fmt.Sprintf("marimba_rules_%d", Version): {0, 0},
	"room":                                   {1, 1},
	"judge":                                  {1, 1},
}

// optional is what it may export besides.
var optional = map[string]signature{"contest": {1, 1}, "read": {2, 1}}

type signature struct{ params, results int }

func (s signature) String() string {
	return fmt.Sprintf("%d × i32 → %d × i32", s.params, s.results)
}

// Check returns what is wrong with a module. That its code is valid is for the
// runtime to say.
func Check(code []byte) error {
	if len(code) > MaxSize {
		return fmt.Errorf("has more than %d bytes", MaxSize)
	}
	rest, ok := bytes.CutPrefix(code, []byte("\x00asm\x01\x00\x00\x00"))
	if !ok {
		return errors.New("is not a WebAssembly module")
	}
	m := module{exports: make(map[string]export)}
	in := &reader{rest: rest}
	for len(in.rest) > 0 && in.err == nil {
		id := in.byte()
		body := &reader{rest: in.bytes(in.number())}
		m.section(id, body)
		if in.err == nil {
			in.err = body.err
		}
	}
	if in.err != nil {
		return in.err
	}
	return m.check()
}

// module is what a check needs to know.
type module struct {
	types     []*signature // nil: not all i32
	functions []uint32     // their types
	imports   []string
	memories  []uint32 // their pages
	exports   map[string]export
}

type export struct {
	kind  byte
	index uint32
}

// Kinds of exports, and types.
const (
	aFunction = 0
	aMemory   = 2

	functions = 0x70 // references to them
	vectors   = 0x7b // the least type of numbers
	integers  = 0x7f // the greatest, i32
)

// section reads one section. Those that are passed over cannot do harm.
func (m *module) section(id byte, in *reader) {
	switch id {
	case 1:
		in.each(func() { m.types = append(m.types, in.signature()) })
	case 2:
		if in.number() > 0 {
			m.imports = append(m.imports, in.text()+"."+in.text())
		}
	case 3:
		in.each(func() { m.functions = append(m.functions, in.number()) })
	case 4:
		in.each(func() {
			if in.byte() != functions {
				in.fail("has a table of something else than functions")
			}
			if entries := in.limits(); entries > maxTable {
				in.fail("has a table of %d entries, more than %d", entries, maxTable)
			}
		})
	case 5:
		in.each(func() { m.memories = append(m.memories, in.limits()) })
	case 7:
		in.each(func() {
			name := in.text()
			m.exports[name] = export{in.byte(), in.number()}
		})
	case 10:
		in.each(func() {
			body := &reader{rest: in.bytes(in.number())}
			locals := uint64(0)
			body.each(func() {
				locals += uint64(body.number())
				if kind := body.byte(); kind < vectors || kind > integers {
					body.fail("has locals that are not numbers")
				}
			})
			if locals > maxLocals {
				in.fail("has a function of %d locals, more than %d", locals, maxLocals)
			}
			if in.err == nil {
				in.err = body.err
			}
		})
	}
}

func (m *module) check() error {
	if len(m.imports) > 0 {
		return fmt.Errorf("imports %s: a module is given nothing by its host", m.imports[0])
	}
	for _, t := range m.functions {
		if uint64(t) >= uint64(len(m.types)) {
			return fmt.Errorf("has a function of type %d, and no such type", t)
		}
	}
	memory, ok := m.exports["memory"]
	if !ok || memory.kind != aMemory || len(m.memories) != 1 {
		return errors.New("does not export its one memory as memory")
	}
	if pages := m.memories[0]; pages > MaxPages {
		return fmt.Errorf("needs a memory of %d pages, more than %d", pages, MaxPages)
	}
	for _, name := range slices.Sorted(maps.Keys(form)) {
		if _, ok := m.exports[name]; !ok {
			return fmt.Errorf("does not export the function %s", name)
		}
	}
	for name, e := range m.exports {
		want, known := form[name]
		if !known {
			want, known = optional[name]
		}
		if !known {
			continue
		}
		if got := m.signatureOf(e); got == nil || *got != want {
			return fmt.Errorf("exports %s as something else than a function of %s", name, want)
		}
	}
	return nil
}

// signatureOf returns the signature of an export; nil if it is not a function or
// takes or gives something else than i32.
func (m *module) signatureOf(e export) *signature {
	if e.kind != aFunction || uint64(e.index) >= uint64(len(m.functions)) {
		return nil
	}
	return m.types[m.functions[e.index]]
}
