package rehearse

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"marimba/events"
	"marimba/scripts/marimba/cast"
)

// fakeDoor answers as it is told, by the number of the vote and of the try.
type fakeDoor struct {
	answer func(number, try int) (cast.Outcome, error)

	mu    sync.Mutex
	tries map[int]int
}

func (d *fakeDoor) Cast(_ context.Context, _ string, rows []cast.Row) ([]cast.Outcome, error) {
	d.mu.Lock()
	if d.tries == nil {
		d.tries = map[int]int{}
	}
	try := d.tries[rows[0].Number]
	d.tries[rows[0].Number]++
	d.mu.Unlock()
	outcome, err := d.answer(rows[0].Number, try)
	return []cast.Outcome{outcome}, err
}

func (d *fakeDoor) Close() error { return nil }

// Each vote is cast once and its answer is added up: taken, taken at the second
// try, refused, or not answered at all.
func TestLoadAddsUp(t *testing.T) {
	door := &fakeDoor{answer: func(number, try int) (cast.Outcome, error) {
		switch {
		case number%10 == 1 && try == 0:
			return cast.Outcome{}, errors.New("busy")
		case number%10 == 2:
			return cast.Outcome{Code: events.ContestUnknown}, nil
		case number%10 == 3:
			return cast.Outcome{}, fmt.Errorf("%w: gone", cast.ErrFinal)
		}
		return cast.Outcome{}, nil
	}}
	curve, err := Televote(0, 1000, 500*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	var mu sync.Mutex
	load := Load{
		Doors: []cast.Door{door, door}, Contest: "show", Curve: curve,
		Vote:   func(number int) cast.Row { return cast.Row{Number: number} },
		OnVote: func() { mu.Lock(); told++; mu.Unlock() },
	}
	got, err := load.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	count := func(rest int) (n int64) {
		for number := range curve.Votes() {
			if number%10 == rest {
				n++
			}
		}
		return n
	}
	votes := int64(curve.Votes())
	if got.Accepted != votes-count(2)-count(3) || got.Refused != count(2) || got.Unanswered != count(3) || got.Retries != count(1) ||
		load.Accepted() != got.Accepted || told != curve.Votes() || got.Why == "" {
		t.Errorf("of %d votes: %+v; told of %d", votes, got, told)
	}
	// What was taken at the second try waited for the pause before it.
	if got.P50 > got.P99 || got.P99 > got.P999 || got.P999 > got.Max || got.Max < 50*time.Millisecond {
		t.Errorf("latencies are %s, %s, %s, %s", got.P50, got.P99, got.P999, got.Max)
	}
}

// A rehearsal that is ended casts no more.
func TestLoadEnds(t *testing.T) {
	curve, err := Televote(0, 100, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	door := &fakeDoor{answer: func(number, _ int) (cast.Outcome, error) {
		if number == 5 {
			cancel()
		}
		return cast.Outcome{}, nil
	}}
	load := Load{Doors: []cast.Door{door}, Curve: curve, Vote: func(number int) cast.Row { return cast.Row{Number: number} }}
	got, err := load.Run(ctx)
	if !errors.Is(err, context.Canceled) || got.Cast > 20 || got.Unanswered != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}
