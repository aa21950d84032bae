package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/cloudevents/sdk-go/v2/event"

	"marimba/events"
	"marimba/functions/internal/counts"
	"marimba/functions/internal/journal"
	"marimba/functions/internal/journal/journaltest"
	"marimba/functions/internal/stage"
)

// crier keeps what was announced. An event that is announced again must be the
// same.
type crier struct {
	mu   sync.Mutex
	told map[string]event.Event // by id
	sent int
	err  error // of each call, if set; nothing is kept then
}

func newCrier() *crier { return &crier{told: make(map[string]event.Event)} }

func (c *crier) Send(_ context.Context, evs ...event.Event) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent++
	if c.err != nil {
		return c.err
	}
	for _, e := range evs {
		if before, ok := c.told[e.ID()]; ok && !bytes.Equal(before.Data(), e.Data()) {
			return fmt.Errorf("%s is announced with other votes than before", e.ID())
		}
		c.told[e.ID()] = e
	}
	return nil
}

// receipts are those of the votes that were announced.
func (c *crier) receipts(t *testing.T) map[string]int {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make(map[string]int)
	for _, e := range c.told {
		box, err := events.BoxOf(e)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range box.Votes {
			out[events.Receipt(box.ID, v.Index)]++
		}
	}
	return out
}

// countedIn are the receipts of the votes that the log calls counted.
func countedIn(t *testing.T, log *journaltest.Log) map[string]int {
	t.Helper()
	out := make(map[string]int)
	for e, err := range log.Entries(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range e.Box.Votes {
			if e.States[i] == events.Counted {
				out[events.Receipt(e.Box.ID, v.Index)]++
			}
		}
	}
	return out
}

// One event a box tells of its counted votes and of no others, as they were cast
// but for the voter; of a box without any, and of refused votes, nothing is told.
func TestCountedVotesAreAnnounced(t *testing.T) {
	f := newFixture(t)
	for _, e := range judged("box") {
		if err := f.handle(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if got := slices.Collect(maps.Keys(f.crier.told)); !slices.Equal(got, []string{"box/counted"}) {
		t.Fatalf("announced are %v", got)
	}
	e := f.crier.told["box/counted"]
	if e.Type() != events.TypeCounted || events.TopicOf(e.Type()) != events.VotesCounted || e.Source() != "/marimba/tally" || e.Subject() != contest.ID {
		t.Errorf("the event is %s", e)
	}
	box, err := events.BoxOf(e)
	if err != nil {
		t.Fatal(err)
	}
	cast, _ := events.BoxOf(judged("box")[0])
	var want []events.Vote
	for _, i := range []int{0, 2, 3} { // the second is over the limit, the last one a duplicate
		v := cast.Votes[i]
		v.VoterKey = nil
		want = append(want, v)
	}
	if box.ID != "box" || box.Channel != events.ByGRPC || fmt.Sprint(box.Votes) != fmt.Sprint(want) {
		t.Errorf("got  %+v\nwant %+v", box.Votes, want)
	}

	again := cast
	again.ID = "again" // all of it are duplicates
	if err := f.handle(t.Context(), again.Event(events.TypeAccepted, "screen")); err != nil {
		t.Fatal(err)
	}
	if len(f.crier.told) != 1 || f.crier.sent != 1 {
		t.Errorf("%d events in %d calls", len(f.crier.told), f.crier.sent)
	}
}

// A box that Kafka did not confirm comes again, and so does one that was announced
// and whose delivery was cut off then: what is told is what the log holds, not that
// the second delivery finds all votes to be duplicates.
func TestAnnouncedAgain(t *testing.T) {
	f := newFixture(t)
	f.crier.err = errors.New("Kafka is away")
	e := judged("box")[0]
	var poison *stage.PoisonError
	if err := f.handle(t.Context(), e); !errors.Is(err, f.crier.err) || errors.As(err, &poison) {
		t.Fatalf("Kafka is away, and the box ends as %v", err)
	}
	if got := f.books(t); got.figures.Votes[events.ByGRPC][events.Counted] != 3 || len(got.pending) != 0 {
		t.Errorf("it is not settled: %+v", got)
	}
	f.crier.err = nil
	for range 2 {
		if err := f.handle(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := f.crier.receipts(t), countedIn(t, f.log); len(want) != 3 || !maps.Equal(got, want) {
		t.Errorf("announced are %v, counted %v", got, want)
	}
}

// unsettled is counts whose settling fails.
type unsettled struct{ counter }

var errUnsettled = errors.New("redis is away")

func (unsettled) Settle(context.Context, events.Contest, counts.Entry, counts.Answer, string) error {
	return errUnsettled
}

// What is not settled may turn out void, so it is not announced.
func TestNothingIsAnnouncedEarly(t *testing.T) {
	f := newFixture(t)
	hasty := newTally(f.contests, unsettled{f.store}, f.log, f.mending, f.crier, uncharted{})
	if err := hasty.handle(t.Context(), judged("box")[0]); !errors.Is(err, errUnsettled) {
		t.Fatal(err)
	}
	if f.crier.sent != 0 {
		t.Error("a box was announced that is not settled")
	}
}

// forgetful is a log whose document changes between two looks.
type forgetful struct{ *journaltest.Log }

func (l forgetful) Held(ctx context.Context, id string) (journal.Entry, error) {
	e, err := l.Log.Held(ctx, id)
	e.Attempt = "9:other"
	return e, err
}

// If the log holds another attempt than it said, nothing is told of either.
func TestAnotherAttemptIsNotAnnounced(t *testing.T) {
	f := newFixture(t)
	e := judged("box")[0]
	if err := f.handle(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	strange := newTally(f.contests, f.store, forgetful{f.log}, f.mending, f.crier, uncharted{})
	if err := strange.handle(t.Context(), e); err == nil || f.crier.sent != 1 {
		t.Errorf("%v; %d calls", err, f.crier.sent)
	}
}
