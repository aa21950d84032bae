package main

import (
	"testing"
	"time"

	"marimba/events"
	"marimba/functions/internal/kafka"
)

// What each function has not handled of each topic is told by partition, and all of
// it added up; what a topic has forgotten is not waited for.
func TestFlight(t *testing.T) {
	h := newHouse(t.Context())
	h.kafka.reach = map[events.Topic]kafka.Reach{
		events.VotesCast:     {1: {From: 10, To: 30}, 0: {From: 0, To: 7}},
		events.VotesAccepted: {0: {From: 5, To: 9}},
		events.VotesDead:     {0: {}},
	}
	h.kafka.committed = map[string]map[int32]int64{
		"marimba-screen votes.cast":    {0: 7, 1: 27},
		"marimba-tally votes.accepted": {0: 2},
	}
	f := read[flight](t, h.get(t, "/v1/flight"))
	if f.Boxes != 7 || len(f.Stages) != 5 || !f.AsOf.Equal(noon) {
		t.Fatalf("flight is %+v", f)
	}
	cast, accepted := f.Stages[0], f.Stages[1]
	if cast.Function != "screen" || cast.Topic != events.VotesCast || cast.Boxes != 3 ||
		cast.Partitions[0] != (flightPartition{0, 0, 7, 7}) || cast.Partitions[1] != (flightPartition{1, 10, 27, 30}) {
		t.Errorf("screen's is %+v", cast)
	}
	if accepted.Function != "tally" || accepted.Boxes != 4 || accepted.Partitions[0] != (flightPartition{0, 5, 5, 9}) {
		t.Errorf("tally's is %+v", accepted)
	}
	for i, last := range []string{"notary", "shelve"} {
		if f.Stages[3+i].Function != last || f.Stages[3+i].Boxes != 0 {
			t.Errorf("%s's is %+v", last, f.Stages[3+i])
		}
	}
}

// Kafka is asked once in a while for all who want to know, and left alone for longer
// when it did not answer.
func TestKafkaIsAskedSeldom(t *testing.T) {
	h := newHouse(t.Context())
	at := noon
	h.now = func() time.Time { return at }
	look := func(after time.Duration, asked, status int) {
		t.Helper()
		at = at.Add(after)
		if answer := h.get(t, "/v1/flight"); answer.Code != status || h.kafka.asked != asked {
			t.Errorf("after %s the answer is %d, Kafka was asked %d times, want %d", after, answer.Code, h.kafka.asked, asked)
		}
	}
	look(0, 1, 200)
	look(flightFor-1, 1, 200)
	look(1, 2, 200)
	h.kafka.away = errAway
	look(flightFor, 3, 503)
	look(flightRest-1, 3, 503)
	h.kafka.away = nil
	look(1, 4, 200)
}
