package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
)

// Bounds of the floor of the log store: documents that it takes as patterns, out
// of so many, and writes in so many a command, as tally's journal does.
const (
	patterns     = 40
	patternsOf   = 400
	logBatch     = 64
	storeTimeout = 10 * time.Second
)

func openMongo(address string) (*mongo.Client, error) {
	return mongo.Connect(options.Client().ApplyURI("mongodb://" + address + "/").
		SetServerSelectionTimeout(storeTimeout).
		SetWriteConcern(&writeconcern.WriteConcern{W: writeconcern.WCMajority, Journal: new(true)}))
}

// insertLog writes documents of the house's own log again, under other names, into
// another database of the same store: many in a command or one.
func insertLog(ctx context.Context, j job, atOnce bool) (answer, error) {
	client, err := openMongo(j.Mongo)
	if err != nil {
		return answer{}, err
	}
	defer client.Disconnect(context.WithoutCancel(ctx)) //nolint:errcheck // all is answered
	docs, votes, err := logged(ctx, client)
	if err != nil {
		return answer{}, fmt.Errorf("read the log: %w", err)
	}
	into := client.Database("bench").Collection("log-" + j.IDs)
	size := 1
	if atOnce {
		size = logBatch
	}
	written, began := 0, time.Now()
	for n := 0; written < j.Votes; {
		batch := make([]any, 0, size)
		for range size {
			doc := slices.Clone(docs[n%len(docs)])
			doc[0].Value = j.IDs + "-" + strconv.Itoa(n) // its _id
			batch = append(batch, doc)
			written += votes[n%len(docs)]
			n++
			if written >= j.Votes {
				break
			}
		}
		if atOnce {
			_, err = into.InsertMany(ctx, batch, options.InsertMany().SetOrdered(false))
		} else {
			_, err = into.InsertOne(ctx, batch[0])
		}
		if err != nil {
			return answer{}, fmt.Errorf("insert: %w", err)
		}
	}
	return answerIn(written, time.Since(began))
}

// logged returns documents of the log, the largest of some, and how many votes
// each has.
func logged(ctx context.Context, client *mongo.Client) (docs []bson.D, votes []int, err error) {
	found, err := client.Database("marimba").Collection("boxes").Find(ctx, bson.D{}, options.Find().SetLimit(patternsOf))
	if err != nil {
		return nil, nil, err
	}
	if err := found.All(ctx, &docs); err != nil {
		return nil, nil, err
	}
	count := func(doc bson.D) int {
		for _, field := range doc {
			if text, ok := field.Value.(string); ok && field.Key == "votes" {
				return strings.Count(text, "\n") + 1
			}
		}
		return 0
	}
	slices.SortFunc(docs, func(a, b bson.D) int { return cmp.Compare(count(b), count(a)) })
	docs = docs[:min(patterns, len(docs))]
	for _, doc := range docs {
		if len(doc) == 0 || doc[0].Key != "_id" || count(doc) == 0 {
			return nil, nil, errors.New("a document is not of the form that is known here")
		}
		votes = append(votes, count(doc))
	}
	if len(docs) == 0 {
		return nil, nil, errors.New("it is empty")
	}
	return docs, votes, nil
}

// oneByOne is the pipeline as the system had it that Marimba succeeds: a record of
// Kafka for each vote, and a consumer that writes it to the log and then increments
// two counts, and waits for each of the three.
func oneByOne(ctx context.Context, j job) (answer, error) {
	topic := "bench.one." + j.IDs
	if err := makeTopic(ctx, j.Kafka, topic); err != nil {
		return answer{}, err
	}
	votes, err := newBallots(j.IDs)
	if err != nil {
		return answer{}, err
	}
	client, err := openMongo(j.Mongo)
	if err != nil {
		return answer{}, err
	}
	defer client.Disconnect(context.WithoutCancel(ctx)) //nolint:errcheck // all is answered
	counts := openRedis(j.Redis, j.Password)
	defer counts.Close() //nolint:errcheck // all is answered
	producer, err := openProducer(j.Kafka)
	if err != nil {
		return answer{}, err
	}
	defer producer.Close()
	consumer, err := kafka.NewConsumer(&kafka.ConfigMap{
		"bootstrap.servers": j.Kafka, "group.id": topic, "auto.offset.reset": "earliest",
	})
	if err != nil {
		return answer{}, err
	}
	defer consumer.Close() //nolint:errcheck // all is done
	if err := consumer.SubscribeTopics([]string{topic}, nil); err != nil {
		return answer{}, err
	}
	if err := produce(ctx, producer, topic, votes, j.Votes); err != nil {
		return answer{}, err
	}
	log := client.Database("bench").Collection("one-" + j.IDs)
	var began time.Time
	for done := 0; done < j.Votes; {
		record, err := consumer.ReadMessage(time.Second)
		if ctx.Err() != nil {
			return answer{}, ctx.Err()
		}
		var none kafka.Error
		if errors.As(err, &none) && none.IsTimeout() {
			continue
		}
		if err != nil {
			return answer{}, fmt.Errorf("consume: %w", err)
		}
		if began.IsZero() { // joining the group is not what is measured
			began = time.Now()
		}
		var v vote
		if err := json.Unmarshal(record.Value, &v); err != nil {
			return answer{}, fmt.Errorf("read record: %w", err)
		}
		if _, err := log.InsertOne(ctx, v); err != nil {
			return answer{}, fmt.Errorf("insert: %w", err)
		}
		if err := counts.HIncrBy(ctx, "bench:one:bands", v.Name, 1).Err(); err != nil {
			return answer{}, fmt.Errorf("increment: %w", err)
		}
		if err := counts.HIncrBy(ctx, "bench:one:albums", v.Name+" / "+v.Album, 1).Err(); err != nil {
			return answer{}, fmt.Errorf("increment: %w", err)
		}
		done++
	}
	return answerIn(j.Votes, time.Since(began))
}
