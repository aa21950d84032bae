package tlog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrBusy says that as much is waiting to be sealed as may wait.
var ErrBusy = errors.New("the public log is busy")

// Bounds of what waits, of what is sealed at once, and of how long that takes: less
// than the source's delivery timeout of 30 s, so that its error is ours to tell. A
// vote that waits takes 40 bytes. Larger batches are not faster, and who asks where a
// vote is reads its batch.
const (
	maxWaiting       = 1024
	maxWaitingLeaves = 1 << 18
	maxBoxes         = 64
	maxLeaves        = 1 << 12
	maxDesks         = 64 // contests of which the tail is kept
	sealTimeout      = 20 * time.Second
	sealAttempts     = 16 // of writers who come too late for a batch
)

// rest is how long a desk rests before the next batch when boxes wait already. A
// batch costs as much as some thousand leaves do, and nobody waits for it.
const rest = 50 * time.Millisecond

// Writer seals boxes by natural batching, for each contest by itself: while one
// batch is on its way, what arrives gathers, and leaves together when that one is
// done, and a rest longer in a rush. One lone box leaves at once. Several writers may be at work on one log.
type Writer struct {
	store   store
	signer  Signer
	running sync.WaitGroup

	mu     sync.Mutex
	desks  map[string]*desk
	boxes  int // that wait, of all desks
	leaves int
	closed bool
}

// desk is where the boxes of one contest wait.
type desk struct {
	contest string
	waiting []waiter
	running bool
	tail    *tail // of who runs
	pen     pen
}

type waiter struct {
	Box
	answer chan error // holds one
}

// NewWriter returns a writer of the log.
func NewWriter(l *Log, s Signer) *Writer { return newWriter(l.store, s) }

func newWriter(s store, signer Signer) *Writer {
	return &Writer{store: s, signer: signer, desks: make(map[string]*desk)}
}

// Seal brings a box into the log, unless it is in it, and returns when it is there
// and the head tells so. ErrBusy says that it was not taken; after any other error
// it may or may not be there, and is to be sealed again.
func (w *Writer) Seal(ctx context.Context, b Box) error {
	if err := b.check(); err != nil {
		return err
	}
	one := waiter{b, make(chan error, 1)}
	if err := w.take(one); err != nil {
		return fmt.Errorf("seal box %s: %w", b.ID, err)
	}
	select {
	case err := <-one.answer:
		if err != nil {
			return fmt.Errorf("seal box %s: %w", b.ID, err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("seal box %s: %w", b.ID, ctx.Err()) // it may still be sealed: that is no harm
	}
}

func (w *Writer) take(one waiter) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || w.boxes >= maxWaiting || w.leaves+len(one.Votes) > maxWaitingLeaves {
		return ErrBusy
	}
	d := w.desks[one.Contest]
	if d == nil {
		p, err := w.signer.of(one.Contest)
		if err != nil {
			return err
		}
		d = &desk{contest: one.Contest, pen: p}
		w.desks[one.Contest] = d
	}
	d.waiting = append(d.waiting, one)
	w.boxes++
	w.leaves += len(one.Votes)
	if !d.running {
		d.running = true
		w.running.Go(func() { w.run(d) })
	}
	return nil
}

// run seals what waits at a desk, until nothing does.
func (w *Writer) run(d *desk) {
	for batch := w.next(d); len(batch) > 0; batch = w.next(d) {
		boxes := make([]Box, len(batch))
		for i, one := range batch {
			boxes[i] = one.Box
		}
		err := w.seal(d, boxes)
		for _, one := range batch {
			one.answer <- err
		}
		if w.rushed(d) {
			time.Sleep(rest)
		}
	}
}

// rushed says whether boxes wait at a desk, and it is not the end.
func (w *Writer) rushed(d *desk) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(d.waiting) > 0 && !w.closed
}

// next takes the next batch, in the order of arrival. If there is none, the desk
// runs no more.
func (w *Writer) next(d *desk) []waiter {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, leaves := 0, 0
	for n < len(d.waiting) && n < maxBoxes && leaves+len(d.waiting[n].Votes) <= maxLeaves {
		leaves += len(d.waiting[n].Votes)
		n++
	}
	batch := d.waiting[:n:n]
	d.waiting = d.waiting[n:]
	w.boxes -= n
	w.leaves -= leaves
	if n == 0 {
		d.waiting, d.running = nil, false
		w.clear()
	}
	return batch
}

// clear gives up desks that do not run, if there are too many.
func (w *Writer) clear() {
	for contest, d := range w.desks {
		if len(w.desks) <= maxDesks {
			return
		}
		if !d.running {
			delete(w.desks, contest)
		}
	}
}

func (w *Writer) seal(d *desk, boxes []Box) error {
	ctx, cancel := context.WithTimeout(context.Background(), sealTimeout)
	defer cancel()
	var err error
	for range sealAttempts {
		if d.tail == nil {
			if d.tail, err = open(ctx, w.store, d.contest); err != nil {
				d.tail = nil
				return err
			}
		}
		if err = d.tail.seal(ctx, d.pen, boxes); err == nil {
			return nil
		}
		d.tail = nil
		if !errors.Is(err, errBehind) {
			return err
		}
	}
	return err
}

// Close returns when all that waits is sealed, or when ctx ends. Nothing is taken
// any more.
func (w *Writer) Close(ctx context.Context) error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	done := make(chan struct{})
	go func() { w.running.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("seal what waits: %w", ctx.Err())
	}
}
