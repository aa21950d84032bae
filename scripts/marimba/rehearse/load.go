package rehearse

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"marimba/scripts/marimba/cast"
)

// Bounds of the casting.
const (
	maxOpen   = 4000            // votes that wait for an answer at once; the next one waits for a place
	slowest   = 5 * time.Minute // that a latency can be
	precision = 3               // digits of a latency
)

// Load casts votes when a curve says, whether or not those before are answered, as
// an audience does: a house that is slow gets no fewer of them.
type Load struct {
	Doors   []cast.Door // taken in turn
	Contest string
	Curve   Curve
	Vote    func(number int) cast.Row // called for 0, 1, 2 …
	OnVote  func()                    // called as each is answered or given up; nil: not

	accepted atomic.Int64

	mu    sync.Mutex
	done  Loaded
	waits *hdrhistogram.Histogram // microseconds from a vote's moment to its answer
}

// Loaded is what became of the votes at the doors.
type Loaded struct {
	cast.Report
	Unanswered int64         // in spite of all tries
	Why        string        // of the last of them
	First      time.Duration // until the first vote was answered
	P50, P99   time.Duration // of those that were taken: from the moment that the curve says to the answer
	P999, Max  time.Duration
	Behind     time.Duration // the latest that a vote was cast after its moment
}

// Accepted is how many votes are answered with a promise until now.
func (l *Load) Accepted() int64 { return l.accepted.Load() }

// Run casts all votes, and returns when each is answered or given up. The error is
// ctx's: then the rest was not cast.
func (l *Load) Run(ctx context.Context) (Loaded, error) {
	l.waits = hdrhistogram.New(1, slowest.Microseconds(), precision)
	places := make(chan struct{}, maxOpen)
	var open sync.WaitGroup
	began, number := time.Now(), 0
	timer := time.NewTimer(0)
	defer timer.Stop()
	for moment := range l.Curve.Moments() {
		due := began.Add(moment)
		timer.Reset(time.Until(due))
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		l.note(func(d *Loaded) { d.Behind = max(d.Behind, time.Since(due)) })
		row, door := l.Vote(number), l.Doors[number%len(l.Doors)]
		first := number == 0
		open.Go(func() {
			l.cast(ctx, door, row, due, first)
			<-places
		})
		number++
	}
	open.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.done
	d.Seconds = time.Since(began).Seconds()
	at := func(percent float64) time.Duration {
		return time.Duration(l.waits.ValueAtPercentile(percent)) * time.Microsecond
	}
	d.P50, d.P99, d.P999, d.Max = at(50), at(99), at(99.9), time.Duration(l.waits.Max())*time.Microsecond
	return d, ctx.Err()
}

func (l *Load) note(what func(d *Loaded)) {
	l.mu.Lock()
	what(&l.done)
	l.mu.Unlock()
}

// cast casts one vote until it is answered.
func (l *Load) cast(ctx context.Context, door cast.Door, row cast.Row, due time.Time, first bool) {
	sender := cast.Sender{Door: door, Contest: l.Contest}
	report, err := sender.Send(ctx, []cast.Row{row})
	waited := time.Since(due)
	l.accepted.Add(report.Accepted)
	l.note(func(d *Loaded) {
		d.Add(report)
		if first {
			d.First = waited
		}
		switch {
		case err == nil && report.Accepted > 0:
			_ = l.waits.RecordValue(min(waited, slowest).Microseconds()) // within its bounds
		case err != nil && !errors.Is(err, context.Canceled):
			d.Unanswered++
			d.Why = err.Error()
		}
	})
	if l.OnVote != nil {
		l.OnVote()
	}
}
