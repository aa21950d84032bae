package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"marimba/events"
)

// pen answers each drawing with what the test has ready, and tells it which
// contest was drawn.
type pen struct {
	answers chan error // errPointless: no error, and no point
	drawn   chan string
}

var errPointless = errors.New("no point")

func newPen() pen { return pen{make(chan error, 16), make(chan string, 16)} }

func (p pen) Draw(_ context.Context, c events.Contest) (bool, error) {
	p.drawn <- c.ID
	err := <-p.answers
	if errors.Is(err, errPointless) {
		return false, nil
	}
	return err == nil, err
}

func (p pen) await(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-p.drawn:
		if got != want {
			t.Fatalf("%s was drawn, not %s", got, want)
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("%s was not drawn", want)
	}
}

// A contest is drawn after its votes, and again after those that came while it
// was; it is tried again when it failed, or when its point is not there yet.
func TestChartsFollowTheVotes(t *testing.T) {
	p := newPen()
	d := newDrawing(t.Context(), p, time.Millisecond)
	c := events.Contest{ID: "rock"}

	d.changed(c)
	p.await(t, "rock")
	d.changed(c) // while it is drawn
	p.answers <- nil
	p.await(t, "rock")
	p.answers <- errors.New("Redis is away")
	p.await(t, "rock")
	p.answers <- errPointless
	p.await(t, "rock")
	p.answers <- nil
	d.changed(events.Contest{ID: "jazz"})
	p.await(t, "jazz") // and nothing of rock before it
	p.answers <- nil
}

// What is due when the process ends is drawn once more, however long the pace,
// and not again and again if that fails.
func TestLastChartsAreDrawn(t *testing.T) {
	for name, answer := range map[string]error{"drawn": nil, "failed": errors.New("Redis is away")} {
		t.Run(name, func(t *testing.T) {
			p := newPen()
			ctx, stop := context.WithCancel(t.Context())
			d := newDrawing(ctx, p, time.Hour)
			p.answers <- nil
			d.changed(events.Contest{ID: "rock"})
			p.await(t, "rock")
			d.changed(events.Contest{ID: "rock"})
			stop()
			p.answers <- answer
			if err := d.close(t.Context()); err != nil {
				t.Fatal(err)
			}
			p.await(t, "rock")
			if len(p.drawn) > 0 {
				t.Error("it was drawn again")
			}
		})
	}
}
