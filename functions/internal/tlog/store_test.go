package tlog

import (
	"reflect"
	"slices"
	"testing"
)

// What the log rests on holds of the real store, and of the one of the tests.
func TestStore(t *testing.T) {
	onEach(t, func(t *testing.T, l *Log) {
		ctx, s := t.Context(), l.store
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		// A claim stays as it was made first; only those that were there are told.
		there, err := s.claim(ctx, []claimDocument{{"c/a", 1}, {"c/b", 1}})
		must(err)
		if len(there) != 0 {
			t.Errorf("fresh claims were there: %v", there)
		}
		there, err = s.claim(ctx, []claimDocument{{"c/x", 2}, {"c/b", 2}, {"c/y", 2}, {"c/a", 2}})
		must(err)
		if slices.Sort(there); !slices.Equal(there, []int{1, 3}) {
			t.Errorf("places %v were there", there)
		}
		for id, want := range map[string]int64{"c/a": 1, "c/b": 1, "c/x": 2, "c/y": 2} {
			if n, ok, err := s.claimed(ctx, id); n != want || !ok || err != nil {
				t.Errorf("%s is claimed for %d %v: %v", id, n, ok, err)
			}
		}
		if _, ok, err := s.claimed(ctx, "c/z"); ok || err != nil {
			t.Errorf("what was not claimed is: %v", err)
		}
		// A batch is committed once.
		first := batchDocument{ID: "c/1", Contest: "c", N: 1, Boxes: []string{"a"}, Root: []byte{1}, Order: []byte{2}, Leaves: []byte{3}}
		ok, err := s.commit(ctx, first)
		must(err)
		if !ok {
			t.Error("a first batch was there")
		}
		second := first
		second.Boxes = []string{"b"}
		ok, err = s.commit(ctx, second)
		must(err)
		if ok {
			t.Error("a batch was committed twice")
		}
		if b, ok, err := s.batch(ctx, "c", 1); !ok || err != nil || !reflect.DeepEqual(b, first) {
			t.Errorf("the batch is %+v %v: %v", b, ok, err)
		}
		if boxes, ok, err := s.boxes(ctx, "c", 1); !ok || err != nil || !slices.Equal(boxes, first.Boxes) {
			t.Errorf("its boxes are %v %v: %v", boxes, ok, err)
		}
		if _, ok, err := s.batch(ctx, "c", 2); ok || err != nil {
			t.Errorf("a batch that was not committed is there: %v", err)
		}
		// A tile that is kept stays, until it is mended.
		must(s.keep(ctx, []tileDocument{{"c/1/0", []byte("one")}}))
		must(s.keep(ctx, []tileDocument{{"c/1/0", []byte("two")}, {"c/1/1", []byte("three")}}))
		for id, want := range map[string]string{"c/1/0": "one", "c/1/1": "three"} {
			if data, ok, err := s.tile(ctx, id); string(data) != want || !ok || err != nil {
				t.Errorf("%s is %q %v: %v", id, data, ok, err)
			}
		}
		must(s.mend(ctx, []tileDocument{{"c/1/0", []byte("four")}, {"c/1/2", []byte("five")}}))
		for id, want := range map[string]string{"c/1/0": "four", "c/1/2": "five"} {
			if data, ok, err := s.tile(ctx, id); string(data) != want || !ok || err != nil {
				t.Errorf("%s is mended to %q %v: %v", id, data, ok, err)
			}
		}
		// A head goes forward only; that of the same batch may be made anew.
		for _, h := range []struct{ n, size, want int64 }{{2, 20, 20}, {1, 10, 20}, {2, 21, 21}, {3, 30, 30}, {2, 20, 30}} {
			must(s.advance(ctx, headDocument{Contest: "c", N: h.n, Size: h.size, Root: []byte{9}, Edge: []edgeDocument{{-1, []byte{7}}}}))
			d, ok, err := s.head(ctx, "c")
			if d.Size != h.want || !ok || err != nil || !reflect.DeepEqual(d.Edge, []edgeDocument{{-1, []byte{7}}}) {
				t.Errorf("after batch %d of size %d the head is %+v %v: %v", h.n, h.size, d, ok, err)
			}
		}
		if _, ok, err := s.head(ctx, "none"); ok || err != nil {
			t.Errorf("a log that was never begun has a head: %v", err)
		}
	})
}

// A document that is not a batch is an error, whatever it is.
func FuzzBatch(f *testing.F) {
	f.Add("c/1", int64(1), int64(0), int64(1), make([]byte, 32), make([]byte, 4), make([]byte, 32), 1)
	f.Add("c/1", int64(1), int64(-1), int64(0), make([]byte, 32), make([]byte, 4), make([]byte, 32), 1)
	f.Add("c/1", int64(1), int64(0), int64(1)<<60, make([]byte, 32), []byte{}, []byte{}, 0)
	f.Add("c/1", int64(1), int64(0), int64(1)<<62, make([]byte, 32), []byte{}, []byte{}, 0)
	f.Fuzz(func(t *testing.T, id string, n, first, size int64, root, order, leaves []byte, boxes int) {
		d := batchDocument{ID: id, Contest: "c", N: n, First: first, Size: size, Root: root, Order: order, Leaves: leaves, Boxes: make([]string, min(max(boxes, 0), 100))}
		b, err := d.batch()
		if err != nil {
			return
		}
		count := 0
		for leaf := range b.Leaves() {
			if leaf.At != b.First+uint64(count) {
				t.Errorf("leaf %d is at %d", count, leaf.At)
			}
			count++
		}
		if uint64(count) != b.Size-b.First || count == 0 {
			t.Errorf("%d leaves from %d to %d", count, b.First, b.Size)
		}
	})
}
