package main

import (
	"math"
	"testing"
)

// The interval is Student's: for five rounds 2.776 standard errors.
func TestFigure(t *testing.T) {
	f := figureOf([]float64{10, 12, 14, 16, 18})
	if want := 2.776445 * math.Sqrt(10) / math.Sqrt(5); f.Mean != 14 || f.N != 5 || math.Abs(f.Half-want) > 1e-4 {
		t.Errorf("%+v, the half should be %f", f, want)
	}
	if one := figureOf([]float64{3}); one.Mean != 3 || one.Half != 0 {
		t.Errorf("one round: %+v", one)
	}
	if none := figureOf(nil); none != (figure{}) {
		t.Errorf("no round: %+v", none)
	}
}

// Histograms of rounds, packed as they travel, give the percentiles of all requests
// together, and what is longer than can be kept is kept as the longest.
func TestMergedHistograms(t *testing.T) {
	var all [][]byte
	for round := range 2 {
		h := newHistogram()
		for i := range 500 {
			record(h, int64(1000*(1+round*500+i)))
		}
		text, err := packed(h)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text)
	}
	h, err := merged(append(all, nil)...)
	if err != nil {
		t.Fatal(err)
	}
	l := latencyOf(h)
	near := func(got, want float64) bool { return math.Abs(got-want) <= want/500 }
	if l.N != 1000 || !near(l.P50, 500) || !near(l.P99, 990) || !near(l.P999, 999) || !near(l.Max, 1000) {
		t.Errorf("%+v", l)
	}
	if _, err := merged([]byte("nonsense")); err == nil {
		t.Error("nonsense was merged")
	}
	record(h, 2*longest)
	if got := latencyOf(h).Max; !near(got, longest/1000) {
		t.Errorf("longest: %f", got)
	}
}
