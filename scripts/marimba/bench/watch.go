package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/redis/go-redis/v9"
)

// Keys of the counts of the contest that is voted in, which has one shard
// (functions/internal/counts).
const (
	newestKey  = "marimba:{" + contest + ":0}:newest"
	figuresKey = "marimba:{" + contest + ":0}:figures"
	tallyKey   = "marimba:{" + contest + ":0}:tally"
)

func openRedis(address, password string) *redis.Client {
	return redis.NewClient(&redis.Options{Addr: address, Password: password, Protocol: 2, DisableIdentity: true, ContextTimeoutEnabled: true})
}

// settled returns how many votes are in a final state, and how many of them are
// counted.
func settled(ctx context.Context, client *redis.Client) (final, counted int64, err error) {
	figures, err := client.HGetAll(ctx, figuresKey).Result()
	if err != nil {
		return 0, 0, fmt.Errorf("ask for the figures: %w", err)
	}
	for field, text := range figures {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("ask for the figures: %w", err)
		}
		if field == "replaced" {
			continue
		}
		final += n
		if len(field) > len(":counted") && field[len(field)-len(":counted"):] == ":counted" {
			counted += n
		}
	}
	return final, counted, nil
}

// onBoard returns how many votes the board shows.
func onBoard(ctx context.Context, client *redis.Client) (int64, error) {
	tally, err := client.HGetAll(ctx, tallyKey).Result()
	if err != nil {
		return 0, fmt.Errorf("ask for the tally: %w", err)
	}
	var sum int64
	for _, text := range tally {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("ask for the tally: %w", err)
		}
		sum += n
	}
	return sum, nil
}

// watch sees boxes become final, on the stream of newest votes: a box is on it in
// the same moment that its votes are in the figures, when the log has them. The
// stream keeps about a hundred boxes, so a watch that is starved can miss some;
// those are not in its latencies.
type watch struct {
	client *redis.Client
	cancel context.CancelFunc
	ended  chan struct{}

	mu     sync.Mutex
	seen   map[string]time.Time   // boxes that nobody has expected yet
	due    map[string][]time.Time // when the votes of a box were due
	counts *hdrhistogram.Histogram
}

// blockFor bounds how long one read of the stream waits.
const blockFor = time.Second

func openWatch(ctx context.Context, address, password string) (*watch, error) {
	w := &watch{
		client: openRedis(address, password), ended: make(chan struct{}),
		seen: map[string]time.Time{}, due: map[string][]time.Time{}, counts: newHistogram(),
	}
	last, err := w.client.XRevRangeN(ctx, newestKey, "+", "-", 1).Result()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("watch the newest votes: %w", err), w.client.Close())
	}
	from := "0"
	if len(last) > 0 {
		from = last[0].ID
	}
	ctx, w.cancel = context.WithCancel(ctx)
	go w.read(ctx, from)
	return w, nil
}

func (w *watch) close() error {
	w.cancel()
	<-w.ended
	return w.client.Close()
}

func (w *watch) read(ctx context.Context, from string) {
	defer close(w.ended)
	for ctx.Err() == nil {
		streams, err := w.client.XRead(ctx, &redis.XReadArgs{Streams: []string{newestKey, from}, Count: 1000, Block: blockFor}).Result()
		if err != nil {
			if !errors.Is(err, redis.Nil) {
				sleepUntil(ctx, time.Now().Add(10*time.Millisecond))
			}
			continue
		}
		now := time.Now()
		for _, message := range streams[0].Messages {
			from = message.ID
			text, _ := message.Values["e"].(string)
			var entry struct {
				Box string `json:"box"`
			}
			if json.Unmarshal([]byte(text), &entry) == nil {
				w.see(entry.Box, now)
			}
		}
	}
}

// see notes that a box is final.
func (w *watch) see(box string, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, due := range w.due[box] {
		record(w.counts, now.Sub(due).Microseconds())
	}
	delete(w.due, box)
	w.seen[box] = now
}

// expect notes when a vote of a box was due, once it is answered; the box may be
// final already.
func (w *watch) expect(box string, due time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if at, ok := w.seen[box]; ok {
		record(w.counts, at.Sub(due).Microseconds())
		return
	}
	w.due[box] = append(w.due[box], due)
}

func (w *watch) latencies() *hdrhistogram.Histogram {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.counts
}
