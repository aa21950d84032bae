// Package rulestest has modules of rules for tests: it puts small ones together
// in WebAssembly's binary form, good and bad.
package rulestest

// Module is a module in parts. The zero value is one that imports and exports
// nothing.
type Module struct {
	Imports   []string // functions of a module env, without parameters
	Functions []Function
	Pages     uint32 // the least size of its memory, which is exported
	NoMemory  bool
	Table     uint32 // entries of a table, if there is one
	Start     string // the function that runs at the start
	Data      map[uint32]string
}

// Function is an exported function of i32 parameters and results.
type Function struct {
	Name            string
	Params, Results int
	Locals          uint32 // more of them, all i32
	Code            []byte // without the end
}

// Types of values.
const (
	i32      = 0x7f
	funcref  = 0x70
	function = 0x60
)

// Instructions that the tests use.
const (
	Unreachable = 0x00
	Block       = 0x02 // with an empty type: Block, Empty
	Loop        = 0x03
	If          = 0x04
	End         = 0x0b
	Br          = 0x0c // and how many blocks out
	BrIf        = 0x0d
	Call        = 0x10 // and which function
	Drop        = 0x1a
	LocalGet    = 0x20 // and which local
	Load        = 0x28 // and alignment, offset
	Store       = 0x36
	Size        = 0x3f // and a 0
	Grow        = 0x40 // and a 0
	Equal       = 0x46
	NotEqual    = 0x47
	Empty       = 0x40 // no type
)

// Const pushes a number.
func Const(n int32) []byte { return append([]byte{0x41}, signed(int64(n))...) }

// Code puts instructions and their numbers one behind another.
func Code(parts ...any) []byte {
	var code []byte
	for _, part := range parts {
		switch part := part.(type) {
		case int:
			code = append(code, byte(part))
		case []byte:
			code = append(code, part...)
		}
	}
	return code
}

// Bytes returns the module in WebAssembly's binary form.
func (m Module) Bytes() []byte {
	out := []byte("\x00asm\x01\x00\x00\x00")
	section := func(id byte, body []byte) {
		out = append(append(append(out, id), unsigned(uint32(len(body)))...), body...)
	}
	types := unsigned(uint32(len(m.Functions) + 1))
	types = append(types, function, 0, 0)
	for _, f := range m.Functions {
		types = append(append(types, function), values(f.Params)...)
		types = append(types, values(f.Results)...)
	}
	section(1, types)
	if len(m.Imports) > 0 {
		body := unsigned(uint32(len(m.Imports)))
		for _, name := range m.Imports {
			body = append(append(append(body, text("env")...), text(name)...), 0, 0)
		}
		section(2, body)
	}
	body := unsigned(uint32(len(m.Functions)))
	for i := range m.Functions {
		body = append(body, unsigned(uint32(i+1))...)
	}
	section(3, body)
	if m.Table > 0 {
		section(4, append([]byte{1, funcref, 0}, unsigned(m.Table)...))
	}
	exports := uint32(len(m.Functions))
	if !m.NoMemory {
		section(5, append([]byte{1, 0}, unsigned(m.Pages)...))
		exports++
	}
	body = unsigned(exports)
	if !m.NoMemory {
		body = append(append(body, text("memory")...), 2, 0)
	}
	for i, f := range m.Functions {
		body = append(append(body, text(f.Name)...), 0)
		body = append(body, unsigned(uint32(i+len(m.Imports)))...)
	}
	section(7, body)
	for i, f := range m.Functions {
		if f.Name == m.Start {
			section(8, unsigned(uint32(i+len(m.Imports))))
		}
	}
	body = unsigned(uint32(len(m.Functions)))
	for _, f := range m.Functions {
		code := []byte{0}
		if f.Locals > 0 {
			code = append(append([]byte{1}, unsigned(f.Locals)...), i32)
		}
		code = append(append(code, f.Code...), End)
		body = append(append(body, unsigned(uint32(len(code)))...), code...)
	}
	section(10, body)
	if len(m.Data) > 0 {
		body = unsigned(uint32(len(m.Data)))
		for at, data := range m.Data {
			body = append(append(append(body, 0), Const(int32(at))...), End)
			body = append(body, text(data)...)
		}
		section(11, body)
	}
	return out
}

func values(n int) []byte {
	list := unsigned(uint32(n))
	for range n {
		list = append(list, i32)
	}
	return list
}

func text(s string) []byte { return append(unsigned(uint32(len(s))), s...) }

// unsigned and signed write LEB128.
func unsigned(n uint32) []byte {
	var out []byte
	for n >= 0x80 {
		out = append(out, byte(n)|0x80)
		n >>= 7
	}
	return append(out, byte(n))
}

func signed(n int64) []byte {
	var out []byte
	for {
		b := byte(n & 0x7f)
		n >>= 7
		if n == 0 && b&0x40 == 0 || n == -1 && b&0x40 != 0 {
			return append(out, b)
		}
		out = append(out, b|0x80)
	}
}
