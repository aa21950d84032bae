package journal

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// ErrBusy says that as much is waiting to be written as may wait.
var ErrBusy = errors.New("journal is busy")

// Bounds of what waits and of what is written at once. MongoDB takes messages of
// up to 48 MB and 100,000 documents.
const (
	maxWaiting      = 256
	maxWaitingBytes = 16 << 20
	maxBatch        = 64
	maxBatchBytes   = 8 << 20
)

// store inserts documents, each unless one of its _id is there, and returns for
// each the attempt that the log now holds.
type store interface {
	insert(ctx context.Context, docs []write) []written
}

// write is a document that is to be in the log.
type write struct {
	id      string
	attempt string
	raw     bson.Raw
}

// written is how a write ended: with the attempt of the document that the log
// holds, or an error after which it may or may not be there.
type written struct {
	attempt string
	err     error
}

// writer writes to the log by natural batching: while one batch is on its way,
// what arrives gathers, and leaves together when that one is done. One lone
// document leaves at once.
type writer struct {
	store store
	wake  chan struct{} // holds one: something waits, or the writer is closed
	done  chan struct{} // closed when the writer has ended

	mu      sync.Mutex
	waiting []waiter
	bytes   int
	closed  bool
}

type waiter struct {
	write
	answer chan written // holds one
}

func newWriter(s store) *writer {
	w := &writer{store: s, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go w.run()
	return w
}

// Append writes an entry to the log and returns the attempt that the log holds:
// the entry's, or that of the same entry if it was there before. It returns when
// the entry is safe. ErrBusy says that it was not taken; after any other error
// it may or may not be there, and is to be appended again.
func (j *Journal) Append(ctx context.Context, e Entry) (string, error) {
	raw, err := e.encode()
	if err != nil {
		return "", fmt.Errorf("append %s: %w", e.ID, err)
	}
	attempt, err := j.writer.append(ctx, write{e.ID, e.Attempt, raw})
	if err != nil {
		return "", fmt.Errorf("append %s: %w", e.ID, err)
	}
	return attempt, nil
}

func (w *writer) append(ctx context.Context, doc write) (string, error) {
	one := waiter{doc, make(chan written, 1)}
	w.mu.Lock()
	if w.closed || len(w.waiting) >= maxWaiting || w.bytes+len(doc.raw) > maxWaitingBytes {
		w.mu.Unlock()
		return "", ErrBusy
	}
	w.waiting = append(w.waiting, one)
	w.bytes += len(doc.raw)
	w.mu.Unlock()
	w.ring()
	select {
	case end := <-one.answer:
		return end.attempt, end.err
	case <-ctx.Done():
		return "", ctx.Err() // it may still be written: that is no harm
	}
}

func (w *writer) ring() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *writer) run() {
	defer close(w.done)
	for range w.wake {
		for {
			batch, last := w.take()
			if len(batch) > 0 {
				w.write(batch)
				continue
			}
			if last {
				return
			}
			break
		}
	}
}

// take returns the next batch, in the order of arrival; last when nothing waits
// and nothing will.
func (w *writer) take() (batch []waiter, last bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, bytes := 0, 0
	for n < len(w.waiting) && n < maxBatch && (n == 0 || bytes+len(w.waiting[n].raw) <= maxBatchBytes) {
		bytes += len(w.waiting[n].raw)
		n++
	}
	batch = w.waiting[:n:n]
	w.waiting = w.waiting[n:]
	if len(w.waiting) == 0 {
		w.waiting = nil
	}
	w.bytes -= bytes
	return batch, w.closed && n == 0
}

func (w *writer) write(batch []waiter) {
	docs := make([]write, len(batch))
	for i, one := range batch {
		docs[i] = one.write
	}
	ctx, cancel := context.WithTimeout(context.Background(), insertTimeout)
	defer cancel()
	for i, end := range w.store.insert(ctx, docs) {
		batch[i].answer <- end
	}
}

// close ends the writer when all that waits is written, or when ctx ends.
func (w *writer) close(ctx context.Context) error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.ring()
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("write what waits: %w", ctx.Err())
	}
}
