// Package rehearse casts a shadow contest as an audience would, watches what the
// house makes of it, and says whether the show may go on: go or no-go, with what
// was seen and what should be set otherwise.
package rehearse

import (
	"fmt"
	"iter"
	"math"
	"time"
)

// Curve is how many votes a second come at each moment of a televote: quiet at
// first, a spike when the audience is called to vote, which dies away, and a rush
// before the end.
type Curve struct {
	votes  int
	length time.Duration
	quiet  float64   // votes a second where nothing happens
	peak   float64   // votes a second at the call
	sums   []float64 // votes until the end of each step
}

// The moments of a televote, as parts of its length, and its heights, as parts of
// the peak.
const (
	call     = 0.20 // the call begins
	full     = 0.22 // the spike is at its height
	fading   = 0.08 // in which it falls to a third
	lastCall = 0.75 // the rush begins
	rush     = 0.80 // its height, at the end
	silence  = 0.10 // of the quiet times, if nobody says how many votes there are
	least    = 0.01 // the same, at least

	steps = 2000 // of a curve
)

// swell is the curve between quiet, 0, and the peak, 1, at a part of the length.
func swell(x float64) float64 {
	spike, end := 0.0, 0.0
	switch {
	case x >= full:
		spike = math.Exp(-(x - full) / fading)
	case x >= call:
		spike = (x - call) / (full - call)
	}
	if x >= lastCall {
		at := (x - lastCall) / (1 - lastCall)
		end = rush * at * at
	}
	return max(spike, end)
}

// swollen is the mean of swell.
var swollen = func() (mean float64) {
	for i := range steps {
		mean += swell((float64(i)+0.5)/steps) / steps
	}
	return mean
}()

// Televote returns the curve of so many votes, with a peak in votes a second, in a
// length. The votes of the quiet times are what the spike and the rush leave of
// them; with votes 0 they are what the curve makes them.
func Televote(votes int, peak float64, length time.Duration) (Curve, error) {
	if peak <= 0 || length <= 0 || votes < 0 {
		return Curve{}, fmt.Errorf("a curve needs a peak and a length above nothing, and votes not below it")
	}
	seconds := length.Seconds()
	quiet := silence * peak
	if votes > 0 {
		quiet = (float64(votes)/seconds - peak*swollen) / (1 - swollen)
	}
	if lowest := least * peak; quiet < lowest || quiet > peak {
		from := (lowest + (peak-lowest)*swollen) * seconds
		return Curve{}, fmt.Errorf("%d votes in %s with a peak of %g a second are no televote: from %.0f to %.0f are", votes, length, peak, math.Ceil(from), math.Floor(peak*seconds))
	}
	c := Curve{length: length, quiet: quiet, peak: peak, sums: make([]float64, steps)}
	sum := 0.0
	for i := range steps {
		sum += c.At(length*time.Duration(2*i+1)/(2*steps)) * seconds / steps
		c.sums[i] = sum
	}
	c.votes = max(1, int(math.Round(sum)))
	return c, nil
}

// Votes is how many votes there are in all.
func (c Curve) Votes() int { return c.votes }

// At is how many votes a second come at a moment.
func (c Curve) At(moment time.Duration) float64 {
	return c.quiet + (c.peak-c.quiet)*swell(moment.Seconds()/c.length.Seconds())
}

// Moments are when the votes come, one after the other.
func (c Curve) Moments() iter.Seq[time.Duration] {
	return func(yield func(time.Duration) bool) {
		step, before := 0, 0.0
		for n := range c.votes {
			due := (float64(n) + 0.5) * c.sums[steps-1] / float64(c.votes)
			for c.sums[step] < due {
				before = c.sums[step]
				step++
			}
			part := (float64(step) + (due-before)/(c.sums[step]-before)) / steps
			if !yield(time.Duration(part * float64(c.length))) {
				return
			}
		}
	}
}
