package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"

	"marimba/config"
	"marimba/events"
	"marimba/events/rules"
	marimbav1 "marimba/proto/marimba/v1"
)

// floor is something that the house is built on, done by itself as fast as it goes:
// what no system on top of it can be faster than.
type floor struct {
	job job
	run func(ctx context.Context, j job) (answer, error)
}

func (f *floor) warm(context.Context) (int64, error)    { return 0, nil }
func (f *floor) do(ctx context.Context) (answer, error) { return f.run(ctx, f.job) }
func (f *floor) finish(*answer) error                   { return nil }
func (f *floor) close() error                           { return nil }
func answerIn(votes int, took time.Duration) (answer, error) {
	return answer{Accepted: int64(votes), Seconds: took.Seconds()}, nil
}

// floors by name.
var floors = map[string]func(ctx context.Context, j job) (answer, error){
	"kafka-async": produceAsync,
	"redis-pipes": incrementInPipes,
	"log-many":    func(ctx context.Context, j job) (answer, error) { return insertLog(ctx, j, true) },
	"log-one":     func(ctx context.Context, j job) (answer, error) { return insertLog(ctx, j, false) },
	"one-by-one":  oneByOne,
	"read-json":   readJSON,
	"read-proto":  readProto,
	"judge":       judge,
}

// floorTopic is where the floors of Kafka write, beside the house's topics.
const floorTopic, floorPartitions = "bench.floor", 8

// makeTopic makes a topic of the floors, unless it is there.
func makeTopic(ctx context.Context, broker, topic string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(broker))
	if err != nil {
		return fmt.Errorf("make topic %s: %w", topic, err)
	}
	defer client.Close()
	_, err = kadm.NewClient(client).CreateTopic(ctx, floorPartitions, 1, nil, topic)
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("make topic %s: %w", topic, err)
	}
	return nil
}

// openProducer is librdkafka as the doors have it: idempotent, acks=all.
func openProducer(broker string) (*kafka.Producer, error) {
	return kafka.NewProducer(&kafka.ConfigMap{
		"bootstrap.servers": broker, "acks": "all", "enable.idempotence": true,
		"queue.buffering.max.messages": 1_000_000,
	})
}

// produceAsync sends each vote as a record of its own, without waiting, and ends
// when Kafka has acknowledged all.
func produceAsync(ctx context.Context, j job) (answer, error) {
	if err := makeTopic(ctx, j.Kafka, floorTopic); err != nil {
		return answer{}, err
	}
	votes, err := newBallots(j.IDs)
	if err != nil {
		return answer{}, err
	}
	producer, err := openProducer(j.Kafka)
	if err != nil {
		return answer{}, err
	}
	defer producer.Close()
	began := time.Now()
	if err := produce(ctx, producer, floorTopic, votes, j.Votes); err != nil {
		return answer{}, err
	}
	return answerIn(j.Votes, time.Since(began))
}

// produce sends votes as records in JSON and waits for the last report.
func produce(ctx context.Context, producer *kafka.Producer, topic string, votes ballots, n int) error {
	var failed atomic.Pointer[error]
	reports := make(chan kafka.Event, 10_000)
	all := make(chan struct{})
	go func() {
		defer close(all)
		for range n {
			select {
			case report := <-reports:
				if m, ok := report.(*kafka.Message); ok && m.TopicPartition.Error != nil {
					failed.CompareAndSwap(nil, &m.TopicPartition.Error)
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	name := topic
	for i := range n {
		text, err := votes.json(i)
		if err != nil {
			return err
		}
		record := &kafka.Message{TopicPartition: kafka.TopicPartition{Topic: &name, Partition: kafka.PartitionAny}, Value: text}
		for {
			err = producer.Produce(record, reports)
			var full kafka.Error
			if !errors.As(err, &full) || full.Code() != kafka.ErrQueueFull || !sleepUntil(ctx, time.Now().Add(time.Millisecond)) {
				break
			}
		}
		if err != nil {
			return fmt.Errorf("produce: %w", err)
		}
	}
	<-all
	if err := failed.Load(); err != nil {
		return fmt.Errorf("produce: %w", *err)
	}
	return ctx.Err()
}

// pipe is how many votes go to Redis in one round trip.
const pipe = 500

// incrementInPipes counts votes as the plainest system would, two increments each,
// in pipelines.
func incrementInPipes(ctx context.Context, j job) (answer, error) {
	votes, err := newBallots(j.IDs)
	if err != nil {
		return answer{}, err
	}
	client := openRedis(j.Redis, j.Password)
	defer client.Close() //nolint:errcheck // all is answered
	began := time.Now()
	for at := 0; at < j.Votes; at += pipe {
		commands := client.Pipeline()
		for i := at; i < min(at+pipe, j.Votes); i++ {
			v := votes.vote(i)
			commands.HIncrBy(ctx, "bench:bands", v.Name, 1)
			commands.HIncrBy(ctx, "bench:albums", v.Name+" / "+v.Album, 1)
		}
		if _, err := commands.Exec(ctx); err != nil {
			return answer{}, fmt.Errorf("increment: %w", err)
		}
	}
	return answerIn(j.Votes, time.Since(began))
}

// readJSON reads votes in JSON as the HTTP doors do, in the sandbox.
func readJSON(_ context.Context, j job) (answer, error) {
	return eachVote(j, func(votes ballots, n int) (func() error, error) {
		text, err := votes.json(n)
		return func() error {
			_, no, err := rules.Read(text, true)
			if no != nil {
				return no
			}
			return err
		}, err
	})
}

// readProto reads votes in protobuf as the gRPC door does.
func readProto(_ context.Context, j job) (answer, error) {
	return eachVote(j, func(votes ballots, n int) (func() error, error) {
		text, err := proto.Marshal(votes.message(n))
		return func() error { return proto.Unmarshal(text, new(marimbav1.Vote)) }, err
	})
}

// judge asks the contest's rules, in WebAssembly, about votes that have been read.
func judge(_ context.Context, j job) (answer, error) {
	roll, err := config.Contests{}.Load()
	if err != nil {
		return answer{}, err
	}
	c, ok := roll.Contest(contest)
	if !ok {
		return answer{}, fmt.Errorf("no contest %s", contest)
	}
	r := rules.New(c)
	return eachVote(j, func(votes ballots, n int) (func() error, error) {
		of := votes.vote(n)
		v, no := new(events.Reading).Read(events.Ballot{Name: of.Name, Album: of.Album, Year: of.Year, Rank: of.Rank, ID: of.ID})
		if no != nil {
			return nil, no
		}
		v.At = time.Now()
		return func() error {
			no, err := r.Judge(&v)
			if no != nil {
				return no
			}
			return err
		}, nil
	})
}

// distinct is how many votes are made ready before a loop over them is measured.
const distinct = 1000

// eachVote does something to each of many votes, and measures the CPU of that
// alone: its seconds are those of the CPU, not of the clock.
func eachVote(j job, ready func(votes ballots, n int) (func() error, error)) (answer, error) {
	votes, err := newBallots(j.IDs)
	if err != nil {
		return answer{}, err
	}
	do := make([]func() error, distinct)
	for n := range do {
		if do[n], err = ready(votes, n); err != nil {
			return answer{}, fmt.Errorf("vote %d: %w", n, err)
		}
	}
	if err := do[0](); err != nil { // what is compiled at the first call
		return answer{}, err
	}
	runtime.GC()
	before, err := ownCPU()
	if err != nil {
		return answer{}, err
	}
	for i := range j.Votes {
		if err := do[i%distinct](); err != nil {
			return answer{}, fmt.Errorf("vote %d: %w", i, err)
		}
	}
	after, err := ownCPU()
	if err != nil {
		return answer{}, err
	}
	return answerIn(j.Votes, max(after-before, time.Microsecond))
}

// ownCPU is what this process has used.
func ownCPU() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, fmt.Errorf("ask for the CPU that was used: %w", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}
