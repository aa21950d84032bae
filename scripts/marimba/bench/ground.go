package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"marimba/events"
	"marimba/scripts/marimba/house"
)

// Bounds of the wait until all votes of a step are counted.
const (
	countTimeout = 15 * time.Minute
	countEvery   = 5 * time.Millisecond
	sealedEvery  = 100 * time.Millisecond
)

// ground is real parts, with the house or single functions on them.
type ground struct {
	bin    string
	parts  *house.Parts
	store  *server // the log store that only acknowledges; nil: FerretDB
	house  *house.House
	doors  map[string]*server // functions that run by themselves, and servers that do nothing
	redis  *redis.Client
	admin  *kadm.Client
	client *kgo.Client

	stands   bool  // the house does
	accepted int64 // votes that were answered with a promise
	unsure   int64 // votes that were sent and not answered
}

// openGround starts parts in an empty folder. The house is not started yet. What it
// returns is to be closed, also with an error.
func openGround(ctx context.Context, bin, folder string, acknowledging bool) (*ground, error) {
	g := &ground{bin: bin, doors: map[string]*server{}, parts: &house.Parts{}}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return g, err
	}
	ferret := bin
	if acknowledging {
		ferret = ""
	}
	var err error
	if g.parts, err = house.OpenParts(ctx, ferret, folder); err != nil {
		return g, err
	}
	if acknowledging {
		if g.store, err = serveSelf(ctx, "log-store"); err != nil {
			return g, err
		}
	}
	g.redis = openRedis(g.parts.Redis.Address, g.parts.Redis.Password)
	if g.client, err = kgo.NewClient(kgo.SeedBrokers(g.parts.Kafka.Address)); err != nil {
		return g, err
	}
	g.admin = kadm.NewClient(g.client)
	g.house = g.parts.On(bin, folder, g.parts.Redis.Address, g.mongo())
	return g, nil
}

// mongo is the address of the log store.
func (g *ground) mongo() string {
	if g.store != nil {
		return g.store.address
	}
	return g.parts.Mongo.Address
}

func (g *ground) startHouse(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err := g.house.Start(ctx)
	g.stands = err == nil
	return err
}

func (g *ground) stopHouse() {
	if g.stands {
		g.house.Stop()
		g.stands = false
	}
}

func (g *ground) close() error {
	g.stopHouse()
	err := g.stopDoors()
	if g.store != nil {
		err = errors.Join(err, g.store.stop())
	}
	if g.redis != nil {
		err = errors.Join(err, g.redis.Close())
	}
	if g.client != nil {
		g.client.Close()
	}
	return errors.Join(err, g.parts.Close())
}

// openDoors starts the doors by themselves, and beside them the servers that do
// nothing.
func (g *ground) openDoors(ctx context.Context) error {
	// Go may use as much memory as the manifests let it.
	env := []string{"GOMEMLIMIT=192MiB", "KAFKA_BROKER=" + g.parts.Kafka.Address, "VOTER_SECRET=" + g.parts.Redis.Password,
		"RECEIPT_SECRET=" + g.parts.Redis.Password, "LOG_LEVEL=warn"}
	var err error
	if g.doors["ingress-grpc"], err = serveFunction(ctx, g.bin, "ingress-grpc", env...); err != nil {
		delete(g.doors, "ingress-grpc")
		return err
	}
	env = append(env, "GRPC_TARGET="+g.doors["ingress-grpc"].address)
	if g.doors["ingress-http"], err = serveFunction(ctx, g.bin, "ingress-http", env...); err != nil {
		delete(g.doors, "ingress-http")
		return err
	}
	for _, name := range []string{"no-op-grpc", "no-op-http"} {
		if g.doors[name], err = serveSelf(ctx, name); err != nil {
			delete(g.doors, name)
			return err
		}
	}
	return nil
}

func (g *ground) stopDoors() error {
	var errs []error
	for _, name := range []string{"ingress-http", "ingress-grpc", "no-op-http", "no-op-grpc"} {
		if door, ok := g.doors[name]; ok {
			errs = append(errs, door.stop())
			delete(g.doors, name)
		}
	}
	return errors.Join(errs...)
}

// address is where a step's requests go.
func (g *ground) address(s step) string {
	overGRPC := strings.HasPrefix(s.Path, "grpc-") && s.Path != "grpc-front"
	door, of := "ingress-http", g.house.At.HTTP
	if overGRPC {
		door, of = "ingress-grpc", g.house.At.GRPC
	}
	if s.NoOp {
		door = strings.Replace(door, "ingress", "no-op", 1)
	}
	if at, ok := g.doors[door]; ok {
		return "http://" + at.address
	}
	return of
}

// Names of what is measured that is no function.
const (
	generator = "generator"
	standIn   = "gateway and dispatchers"
	logStore  = "log store"
	conductor = "bench"
)

// members are all processes of the ground, and a worker.
func (g *ground) members(w *worker) crew {
	c := crew{"kafka": {g.parts.Kafka.PID()}, "redis": {g.parts.Redis.PID()}, conductor: {os.Getpid()}}
	if w != nil {
		c[generator] = []int{w.pid()}
	}
	if g.store != nil {
		c[logStore] = []int{g.store.pid()}
	} else {
		c[logStore] = []int{g.parts.Mongo.PID()}
	}
	for name, door := range g.doors {
		c[name] = []int{door.pid()}
	}
	if g.stands {
		c[standIn] = []int{g.house.PID()}
		for name, pids := range g.house.Functions() {
			c[name] = append(c[name], pids...)
		}
	}
	return c
}

// measured is what came of one step in one round.
type measured struct {
	Ground string  `json:"ground"`
	Step   string  `json:"step"`
	Round  int     `json:"round"`
	Votes  int64   `json:"votes"`            // accepted
	Failed int64   `json:"failed,omitempty"` // requests
	First  string  `json:"first_failure,omitempty"`
	Took   float64 `json:"answered_after_s"`
	Until  float64 `json:"counted_after_s,omitempty"`
	used
	Kafka   int64  `json:"kafka_bytes"`
	Redis   int64  `json:"redis_bytes"`
	Boxes   int64  `json:"boxes,omitempty"` // that the votes were cast in
	Durable []byte `json:"durable_hdr,omitempty"`
	Counted []byte `json:"counted_hdr,omitempty"`
}

// job is what a worker is told for a step.
func (g *ground) job(s step, ids string) job {
	return job{
		Path: s.Path, Floor: s.Floor, IDs: ids, Batch: s.Batch, AtOnce: s.AtOnce, Rate: s.Rate,
		Votes: s.Votes, Warm: s.Warm, Fresh: s.Fresh,
		Kafka: g.parts.Kafka.Address, Redis: g.parts.Redis.Address, Password: g.parts.Redis.Password, Mongo: g.mongo(),
		Watch: g.stands && s.Path != "",
	}
}

// measure does a step. With the house standing it waits until all is counted.
func (g *ground) measure(ctx context.Context, name string, s step, round int, ids string) (m measured, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s, %s, round %d: %w", name, s.Name, round, err)
		}
	}()
	m = measured{Ground: name, Step: s.Name, Round: round}
	j := g.job(s, ids)
	if s.Path != "" {
		j.Address = g.address(s)
	}
	counts := g.stands && s.Path != "" && !s.NoOp
	before := int64(0)
	if counts {
		if before, _, err = settled(ctx, g.redis); err != nil {
			return m, err
		}
	}
	w, err := hire(ctx, j)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, w.stop()) }()
	if !s.NoOp {
		g.accepted += w.warmed
	}
	if counts && w.warmed > 0 {
		if err := g.await(ctx, before+w.warmed); err != nil {
			return m, err
		}
	}
	was, err := g.sizes(ctx)
	if err != nil {
		return m, err
	}
	meter := startMeter(func() crew { return g.members(w) })
	began := time.Now()
	a, err := w.tell("go")
	if err == nil && !s.NoOp && s.Path != "" {
		g.accepted += a.Accepted
		g.unsure += a.Failed * int64(max(1, s.Batch))
		if counts {
			err = g.await(ctx, before+w.warmed+a.Accepted)
			m.Until = time.Since(began).Seconds()
			if err == nil { // what sealing costs is of these votes, and not of the next step's
				err = g.awaitSealed(ctx)
			}
		}
	}
	m.used = meter.stop()
	if err != nil {
		return m, err
	}
	if a.Accepted == 0 {
		return m, fmt.Errorf("nothing was accepted: %s", a.First)
	}
	m.Votes, m.Failed, m.First, m.Took = a.Accepted, a.Failed, a.First, a.Seconds
	grown, err := g.sizes(ctx)
	if err != nil {
		return m, err
	}
	m.grow(was, grown)
	end, err := w.tell("end")
	m.Durable, m.Counted = end.Durable, end.Counted
	return m, err
}

// await waits until so many votes are in a final state.
func (g *ground) await(ctx context.Context, votes int64) error {
	ctx, cancel := context.WithTimeout(ctx, countTimeout)
	defer cancel()
	for {
		final, _, err := settled(ctx, g.redis)
		if err == nil && final >= votes {
			return nil
		}
		if !sleepUntil(ctx, time.Now().Add(countEvery)) {
			return fmt.Errorf("wait until %d votes are counted, of which %d are: %w", votes, final, errors.Join(err, ctx.Err()))
		}
	}
}

// awaitSealed waits until notary has nothing left to seal, as far as it has told
// Kafka. No vote's time counts it.
func (g *ground) awaitSealed(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, countTimeout)
	defer cancel()
	group := events.GroupOf("notary")
	for {
		lags, err := g.admin.Lag(ctx, group)
		if err == nil {
			lag := lags[group]
			if err = lag.Error(); err == nil && lag.Lag.Total() == 0 {
				return nil
			}
		}
		if !sleepUntil(ctx, time.Now().Add(sealedEvery)) {
			return fmt.Errorf("wait until counted votes are sealed: %w", errors.Join(err, ctx.Err()))
		}
	}
}

// sizes are how much there is.
type sizes struct {
	kafka int64 // bytes of the house's topics
	redis int64 // bytes, altogether
	boxes int64 // that were cast
}

func (m *measured) grow(from, to sizes) {
	m.Kafka, m.Redis, m.Boxes = to.kafka-from.kafka, to.redis-from.redis, to.boxes-from.boxes
}

func (g *ground) sizes(ctx context.Context) (s sizes, err error) {
	dirs, err := g.admin.DescribeAllLogDirs(ctx, nil)
	if err != nil {
		return s, fmt.Errorf("ask Kafka for sizes: %w", err)
	}
	dirs.Each(func(dir kadm.DescribedLogDir) {
		dir.Topics.Each(func(p kadm.DescribedLogDirPartition) {
			if slices.Contains(events.Topics, events.Topic(p.Topic)) {
				s.kafka += p.Size
			}
		})
	})
	ends, err := g.admin.ListEndOffsets(ctx, string(events.VotesCast))
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return s, fmt.Errorf("ask Kafka for offsets: %w", err)
	}
	ends.Each(func(o kadm.ListedOffset) { s.boxes += o.Offset })
	info, err := g.redis.Info(ctx, "memory").Result()
	if err != nil {
		return s, fmt.Errorf("ask Redis for its size: %w", err)
	}
	_, rest, _ := strings.Cut(info, "used_memory:")
	line, _, _ := strings.Cut(rest, "\r\n")
	if s.redis, err = strconv.ParseInt(line, 10, 64); err != nil {
		return s, fmt.Errorf("ask Redis for its size: %w", err)
	}
	return s, nil
}

// folderOf is where a ground has its data.
func folderOf(folder, name string) string {
	return filepath.Join(folder, strings.ReplaceAll(name, " ", "-"))
}
