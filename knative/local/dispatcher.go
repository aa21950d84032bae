package local

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Bounds of a dispatcher.
const (
	maxPoll     = 500         // records of one poll
	maxOpen     = 1000        // records of a partition from the first not done on; then it is paused
	maxHeld     = 2 << 20     // bytes of a partition's records that are not done; then too
	inFlight    = 10          // of a partition at once, if unordered
	commitEvery = time.Second // Knative commits every 5 s; what is not committed comes again after a crash
	stopAfter   = 5 * time.Second
)

// dispatcher runs one KafkaSource: it reads the topics as a member of the
// consumer group, sends each record's event to the function, and commits how far
// all records are done. An event is delivered at least once.
type dispatcher struct {
	postman
	client *kgo.Client
	log    *slog.Logger

	polling, waiting, sending context.Context // end in this order
	endPolling, endWaiting    context.CancelFunc
	endSending                context.CancelFunc
	loops                     sync.WaitGroup

	mu         sync.Mutex
	partitions map[place]*partition
}

type place struct {
	topic     string
	partition int32
}

// partition is a partition that this member of the group has.
type partition struct {
	waiting, sending context.Context
	end              context.CancelFunc
	records          chan *kgo.Record
	workers          sync.WaitGroup

	mu      sync.Mutex
	prefix  prefix
	held    int // bytes of the records that are not done
	epoch   int32
	unsaved bool // prefix has grown since the last commit
	paused  bool
}

// openDispatcher joins the consumer group. member is the name of this machine's
// member if it shall keep its place in the group over a restart; empty else.
func openDispatcher(brokers, member string, p postman) (*dispatcher, error) {
	d := &dispatcher{postman: p, log: p.log.With("source", p.source.name), partitions: map[place]*partition{}}
	// The client may be given partitions before NewClient returns.
	d.polling, d.endPolling = context.WithCancel(context.Background())
	d.waiting, d.endWaiting = context.WithCancel(context.Background())
	d.sending, d.endSending = context.WithCancel(context.Background())
	offset := kgo.NewOffset().AtEnd()
	if p.source.earliest {
		offset = kgo.NewOffset().AtStart()
	}
	options := []kgo.Opt{
		seeds(brokers),
		kgo.ClientID("marimba-source-" + p.source.name),
		kgo.ConsumerGroup(p.source.group),
		kgo.ConsumeTopics(p.source.topics...),
		kgo.ConsumeResetOffset(offset),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsAssigned(d.assigned),
		kgo.OnPartitionsRevoked(d.revoked),
		kgo.OnPartitionsLost(d.lost),
		kgo.SessionTimeout(10 * time.Second),
		kgo.HeartbeatInterval(time.Second),
		kgo.RebalanceTimeout(10 * time.Second),
		kgo.FetchMaxWait(time.Second),
		kgo.FetchMaxBytes(8 << 20),
		kgo.FetchMaxPartitionBytes(1 << 20),
		kgo.MetadataMinAge(100 * time.Millisecond),
	}
	if member != "" {
		options = append(options, kgo.InstanceID(member+"-"+p.source.name))
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return nil, fmt.Errorf("open source %s: %w", p.source.name, err)
	}
	d.client = client
	d.loops.Add(2)
	go d.poll()
	go d.commitNowAndThen()
	return d, nil
}

// close takes no more records, lets those on their way end for a while, and
// commits. What is not done comes again at the next start.
func (d *dispatcher) close(ctx context.Context) error {
	d.endPolling()
	d.endWaiting()
	limit, cancel := context.WithTimeout(ctx, stopAfter)
	stop := context.AfterFunc(limit, d.endSending)
	d.loops.Wait()
	for _, p := range d.all() {
		p.workers.Wait()
	}
	stop()
	cancel()
	d.endSending()
	err := d.commit(ctx)
	d.client.CloseAllowingRebalance()
	return err
}

// poll hands records to their partitions' workers.
func (d *dispatcher) poll() {
	defer d.loops.Done()
	for {
		fetches := d.client.PollRecords(d.polling, maxPoll)
		if d.polling.Err() != nil || fetches.IsClientClosed() {
			return
		}
		fetches.EachError(func(topic string, partition int32, err error) {
			d.log.Warn("fetch", "topic", topic, "partition", partition, "error", err)
		})
		fetches.EachPartition(func(f kgo.FetchTopicPartition) {
			if len(f.Records) > 0 {
				d.take(place{f.Topic, f.Partition}, f.Records)
			}
		})
		d.client.AllowRebalance()
	}
}

func (d *dispatcher) take(at place, records []*kgo.Record) {
	d.mu.Lock()
	p := d.partitions[at]
	d.mu.Unlock()
	if p == nil {
		return // taken from us meanwhile; the group's next member reads them
	}
	p.mu.Lock()
	for _, rec := range records {
		p.prefix.begin(rec.Offset)
		p.held += len(rec.Value)
		p.epoch = rec.LeaderEpoch
	}
	if (p.prefix.size() >= maxOpen || p.held >= maxHeld) && !p.paused {
		p.paused = true
		d.client.PauseFetchPartitions(map[string][]int32{at.topic: {at.partition}})
	}
	p.mu.Unlock()
	for _, rec := range records {
		select {
		case p.records <- rec:
		case <-p.waiting.Done():
			return
		}
	}
}

// work delivers records of a partition until that is taken away.
func (d *dispatcher) work(at place, p *partition) {
	defer p.workers.Done()
	for p.waiting.Err() == nil {
		select {
		case <-p.waiting.Done():
		case rec := <-p.records:
			if d.deliver(p.waiting, p.sending, rec) {
				d.done(at, p, rec)
			}
		}
	}
}

func (d *dispatcher) done(at place, p *partition, rec *kgo.Record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held -= len(rec.Value)
	if p.prefix.end(rec.Offset) {
		p.unsaved = true
	}
	if p.paused && p.prefix.size() < maxOpen/2 && p.held < maxHeld/2 {
		p.paused = false
		d.client.ResumeFetchPartitions(map[string][]int32{at.topic: {at.partition}})
	}
}
