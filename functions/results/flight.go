package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"marimba/events"
	"marimba/functions/internal/kafka"
)

// queued is how far topics go and functions have come, in Kafka.
type queued interface {
	Reach(ctx context.Context, topic events.Topic) (kafka.Reach, error)
	Committed(ctx context.Context, group string, topic events.Topic) (map[int32]int64, error)
}

// flight is what is in Kafka and not handled yet, of all contests. Kafka counts
// boxes: how many votes are in them is known when they are read.
type flight struct {
	AsOf   time.Time     `json:"as_of"`
	Boxes  int64         `json:"boxes"`
	Stages []flightStage `json:"stages"`
}

// flightStage is how far a function has come with a topic.
type flightStage struct {
	Function   string            `json:"function"`
	Topic      events.Topic      `json:"topic"`
	Boxes      int64             `json:"boxes"`
	Partitions []flightPartition `json:"partitions"`
}

// flightPartition goes from the offset of its first record to that behind its
// last; all before Read are handled.
type flightPartition struct {
	Partition int32 `json:"partition"`
	Begin     int64 `json:"begin"`
	Read      int64 `json:"read"`
	End       int64 `json:"end"`
}

// How often Kafka is asked, for how long, and how long it is left alone when it
// did not answer. A source notes every few seconds how far it has come: to ask
// more often would tell nothing new.
const (
	flightFor     = 2 * time.Second
	flightTimeout = 4 * time.Second
	flightRest    = 5 * time.Second
)

// flights asks Kafka once for all who want to know.
type flights struct {
	kafka queued
	now   func() time.Time

	turn  chan struct{} // held while the fields below are looked at
	kept  flight
	err   error     // that Kafka answered instead
	again time.Time // it is not asked before
}

func newFlights(kafka queued, now func() time.Time) *flights {
	return &flights{kafka: kafka, now: now, turn: make(chan struct{}, 1)}
}

func (f *flights) latest(ctx context.Context) (flight, error) {
	select {
	case f.turn <- struct{}{}:
		defer func() { <-f.turn }()
	case <-ctx.Done():
		return flight{}, fmt.Errorf("wait for Kafka's offsets: %w", ctx.Err())
	}
	if f.now().Before(f.again) {
		return f.kept, f.err
	}
	ctx = context.WithoutCancel(ctx) // the answer is for all
	ctx, cancel := context.WithTimeout(ctx, flightTimeout)
	defer cancel()
	f.kept, f.err = f.ask(ctx)
	f.again = f.now().Add(flightFor)
	if f.err != nil {
		f.again = f.now().Add(flightRest)
	}
	return f.kept, f.err
}

// ask follows the way of a vote, so that a box which goes on meanwhile is seen
// twice rather than not at all: when nothing is left anywhere, every vote that was
// cast before is in a final state.
func (f *flights) ask(ctx context.Context) (flight, error) {
	out := flight{AsOf: f.now().UTC(), Stages: []flightStage{}}
	for _, route := range events.Routes {
		for _, topic := range route.Reads {
			stage, err := f.stage(ctx, route.Function, topic)
			if err != nil {
				return flight{}, err
			}
			out.Boxes += stage.Boxes
			out.Stages = append(out.Stages, stage)
		}
	}
	return out, nil
}

func (f *flights) stage(ctx context.Context, function string, topic events.Topic) (flightStage, error) {
	reach, err := f.kafka.Reach(ctx, topic)
	if err != nil {
		return flightStage{}, err
	}
	committed, err := f.kafka.Committed(ctx, events.GroupOf(function), topic)
	if err != nil {
		return flightStage{}, err
	}
	behind := reach.Behind(committed)
	stage := flightStage{Function: function, Topic: topic, Partitions: make([]flightPartition, 0, len(reach))}
	for _, partition := range slices.Sorted(maps.Keys(reach)) {
		e := reach[partition]
		stage.Boxes += behind[partition]
		stage.Partitions = append(stage.Partitions, flightPartition{partition, e.From, e.To - behind[partition], e.To})
	}
	return stage, nil
}

// showFlight tells what is on its way. How far a source has come is known some
// seconds late, so it may be less by now, and never more of what was cast before.
func (r *results) showFlight(w http.ResponseWriter, req *http.Request) error {
	now, err := r.flights.latest(req.Context())
	if err != nil {
		return err
	}
	return write(w, req, forAMoment, "", now)
}
