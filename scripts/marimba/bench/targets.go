package main

import (
	"fmt"
	"maps"
	"slices"
)

// target is something that Marimba sets itself, held against a run.
type target struct {
	Says    string  `json:"says"`
	Wanted  float64 `json:"wanted"`
	AtLeast bool    `json:"at_least"` // else at most
	Got     float64 `json:"got"`
	Unit    string  `json:"unit"`
	Known   bool    `json:"known"` // it was measured
	Reached bool    `json:"reached"`
}

// far is how far a target is missed, as a factor; below 1 it is not.
func (t target) far() float64 {
	if t.AtLeast {
		return t.Wanted / t.Got
	}
	return t.Got / t.Wanted
}

// targets of the whole, on 2 cores with everything on them.
const (
	floorShare = 0.6     // of the no-op server's requests a second
	floorCPU   = 1.6     // times the no-op server's CPU a request
	floorTail  = 4.0     // times the no-op server's p99
	toKafka    = 150_000 // votes/s in bulk and batch
	allTheWay  = 50_000  // votes/s counted, acknowledging log store
	storeShare = 0.8     // of the log store's own floor
	oneShare   = 20      // times the pipeline that takes one at a time
	bulkCPU    = 30      // µs a vote, all functions together
	unaryCPU   = 150
	lonely     = 15  // ms, p50
	zero       = 600 // ms, p50
	mostMemory = 64  // MiB
	flatEnough = 1.5 // times the cost at the first rung
)

// judgement holds targets against a report.
type judgement struct {
	report
	out []target
}

func (j *judgement) add(t target) {
	t.Known = t.Got > 0
	t.Reached = t.Known && t.far() <= 1
	j.out = append(j.out, t)
}

func targetsOf(r report) []target {
	j := &judgement{report: r}
	j.ingress("grpc-unary", "no-op-grpc", "ingress-grpc")
	j.ingress("http-json", "no-op-http", "ingress-http")
	for _, step := range bundled {
		l, _ := r.line(onDoors, step)
		j.add(target{Says: step + ", answered when Kafka has it", Wanted: toKafka, AtLeast: true, Got: l.Answered.Mean, Unit: "votes/s"})
	}
	one, _ := r.line(onWhole, "one-by-one")
	store, _ := r.line(onWhole, "log-many")
	for _, step := range bundled {
		acknowledged, _ := r.line(onAcknowledged, step)
		whole, _ := r.line(onWhole, step)
		j.add(target{Says: step + " counted, log store that only acknowledges", Wanted: allTheWay, AtLeast: true, Got: acknowledged.Counted.Mean, Unit: "votes/s"})
		j.add(target{Says: step + " counted on FerretDB, share of its own floor", Wanted: storeShare, AtLeast: true, Got: ratio(whole.Counted.Mean, store.Answered.Mean)})
		j.add(target{Says: step + " counted on FerretDB, times one at a time", Wanted: oneShare, AtLeast: true, Got: ratio(whole.Counted.Mean, one.Answered.Mean)})
		j.add(target{Says: step + " counted, log store that only acknowledges, times one at a time", Wanted: oneShare, AtLeast: true, Got: ratio(acknowledged.Counted.Mean, one.Answered.Mean)})
	}
	bulk, _ := r.line(onWhole, "bulk")
	unary, _ := r.line(onWhole, "grpc-unary")
	lone, _ := r.line(onWhole, "lone vote")
	asleep, _ := r.line(onWhole, "from zero")
	j.add(target{Says: "all functions together, bulk", Wanted: bulkCPU, Got: bulk.Functions.Mean, Unit: "µs a vote"})
	j.add(target{Says: "all functions together, gRPC unary", Wanted: unaryCPU, Got: unary.Functions.Mean, Unit: "µs a vote"})
	j.add(target{Says: "one lone vote, warm, cast to counted, p50", Wanted: lonely, Got: lone.ToCounted.P50, Unit: "ms"})
	j.add(target{Says: "from zero, all asleep, cast to counted, p50", Wanted: zero, Got: asleep.ToCounted.P50, Unit: "ms"})
	peak := r.peak()
	for _, name := range slices.Sorted(maps.Keys(peak)) {
		j.add(target{Says: "memory of " + name + " at full load", Wanted: mostMemory, Got: peak[name], Unit: "MiB"})
	}
	j.flatness()
	return j.out
}

// ingress holds a door against the server that does nothing.
func (j *judgement) ingress(step, noOp, door string) {
	l, _ := j.line(onDoors, step)
	none, _ := j.line(onDoors, noOp)
	j.add(target{Says: step + ", requests/s as a share of " + noOp, Wanted: floorShare, AtLeast: true, Got: ratio(l.Answered.Mean, none.Answered.Mean)})
	j.add(target{Says: step + ", CPU of the door a request, times " + noOp, Wanted: floorCPU, Got: ratio(l.CPU[door].Mean, none.CPU[noOp].Mean)})
	j.add(target{Says: step + ", p99, times " + noOp, Wanted: floorTail, Got: ratio(l.Durable.P99, none.Durable.P99)})
}

// flatness holds the last rung against the first.
func (j *judgement) flatness() {
	if len(j.Flat) < 2 {
		return
	}
	first, last := j.Flat[0], j.Flat[len(j.Flat)-1]
	for _, of := range []struct {
		what   string
		before float64
		after  float64
	}{
		{"CPU of all functions a vote", first.CPU, last.CPU}, {"the board", first.Board, last.Board},
		{"a receipt", first.Receipt, last.Receipt}, {"the audit a vote", first.AuditOne, last.AuditOne},
		{"Redis's memory a vote", first.Redis, last.Redis},
	} {
		j.add(target{
			Says:   fmt.Sprintf("%s, at %d votes, times at %d", of.what, last.Votes, first.Votes),
			Wanted: flatEnough, Got: ratio(of.after, of.before),
		})
	}
}

// ratio is 0, which is not known, if one of them is.
func ratio(a, b float64) float64 {
	if b <= 0 {
		return 0
	}
	return a / b
}
