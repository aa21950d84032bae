package local

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// Whatever the order in which records end, the prefix never passes one that is
// open, and is past all of them at the end; also with gaps between offsets, as
// compaction and transactions leave.
func TestPrefix(t *testing.T) {
	for range 200 {
		var p prefix
		var offsets []int64
		next := rand.Int64N(100)
		for range 1 + rand.IntN(40) {
			next += 1 + rand.Int64N(3)
			offsets = append(offsets, next)
			p.begin(next)
		}
		open := slices.Clone(offsets)
		before := p.first
		for _, at := range rand.Perm(len(offsets)) {
			done := offsets[at]
			grown := p.end(done)
			open = slices.DeleteFunc(open, func(o int64) bool { return o == done })
			want := next + 1
			if len(open) > 0 {
				want = open[0]
			}
			if p.first > want {
				t.Fatalf("prefix %d is past open record %d", p.first, want)
			}
			if grown != (p.first != before) {
				t.Fatalf("end(%d) = %v, prefix went from %d to %d", done, grown, before, p.first)
			}
			before = p.first
		}
		if p.first != next+1 || p.size() != 0 {
			t.Fatalf("all done: prefix %d, %d open; want %d, 0", p.first, p.size(), next+1)
		}
	}
}

// A record that is unknown, or that ends twice, changes nothing.
func TestPrefixUnknown(t *testing.T) {
	var p prefix
	p.begin(5)
	if p.end(4) || p.end(6) || !p.end(5) || p.end(5) || p.first != 6 {
		t.Errorf("prefix %d, want 6", p.first)
	}
}
