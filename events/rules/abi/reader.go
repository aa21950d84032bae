package abi

import (
	"errors"
	"fmt"
)

var errCut = errors.New("is cut off, or not WebAssembly")

// reader reads WebAssembly's binary form. After an error all it reads is empty.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) fail(text string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(text, args...)
	}
	r.rest = nil
}

func (r *reader) bytes(n uint32) []byte {
	if r.err != nil || uint64(n) > uint64(len(r.rest)) {
		if r.err == nil {
			r.err = errCut
		}
		r.rest = nil
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.bytes(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

// number reads an unsigned number of 32 bits in LEB128.
func (r *reader) number() uint32 {
	n := uint64(0)
	for shift := 0; shift < 35; shift += 7 {
		b := r.byte()
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			if n > 1<<32-1 {
				break
			}
			return uint32(n)
		}
	}
	if r.err == nil {
		r.err = errCut
	}
	return 0
}

func (r *reader) text() string { return string(r.bytes(r.number())) }

// each calls read for each entry of a list, until one cannot be read.
func (r *reader) each(read func()) {
	for n := r.number(); n > 0 && r.err == nil; n-- {
		read()
	}
}

// limits reads the least size of a memory or table.
func (r *reader) limits() uint32 {
	hasMost := r.byte()
	least := r.number()
	if hasMost&1 != 0 {
		r.number()
	}
	return least
}

// signature reads the type of a function; nil if it is not of i32 only.
func (r *reader) signature() *signature {
	const function, i32 = 0x60, 0x7f
	if r.byte() != function {
		r.fail("has a type that is not a function")
		return nil
	}
	plain := true
	count := func() (n int) {
		r.each(func() {
			if r.byte() != i32 {
				plain = false
			}
			n++
		})
		return n
	}
	s := &signature{params: count()}
	s.results = count()
	if !plain {
		return nil
	}
	return s
}
