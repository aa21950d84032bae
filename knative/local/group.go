package local

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// commitTimeout bounds one commit.
const commitTimeout = 5 * time.Second

// offsets are what is to be committed: by topic and partition, the offset up to
// which all is done.
type offsets map[string]map[int32]kgo.EpochOffset

// claim adds the partition's prefix to what is to be committed, if it has grown.
func (p *partition) claim(at place, to offsets) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.unsaved {
		return
	}
	p.unsaved = false
	if to[at.topic] == nil {
		to[at.topic] = map[int32]kgo.EpochOffset{}
	}
	to[at.topic][at.partition] = kgo.EpochOffset{Epoch: p.epoch, Offset: p.prefix.first}
}

// commitNowAndThen commits until the dispatcher is closed.
func (d *dispatcher) commitNowAndThen() {
	defer d.loops.Done()
	for sleep(d.polling, commitEvery) {
		if err := d.commit(d.polling); err != nil && d.polling.Err() == nil {
			d.log.Warn("commit", "error", err)
		}
	}
}

// commit commits the prefixes that have grown. Those that could not be committed
// are tried again the next time.
func (d *dispatcher) commit(ctx context.Context) error {
	grown := offsets{}
	d.mu.Lock()
	partitions := maps.Clone(d.partitions)
	d.mu.Unlock()
	for at, p := range partitions {
		p.claim(at, grown)
	}
	err := d.save(ctx, grown)
	if err != nil {
		for at, p := range partitions {
			if _, claimed := grown[at.topic][at.partition]; claimed {
				p.mu.Lock()
				p.unsaved = true
				p.mu.Unlock()
			}
		}
	}
	return err
}

// save commits offsets, and returns an error unless the broker took each.
func (d *dispatcher) save(ctx context.Context, to offsets) error {
	if len(to) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	var failed error
	d.client.CommitOffsetsSync(ctx, to, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, res *kmsg.OffsetCommitResponse, err error) {
		if err != nil {
			failed = err
			return
		}
		for _, t := range res.Topics {
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					failed = errors.Join(failed, fmt.Errorf("%s/%d: %w", t.Topic, p.Partition, err))
				}
			}
		}
	})
	if failed == nil {
		failed = ctx.Err()
	}
	return failed
}

// assigned starts the workers of partitions that the group gave us.
func (d *dispatcher) assigned(_ context.Context, _ *kgo.Client, given map[string][]int32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	workers := inFlight
	if d.source.ordered {
		workers = 1
	}
	for topic, numbers := range given {
		for _, number := range numbers {
			at := place{topic, number}
			p := &partition{records: make(chan *kgo.Record, maxOpen+maxPoll)}
			var endWaiting, endSending context.CancelFunc
			p.waiting, endWaiting = context.WithCancel(d.waiting)
			p.sending, endSending = context.WithCancel(d.sending)
			p.end = func() { endWaiting(); endSending() }
			d.partitions[at] = p
			p.workers.Add(workers)
			for range workers {
				go d.work(at, p)
			}
		}
	}
}

// revoked ends the work on partitions that the group takes away, and commits
// what was done.
func (d *dispatcher) revoked(ctx context.Context, _ *kgo.Client, taken map[string][]int32) {
	if err := d.save(ctx, d.drop(taken)); err != nil {
		d.log.Warn("commit of revoked partitions", "error", err)
	}
}

// lost ends the work on partitions that are no longer ours: nothing can be
// committed.
func (d *dispatcher) lost(_ context.Context, _ *kgo.Client, taken map[string][]int32) { d.drop(taken) }

// drop forgets partitions when their workers have ended, and returns what is
// left to be committed of them.
func (d *dispatcher) drop(taken map[string][]int32) offsets {
	left := offsets{}
	for topic, numbers := range taken {
		for _, number := range numbers {
			at := place{topic, number}
			d.mu.Lock()
			p := d.partitions[at]
			delete(d.partitions, at)
			d.mu.Unlock()
			if p == nil {
				continue
			}
			p.end()
			p.workers.Wait()
			p.claim(at, left)
			d.client.ResumeFetchPartitions(map[string][]int32{topic: {number}})
		}
	}
	return left
}

// all are the partitions that this member has.
func (d *dispatcher) all() []*partition {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Collect(maps.Values(d.partitions))
}
