package tlog

import (
	"fmt"
	"testing"

	"marimba/events/seal"
)

// sealFull seals full batches on a store, as a writer does that has many boxes
// waiting.
func sealFull(b testing.TB, l *Log, batches int) {
	b.Helper()
	w := newWriter(l.store, signer(b))
	d := &desk{contest: contest}
	var err error
	if d.pen, err = w.signer.of(contest); err != nil {
		b.Fatal(err)
	}
	for n := range batches {
		some := make([]Box, maxLeaves/500)
		for i := range some {
			some[i] = Box{Contest: contest, ID: fmt.Sprintf("0199c4d2-7d3e-7abc-8def-%06d%06d", n, i), Votes: make([]Vote, 500)}
			for j := range some[i].Votes {
				some[i].Votes[j] = Vote{j, seal.LeafHash(seal.Hash{byte(n), byte(n >> 8), byte(i), byte(j), byte(j >> 8)})}
			}
		}
		if err := w.seal(d, some); err != nil {
			b.Fatal(err)
		}
	}
}

// What a vote costs of a full batch, commitment and store aside.
func BenchmarkSeal(b *testing.B) {
	b.ReportAllocs()
	batches := 0
	for b.Loop() {
		sealFull(b, &Log{store: newMemory()}, 10)
		batches += 10
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(batches*(maxLeaves/500)*500), "ns/vote")
}

// How long a voter waits for a proof, of a log on a database whose batches are as
// large as they can be: the first time, and when the batch was read before.
func BenchmarkProof(b *testing.B) {
	l := onMongo(b, server(b))
	const batches = 20
	sealFull(b, l, batches)
	prove := func(b *testing.B, n int) {
		box := fmt.Sprintf("0199c4d2-7d3e-7abc-8def-%06d%06d", n%batches, n%(maxLeaves/500))
		place, ok, err := l.Place(b.Context(), contest, box, n%500)
		if err != nil || !ok {
			b.Fatalf("%v %v", ok, err)
		}
		head, _, err := l.Head(b.Context(), contest)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := seal.Inclusion(head.Size, place.Leaf, l.Tiles(b.Context(), head)); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("first", func(b *testing.B) {
		n := 0
		for b.Loop() {
			l.read = shelf{}
			prove(b, n)
			n++
		}
	})
	b.Run("again", func(b *testing.B) {
		n := 0
		for b.Loop() {
			prove(b, n/1000)
			n++
		}
	})
}
