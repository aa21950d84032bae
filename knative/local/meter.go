package local

import "time"

// tick is how often a function's scale is considered.
const tick = 250 * time.Millisecond

// meter averages how many requests a function has, over time. It is exact: also
// requests that come and go between two ticks count for as long as they last.
type meter struct {
	level float64 // requests now
	since time.Time
	area  float64 // requests × seconds since the last tick
	from  time.Time
	past  []float64 // averages of the last ticks, oldest first
}

// set tells the meter how many requests there are from now on.
func (m *meter) set(now time.Time, level int) {
	m.area += m.level * now.Sub(m.since).Seconds()
	m.since, m.level = now, float64(level)
}

// tick ends a tick. It keeps as many as span needs.
func (m *meter) tick(now time.Time, span time.Duration) {
	m.set(now, int(m.level))
	took := now.Sub(m.from).Seconds()
	if took <= 0 {
		return
	}
	m.past = append(m.past, m.area/took)
	if over := len(m.past) - max(int(span/tick), 1); over > 0 {
		m.past = append(m.past[:0], m.past[over:]...)
	}
	m.area, m.from = 0, now
}

// over averages the last span; what lies before the meter's start does not
// count.
func (m *meter) over(span time.Duration) float64 {
	n := min(max(int(span/tick), 1), len(m.past))
	if n == 0 {
		return 0
	}
	sum := 0.0
	for _, average := range m.past[len(m.past)-n:] {
		sum += average
	}
	return sum / float64(n)
}

// reset forgets the past.
func (m *meter) reset(now time.Time) {
	*m = meter{level: m.level, since: now, from: now, past: m.past[:0]}
}
