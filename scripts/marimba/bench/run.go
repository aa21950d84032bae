package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"marimba/scripts/marimba/house"
)

// Names of the grounds, as reports have them.
const (
	onDoors        = "to Kafka"
	onWhole        = "the whole way"
	onAcknowledged = "the whole way, log store that only acknowledges"
	onFlat         = "as the votes grow"
)

// book is a balance that was drawn up.
type book struct {
	Ground   string  `json:"ground"`
	Round    int     `json:"round"`
	By       string  `json:"by"`
	Cast     int64   `json:"answered"` // votes that were answered with a promise
	Counted  int64   `json:"counted"`
	Balanced bool    `json:"balanced"`
	Says     string  `json:"says,omitempty"`
	Seconds  float64 `json:"seconds"`
}

// run is one run of the benchmark.
type run struct {
	plan   plan
	bin    string
	folder string
	id     string // of the run, in the votes' ids
	n      int    // steps so far

	rounds []measured
	books  []book
	flat   []rung
}

func (r *run) all(ctx context.Context) error {
	for _, phase := range []func(context.Context) error{r.onDoors, r.onWhole, r.onFlat} {
		if err := phase(ctx); err != nil {
			return err
		}
	}
	return nil
}

func tell(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// step measures a step and keeps what came of it.
func (r *run) step(ctx context.Context, g *ground, name string, s step, round int) (measured, error) {
	r.n++
	m, err := g.measure(ctx, name, s, round, fmt.Sprintf("%s-%d", r.id, r.n))
	if err != nil {
		return m, err
	}
	r.rounds = append(r.rounds, m)
	line := fmt.Sprintf("%-16.16s %2d  %-18s %8.0f votes/s answered", name, round, s.Name, float64(m.Votes)/m.Took)
	if m.Until > 0 {
		line += fmt.Sprintf(" %8.0f counted", float64(m.Votes)/m.Until)
	}
	if m.Failed > 0 {
		line += fmt.Sprintf("  %d requests failed: %s", m.Failed, m.First)
	}
	tell("%s", line)
	return m, nil
}

// onDoors measures what is between a client and Kafka, functions without Knative's
// stand-in before them, and then all the rest on a log store that only acknowledges,
// which has those votes to count first.
func (r *run) onDoors(ctx context.Context) (err error) {
	g, err := openGround(ctx, r.bin, folderOf(r.folder, "acknowledging"), true)
	defer func() { err = errors.Join(err, g.close()) }()
	if err != nil {
		return err
	}
	if err := g.startHouse(ctx); err != nil { // it makes the topics
		return err
	}
	g.stopHouse()
	if err := g.openDoors(ctx); err != nil {
		return err
	}
	for round := 1; round <= r.plan.Rounds; round++ {
		for _, s := range r.plan.order(r.plan.toKafka(), round) {
			if _, err := r.step(ctx, g, onDoors, s, round); err != nil {
				return err
			}
		}
	}
	if err := g.stopDoors(); err != nil {
		return err
	}
	if err := r.drain(ctx, g); err != nil {
		return err
	}
	for round := 1; round <= r.plan.Rounds; round++ {
		for _, s := range r.plan.order(r.plan.acknowledged(), round) {
			if _, err := r.step(ctx, g, onAcknowledged, s, round); err != nil {
				return err
			}
		}
		if err := r.balance(ctx, g, onAcknowledged, round, r.byCounts); err != nil {
			return err
		}
	}
	return nil
}

// drain starts the house on what the doors have brought to Kafka, if anything, and
// measures until all is counted.
func (r *run) drain(ctx context.Context, g *ground) error {
	was, err := g.sizes(ctx)
	if err != nil {
		return err
	}
	if err := g.startHouse(ctx); err != nil {
		return err
	}
	if g.accepted == 0 { // no step at the doors was wanted
		return nil
	}
	meter := startMeter(func() crew { return g.members(nil) })
	began := time.Now()
	err = g.await(ctx, g.accepted)
	m := measured{Ground: onAcknowledged, Step: "drain of what waits in Kafka", Round: 1, Votes: g.accepted, used: meter.stop()}
	if err != nil {
		return err
	}
	m.Took = time.Since(began).Seconds()
	m.Until = m.Took
	grown, err := g.sizes(ctx)
	m.grow(was, grown)
	r.rounds = append(r.rounds, m)
	tell("%d votes that waited in Kafka are counted after %.1f s", m.Votes, m.Until)
	return errors.Join(err, r.balance(ctx, g, onDoors, r.plan.Rounds, r.byCounts))
}

func (r *run) onWhole(ctx context.Context) (err error) {
	g, err := openGround(ctx, r.bin, folderOf(r.folder, "ferretdb"), false)
	defer func() { err = errors.Join(err, g.close()) }()
	if err != nil {
		return err
	}
	if err := g.startHouse(ctx); err != nil {
		return err
	}
	for round := 1; round <= r.plan.Rounds; round++ {
		for _, s := range r.plan.order(r.plan.wholeWay(), round) {
			if _, err := r.step(ctx, g, onWhole, s, round); err != nil {
				return err
			}
		}
		if round == 1 && r.plan.wants(r.plan.lone()) {
			if _, err := r.step(ctx, g, onWhole, r.plan.lone(), round); err != nil {
				return err
			}
		}
		if err := r.balance(ctx, g, onWhole, round, r.byAudit); err != nil {
			return err
		}
	}
	for round := 1; round <= r.plan.Zero; round++ {
		if err := g.asleep(ctx); err != nil {
			return err
		}
		if _, err := r.step(ctx, g, onWhole, r.plan.fromZero(), round); err != nil {
			return err
		}
	}
	if r.plan.Zero > 0 {
		return r.balance(ctx, g, onWhole, r.plan.Rounds, r.byAudit)
	}
	return nil
}

// sleepTimeout bounds the wait until all functions have ended.
const sleepTimeout = 5 * time.Minute

// asleep waits until no function runs.
func (g *ground) asleep(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, sleepTimeout)
	defer cancel()
	for len(g.house.Functions()) > 0 {
		if !sleepUntil(ctx, time.Now().Add(100*time.Millisecond)) {
			return fmt.Errorf("wait until all functions sleep: %w", ctx.Err())
		}
	}
	return nil
}

// balance draws up the books, and is an error if they do not balance: figures of a
// system that loses votes are worth nothing.
func (r *run) balance(ctx context.Context, g *ground, name string, round int, by func(context.Context, *ground) (book, error)) error {
	began := time.Now()
	b, err := by(ctx, g)
	if err != nil {
		return fmt.Errorf("%s, round %d: draw up the books: %w", name, round, err)
	}
	b.Ground, b.Round, b.Cast, b.Seconds = name, round, g.accepted, time.Since(began).Seconds()
	if b.Counted < g.accepted || b.Counted > g.accepted+g.unsure {
		b.Balanced = false
		b.Says = fmt.Sprintf("%d votes were answered with a promise and %d more not at all, and %d are counted. %s", g.accepted, g.unsure, b.Counted, b.Says)
	}
	r.books = append(r.books, b)
	if !b.Balanced {
		return fmt.Errorf("%s, round %d: the books do not balance: %s", name, round, b.Says)
	}
	return nil
}

// byAudit has the books audited: log, counts, and what was cast, judged again.
func (r *run) byAudit(ctx context.Context, g *ground) (book, error) {
	a, err := house.Settle(ctx, g.bin, g.parts.Environment(g.mongo()), g.parts.Kafka.Address)
	b := book{By: "audit", Counted: a.Counted(contest), Balanced: a.Agree && a.InFlight == 0 && a.Sealed()}
	for _, f := range a.Faults {
		b.Says += f.Check + ": " + f.Says + " "
	}
	return b, err
}

// byCounts holds the counts alone against what was answered: there is no log.
func (r *run) byCounts(ctx context.Context, g *ground) (book, error) {
	final, counted, err := settled(ctx, g.redis)
	if err != nil {
		return book{}, err
	}
	board, err := onBoard(ctx, g.redis)
	b := book{By: "counts and board alone", Counted: counted, Balanced: counted == final && counted == board}
	if !b.Balanced {
		b.Says = fmt.Sprintf("%d votes are in a final state, %d are counted, %d are on the board", final, counted, board)
	}
	return b, err
}
