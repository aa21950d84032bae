package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"marimba/scripts/marimba/house"
)

// round is what came of one round.
type round struct {
	N        int     `json:"round"`
	Trouble  string  `json:"trouble"`
	Did      string  `json:"did"`
	Answered int64   `json:"answered"` // votes that were answered with a promise so far
	Retries  int64   `json:"retries"`  // requests that were sent again in this round
	Seconds  float64 `json:"seconds"`  // from the end of the casting until the books balanced
	Lost     int64   `json:"lost"`     // distinct votes of the open contest that are not counted
	Double   int64   `json:"double"`   // or counted more than once
	Balanced bool    `json:"balanced"`
	Fault    string  `json:"fault,omitempty"`
}

// result is what came of all.
type result struct {
	Seed     uint64  `json:"seed"`
	Rate     int     `json:"rate"`
	Rounds   []round `json:"rounds"`
	Answered int64   `json:"answered"`
	Lost     int64   `json:"lost"`
	Double   int64   `json:"double"`
	Balanced bool    `json:"balanced"`
	Minutes  float64 `json:"minutes"`
}

// castTimeout bounds the casting of a round: trouble makes it longer.
const castTimeout = 3 * time.Minute

// all runs the rounds. It ends with the first after which the books do not
// balance: what comes after it would tell nothing.
func (s *suite) all(ctx context.Context, w *world, order []trouble) (result, error) {
	began := time.Now()
	out := result{Seed: s.seed, Rate: s.rate, Balanced: true}
	votes := &load{dice: rand.New(rand.NewPCG(s.seed, 1)), seed: s.seed, rate: s.rate}
	for i, t := range order {
		r, err := s.round(ctx, w, votes, i+1, t)
		out.Rounds = append(out.Rounds, r)
		out.Answered, out.Lost, out.Double = votes.answered, r.Lost, r.Double
		out.Minutes = time.Since(began).Minutes()
		if err == nil && !r.Balanced {
			err = fmt.Errorf("round %d, %s: the books do not balance: %s", r.N, r.Trouble, r.Fault)
		}
		if err != nil {
			out.Balanced = false
			return out, err
		}
		fmt.Fprintf(os.Stderr, "%3d of %d  %-52s %-28s balanced after %4.1f s\n", r.N, len(order), r.Trouble, r.Did, r.Seconds)
	}
	return out, nil
}

// round casts votes, makes a trouble meanwhile, and audits.
func (s *suite) round(ctx context.Context, w *world, votes *load, n int, t trouble) (round, error) {
	r := round{N: n, Trouble: t.name}
	votes.round = n
	retries := votes.retries
	casting, cancel := context.WithTimeout(ctx, castTimeout)
	defer cancel()
	begin := time.Duration(w.dice.Int64N(int64(s.length / 2)))
	at := w.house.At
	both, casting := errgroup.WithContext(casting)
	both.Go(func() error { return votes.run(casting, at, s.length) })
	both.Go(func() (err error) {
		pause(casting, begin)
		r.Did, err = t.make(casting, w)
		return err
	})
	if err := both.Wait(); err != nil {
		return r, fmt.Errorf("round %d, %s: %w", n, t.name, err)
	}
	r.Answered, r.Retries = votes.answered, votes.retries-retries
	cast := time.Now()
	a, err := w.settle(ctx)
	if err != nil {
		return r, fmt.Errorf("round %d, %s: %w", n, t.name, err)
	}
	r.Seconds = time.Since(cast).Seconds()
	counted := a.Counted(openContest)
	r.Lost, r.Double = max(0, votes.distinct-counted), max(0, counted-votes.distinct)
	r.Balanced = a.Agree && a.InFlight == 0 && a.Sealed() && r.Lost == 0 && r.Double == 0
	if !r.Balanced {
		r.Fault = says(a, votes.distinct)
	}
	return r, ctx.Err()
}

// says what an audit found wrong.
func says(a house.Audited, distinct int64) string {
	var errs []error
	if a.InFlight > 0 {
		errs = append(errs, fmt.Errorf("%d votes are still on their way", a.InFlight))
	}
	if counted := a.Counted(openContest); counted != distinct {
		errs = append(errs, fmt.Errorf("%d votes are counted of %d", counted, distinct))
	}
	for _, c := range a.Contests {
		if c.Log.Unsealed+c.Log.Shelved > 0 {
			errs = append(errs, fmt.Errorf("%d counted votes of %s are not in the public log yet, and %d are on the shelf", c.Log.Unsealed, c.Contest, c.Log.Shelved))
		}
	}
	for _, f := range a.Faults {
		errs = append(errs, fmt.Errorf("%s: %s", f.Check, f.Says))
	}
	if len(errs) == 0 {
		return "the audit does not agree"
	}
	return strings.ReplaceAll(errors.Join(errs...).Error(), "\n", "; ")
}

// markdown is the report.
func (r result) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "| rounds | kinds of trouble | votes answered | lost | counted twice | minutes | seed |\n|---|---|---|---|---|---|---|\n")
	kinds := make(map[string]bool)
	for _, one := range r.Rounds {
		kinds[one.Trouble] = true
	}
	fmt.Fprintf(&b, "| %d | %d | %d | %d | %d | %.0f | %d |\n\n", len(r.Rounds), len(kinds), r.Answered, r.Lost, r.Double, r.Minutes, r.Seed)
	fmt.Fprintf(&b, "At %d votes a second, on Apache Kafka, redis-server and FerretDB.\n\n", r.Rate)
	fmt.Fprintf(&b, "| round | trouble | what it did | requests sent again | balanced after |\n|---|---|---|---|---|\n")
	for _, one := range r.Rounds {
		after := fmt.Sprintf("%.1f s", one.Seconds)
		if !one.Balanced {
			after = "NOT BALANCED: " + one.Fault
		}
		fmt.Fprintf(&b, "| %d | %s | %s | %d | %s |\n", one.N, one.Trouble, one.Did, one.Retries, after)
	}
	return b.String()
}
