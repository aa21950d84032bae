package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
)

const file = "../crate/src/tables.rs"

// The tables in the crate are those that this Go has. A Go with another edition
// of Unicode cannot say.
func TestTablesAreFresh(t *testing.T) {
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if edition := "// Unicode " + norm.Version + "\n"; !strings.Contains(string(have), edition) {
		t.Skipf("the tables are of another edition of Unicode than %s", norm.Version)
	}
	want, err := source()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Errorf("%s is not what its source makes: go run ./events/rules/tables > events/rules/crate/src/tables.rs", file)
	}
}

// Equal parts are kept once, and each value is where the steps lead.
func TestCompact(t *testing.T) {
	values := make([]uint16, 4*blockSize)
	for i := range values {
		values[i] = uint16(i % (2 * blockSize) / 3)
	}
	which, parts := compact[[blockSize]uint16](values)
	if len(which) != 4 || len(parts) != 2*blockSize {
		t.Fatalf("%d parts are %v of %d values", len(which), which, len(parts))
	}
	for i, want := range values {
		if got := parts[int(which[i/blockSize])*blockSize+i%blockSize]; got != want {
			t.Fatalf("value %d is %d, want %d", i, got, want)
		}
	}
}
