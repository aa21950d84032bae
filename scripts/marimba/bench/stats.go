package main

import (
	"fmt"
	"math"

	"github.com/HdrHistogram/hdrhistogram-go"
	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// figure is a mean over rounds with its confidence interval: the true mean lies
// within Half of it, 95 times in 100, if rounds scatter as they do by chance.
type figure struct {
	Mean float64 `json:"mean"`
	Half float64 `json:"half"` // 0: there was one round
	N    int     `json:"n"`
}

// confidence is the interval's probability on both sides together.
const confidence = 0.95

// figureOf sums rounds up.
func figureOf(of []float64) figure {
	if len(of) == 0 {
		return figure{}
	}
	f := figure{Mean: stat.Mean(of, nil), N: len(of)}
	if len(of) > 1 {
		t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(len(of) - 1)}
		f.Half = t.Quantile(1-(1-confidence)/2) * stat.StdDev(of, nil) / math.Sqrt(float64(len(of)))
	}
	return f
}

// Bounds of a latency that is recorded, in microseconds, with three digits.
const (
	shortest = 1
	longest  = 10 * 60 * 1_000_000
	digits   = 3
)

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(shortest, longest, digits) }

// record adds a latency in microseconds, the longest that is kept at most.
func record(h *hdrhistogram.Histogram, micros int64) {
	_ = h.RecordValue(min(max(micros, shortest), longest)) // within the bounds it never fails
}

// latency are the percentiles of a histogram in milliseconds.
type latency struct {
	P50  float64 `json:"p50_ms"`
	P99  float64 `json:"p99_ms"`
	P999 float64 `json:"p99_9_ms"`
	Max  float64 `json:"max_ms"`
	N    int64   `json:"n"`
}

func latencyOf(h *hdrhistogram.Histogram) latency {
	at := func(percent float64) float64 { return float64(h.ValueAtQuantile(percent)) / 1000 }
	return latency{P50: at(50), P99: at(99), P999: at(99.9), Max: float64(h.Max()) / 1000, N: h.TotalCount()}
}

// packed is a histogram as it travels and is kept: HdrHistogram's own form.
func packed(h *hdrhistogram.Histogram) ([]byte, error) {
	if h.TotalCount() == 0 {
		return nil, nil
	}
	return h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
}

// merged joins packed histograms.
func merged(all ...[]byte) (*hdrhistogram.Histogram, error) {
	sum := newHistogram()
	for _, one := range all {
		if len(one) == 0 {
			continue
		}
		h, err := unpacked(one)
		if err != nil {
			return nil, err
		}
		sum.Merge(h)
	}
	return sum, nil
}

// unpacked reads a packed histogram. The library panics over some that are broken.
func unpacked(text []byte) (h *hdrhistogram.Histogram, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("read a histogram: %v", p)
		}
	}()
	return hdrhistogram.Decode(text)
}
