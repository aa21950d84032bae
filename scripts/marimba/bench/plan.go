package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
)

// step is a piece of work that is measured, once in each round.
type step struct {
	Name   string  `json:"name"`
	Path   string  `json:"path,omitempty"`
	Floor  string  `json:"floor,omitempty"`
	Batch  int     `json:"batch"`   // votes a request
	AtOnce int     `json:"at_once"` // requests on their way
	Rate   float64 `json:"rate,omitempty"`
	Votes  int     `json:"votes"`
	Warm   int     `json:"warm"`
	Fresh  bool    `json:"fresh,omitempty"` // a connection for each request
	NoOp   bool    `json:"no_op,omitempty"` // to a server that does nothing
}

// plan says how much is done.
type plan struct {
	Quick  bool   `json:"quick"`
	Rounds int    `json:"rounds"`
	Seed   uint64 `json:"seed"`
	AtOnce int    `json:"at_once"` // requests of one vote; of many, an eighth
	Batch  int    `json:"batch"`

	DoorVotes int `json:"door_votes"` // of a step up to Kafka, one a request
	DoorBulk  int `json:"door_bulk"`  // and many a request
	Votes     int `json:"votes"`      // of a step the whole way, one a request
	Bulk      int `json:"bulk"`       // and many a request
	Floor     int `json:"floor"`
	OneByOne  int `json:"one_by_one"`

	Rate     float64 `json:"rate"` // votes a second of an open loop, one a request
	BulkRate float64 `json:"bulk_rate"`

	Lone int `json:"lone"` // lone votes on a warm house
	Zero int `json:"zero"` // votes to a house that is asleep
	Flat int `json:"flat"` // votes up to which the cost of a vote is followed; 0: not

	Only string `json:"only,omitempty"` // regular expression of the steps that are done; "": all
}

var full = plan{
	Rounds: 7, Seed: 1, AtOnce: 64, Batch: 1000,
	DoorVotes: 20_000, DoorBulk: 200_000, Votes: 5_000, Bulk: 100_000, Floor: 200_000, OneByOne: 3_000,
	Rate: 500, BulkRate: 8_000, Lone: 200, Zero: 5, Flat: 1_000_000,
}

// quick shows that all runs and the books balance. Its figures are of too little to
// be told to anybody.
var quick = plan{
	Quick: true, Rounds: 2, Seed: 1, AtOnce: 64, Batch: 500,
	DoorVotes: 500, DoorBulk: 10_000, Votes: 300, Bulk: 5_000, Floor: 5_000, OneByOne: 100,
	Rate: 200, BulkRate: 4_000, Lone: 20, Zero: 1, Flat: 4_000,
}

// leastFlat is the least that the cost of a vote can be followed up to.
const leastFlat = 1000

// mostVotes bounds a step: what a worker keeps of it stays small.
const mostVotes = 10_000_000

func (p plan) check() error {
	for _, n := range []int{p.DoorVotes, p.DoorBulk, p.Votes, p.Bulk, p.Floor, p.OneByOne, p.AtOnce, p.Batch, p.Rounds, p.Lone} {
		if n < 1 || n > mostVotes {
			return errors.New("numbers of votes, rounds and requests must be from 1 to 10,000,000")
		}
	}
	if _, err := regexp.Compile(p.Only); err != nil {
		return fmt.Errorf("--only: %w", err)
	}
	if p.Rate <= 0 || p.BulkRate <= 0 {
		return errors.New("rates must be more than nothing")
	}
	if p.Batch > 10_000 {
		return errors.New("a door takes up to 10,000 votes in a request")
	}
	if p.AtOnce > mostAtOnce {
		return errors.New("more requests at once than are asked of one generator")
	}
	if p.Flat != 0 && p.Flat < leastFlat {
		return errors.New("--flat must be 0 or at least 1,000")
	}
	if p.Flat < 0 || p.Flat > mostVotes || p.Zero < 0 || p.Zero > 1000 {
		return errors.New("--flat and --zero must be from 0 on")
	}
	return nil
}

// single and bundled are the paths of one vote a request, and of many.
var (
	single  = []string{"grpc-unary", "grpc-stream", "http-json", "grpc-front", "cloudevents"}
	bundled = []string{"grpc-batch", "bulk"}
)

// warmth is how many requests go before those that are measured.
const warmth = 20

func (p plan) one(name, path string, votes int) step {
	return step{Name: name, Path: path, Batch: 1, AtOnce: p.AtOnce, Votes: votes, Warm: warmth}
}

func (p plan) bundle(name, path string, batch, votes int) step {
	batch = min(batch, votes)
	return step{Name: name, Path: path, Batch: batch, AtOnce: max(1, p.AtOnce/8), Votes: votes - votes%batch, Warm: 1}
}

func (p plan) floor(name string, votes int) step {
	return step{Name: name, Floor: name, Batch: 1, Votes: votes}
}

// freshShare is what part of the votes has a connection each: such requests take
// much longer, and leave a port behind for a minute.
const freshShare = 10

// toKafka are the steps in which only doors and Kafka take part.
func (p plan) toKafka() []step {
	noGRPC, noHTTP := p.one("no-op-grpc", "grpc-unary", p.DoorVotes), p.one("no-op-http", "http-json", p.DoorVotes)
	noGRPC.NoOp, noHTTP.NoOp = true, true
	steps := []step{noGRPC, noHTTP}
	for _, path := range single {
		steps = append(steps, p.one(path, path, p.DoorVotes))
	}
	for _, path := range []string{"grpc-unary", "http-json"} {
		fresh := p.one(path+" fresh", path, max(1, p.DoorVotes/freshShare))
		fresh.Fresh = true
		steps = append(steps, fresh)
	}
	return append(steps,
		p.bundle("grpc-batch", "grpc-batch", p.Batch, p.DoorBulk),
		p.bundle("grpc-batch of 10", "grpc-batch", 10, max(10, p.DoorBulk/10)),
		p.bundle("grpc-batch of 100", "grpc-batch", 100, max(100, p.DoorBulk/2)),
		p.bundle("bulk", "bulk", p.Batch, p.DoorBulk),
		p.floor("kafka-async", p.Floor), p.floor("redis-pipes", p.Floor),
		p.floor("read-json", p.Floor), p.floor("read-proto", p.Floor), p.floor("judge", p.Floor),
	)
}

func (p plan) wants(s step) bool { return regexp.MustCompile(p.Only).MatchString(s.Name) }

// openFor is how long an open loop lasts, in seconds.
func (p plan) openFor() float64 {
	if p.Quick {
		return 0.5
	}
	return 5
}

// wholeWay are the steps in which all take part. The floors of the log store need
// documents of the log, and come last in the first round.
func (p plan) wholeWay() []step {
	var steps []step
	for _, path := range single {
		steps = append(steps, p.one(path, path, p.Votes))
		open := p.one(path+" open", path, max(1, int(p.Rate*p.openFor())))
		open.Rate = p.Rate
		steps = append(steps, open)
	}
	for _, path := range bundled {
		steps = append(steps, p.bundle(path, path, p.Batch, p.Bulk))
		// Smaller bundles, so that there are some in the time.
		open := p.bundle(path+" open", path, 100, max(100, int(p.BulkRate*p.openFor())))
		open.Rate = p.BulkRate
		steps = append(steps, open)
	}
	return append(steps, p.floor("one-by-one", p.OneByOne), p.floor("log-many", p.Bulk), p.floor("log-one", max(1, p.Bulk/2)))
}

// acknowledged are the steps with the log store that only acknowledges.
func (p plan) acknowledged() []step {
	return []step{
		p.one("grpc-unary", "grpc-unary", p.Votes),
		p.one("http-json", "http-json", p.Votes),
		p.bundle("grpc-batch", "grpc-batch", p.Batch, p.DoorBulk),
		p.bundle("bulk", "bulk", p.Batch, p.DoorBulk),
	}
}

// loneRate is how often a lone vote is cast: seldom enough that the one before has
// long been counted.
const loneRate = 20

func (p plan) lone() step {
	s := p.one("lone vote", "grpc-unary", p.Lone)
	s.Rate = loneRate
	return s
}

func (p plan) fromZero() step {
	s := p.one("from zero", "grpc-unary", 1)
	s.Warm = 0
	return s
}

// order shuffles the steps of a round, so that what drifts meanwhile falls on all of
// them alike. In the first round they keep their order. Steps that are not wanted are
// left out.
func (p plan) order(steps []step, round int) []step {
	out := slices.DeleteFunc(slices.Clone(steps), func(s step) bool { return !p.wants(s) })
	if round > 1 {
		dice := rand.New(rand.NewPCG(p.Seed, uint64(round)))
		dice.Shuffle(len(out), func(i, k int) { out[i], out[k] = out[k], out[i] })
	}
	return out
}
