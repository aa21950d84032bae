package rehearse

import (
	"math"
	"strings"
	"testing"
	"time"
)

// Votes come in order, all of them, within the length, and where the curve is high
// there are as many in a second as it says.
func TestTelevote(t *testing.T) {
	const length = 100 * time.Second
	for _, votes := range []int{0, 30_000, 60_000} {
		c, err := Televote(votes, 1000, length)
		if err != nil {
			t.Fatal(err)
		}
		if votes > 0 && c.Votes() != votes {
			t.Errorf("%d votes, want %d", c.Votes(), votes)
		}
		var inSecond [100]int
		n, last := 0, time.Duration(0)
		for at := range c.Moments() {
			if at < last || at >= length {
				t.Fatalf("vote %d comes at %s, the one before at %s", n, at, last)
			}
			inSecond[int(at/time.Second)]++
			n, last = n+1, at
		}
		if n != c.Votes() {
			t.Errorf("%d votes come, want %d", n, c.Votes())
		}
		for second, got := range inSecond {
			if want := c.At(time.Duration(second)*time.Second + time.Second/2); math.Abs(float64(got)-want) > 2+want/20 {
				t.Errorf("second %d has %d votes, want %.0f", second, got, want)
			}
		}
		quiet, spike, between, rushing := inSecond[10], inSecond[22], inSecond[60], inSecond[99]
		if spike < 900 || spike > 1000 || quiet > spike*8/10 || between > rushing || rushing < 600 {
			t.Errorf("quiet %d, spike %d, between %d, rush %d", quiet, spike, between, rushing)
		}
	}
}

// What is no televote is refused, with how many votes would be one.
func TestNoTelevote(t *testing.T) {
	for _, wrong := range []struct {
		votes  int
		peak   float64
		length time.Duration
	}{{100, 1000, time.Minute}, {100_000, 1000, time.Minute}, {0, 0, time.Minute}, {0, 10, 0}, {-1, 10, time.Minute}} {
		if _, err := Televote(wrong.votes, wrong.peak, wrong.length); err == nil {
			t.Errorf("%+v is taken", wrong)
		}
	}
	_, err := Televote(100, 1000, time.Minute)
	if err == nil || !strings.Contains(err.Error(), "to 60000 are") {
		t.Error(err)
	}
}
