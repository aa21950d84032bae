//go:build unix

package local

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"sync"
	"time"
)

// Why a request did not reach a function.
var (
	errBusy    = errors.New("too many requests wait for the function")
	errStopped = errors.New("the system stops")
	errStart   = errors.New("the function did not start")
)

// Bounds of a revision.
const (
	maxWaiting = 4096 // requests that wait for an instance
	maxBackoff = 10 * time.Second
	minBackoff = 100 * time.Millisecond
	panicPart  = 10              // 1/10 of the window decides upwards, as in Knative's panic mode
	panicLeast = 6 * tick        // but not less than this
	soon       = 5 * time.Second // an instance that ends sooner has failed to start
)

// revision runs the instances of one service: none when nothing asks for it,
// and so many that each has about the target of requests. It is an
// http.RoundTripper: a request waits until an instance has room for it.
type revision struct {
	service
	launch    func() (*child, string, error) // starts a process; it will listen on the address
	transport http.RoundTripper
	ledger    *ledger
	log       *slog.Logger
	output    *logFile

	wake   chan struct{} // capacity 1: scale is to be considered
	done   chan struct{} // closed when the keeper has ended
	stopIt context.CancelFunc
	births sync.WaitGroup // of goroutines that start or watch an instance

	mu        sync.Mutex
	instances []*instance
	waiting   list.List // of *waiter
	inFlight  int       // in all instances
	load      meter
	quiet     time.Time // when the last request ended
	failures  int       // starts that failed, in a row
	notBefore time.Time // when the next start may be tried
	closed    bool
}

// instance is one process of a function. Its fields are guarded by its
// revision's mu.
type instance struct {
	child    *child // nil while it is being started
	address  string
	ready    bool
	leaving  bool // takes no more requests
	inFlight int
	answered bool
}

// waiter is a request that waits. It is given an instance, or an error.
type waiter struct{ given chan seat }

type seat struct {
	instance *instance
	err      error
}

// open starts the keeper of the revision.
func (r *revision) open() {
	ctx, cancel := context.WithCancel(context.Background())
	r.wake, r.done, r.stopIt = make(chan struct{}, 1), make(chan struct{}), cancel
	now := time.Now()
	r.load.reset(now)
	r.quiet = now
	r.nudge()
	go r.keep(ctx)
}

func (r *revision) nudge() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// keep considers the scale each tick while there is something to consider, and
// else sleeps until it is nudged.
func (r *revision) keep(ctx context.Context) {
	defer close(r.done)
	ticker := time.NewTicker(tick)
	ticker.Stop()
	ticking := false
	for {
		select {
		case <-ctx.Done():
			ticker.Stop()
			return
		case <-r.wake:
		case <-ticker.C:
			r.mu.Lock()
			r.load.tick(time.Now(), r.window)
			r.mu.Unlock()
		}
		busy := r.scale(time.Now())
		if busy != ticking {
			ticking = busy
			if busy {
				ticker.Reset(tick)
			} else {
				ticker.Stop()
			}
		}
	}
}

// scale starts and retires instances until there are as many as wanted. It
// says whether there is anything that may change without a nudge.
func (r *revision) scale(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	staying := 0
	for _, i := range r.instances {
		if !i.leaving {
			staying++
		}
	}
	want := r.wanted(now, staying)
	for ; staying < want && !now.Before(r.notBefore); staying++ {
		i := &instance{}
		r.instances = append(r.instances, i)
		r.births.Add(1)
		go r.bring(i)
	}
	for ; staying > want; staying-- {
		r.retire()
	}
	if len(r.instances) == 0 && r.waiting.Len() == 0 {
		r.load.reset(now)
		return want > 0 // a start that has to wait
	}
	return true
}

// wanted is the number of instances that the load asks for. Upwards the load of
// the last moments decides, downwards that of the whole window.
func (r *revision) wanted(now time.Time, staying int) int {
	instances := func(load float64) int { return int(math.Ceil(load / r.target)) }
	want := instances(r.load.over(max(r.window/panicPart, panicLeast)))
	if want < staying {
		want = min(staying, max(want, instances(r.load.over(r.window))))
	}
	switch demand := r.inFlight + r.waiting.Len(); {
	case demand > 0:
		want = max(want, 1)
	case now.Sub(r.quiet) >= r.window+r.retention:
		want = 0
	default:
		want = max(want, min(staying, 1))
	}
	return min(max(want, r.minScale), r.maxScale)
}

// retire lets the instance with the fewest requests take no more of them, and
// ends it when it has none left.
func (r *revision) retire() {
	var least *instance
	for _, i := range r.instances {
		if !i.leaving && i.ready && (least == nil || i.inFlight < least.inFlight) {
			least = i
		}
	}
	if least == nil {
		return // those that are starting are retired when they have started
	}
	least.leaving = true
	if least.inFlight == 0 {
		r.end(least)
		return
	}
	time.AfterFunc(r.timeout, func() { // a request has its time, and no more
		r.mu.Lock()
		defer r.mu.Unlock()
		r.end(least)
	})
}

// end asks an instance's process to end. The goroutine that watches it does the
// rest.
func (r *revision) end(i *instance) {
	if i.child.alive() {
		go i.child.stop(context.Background(), r.timeout)
	}
}

// acquire waits for an instance with room for one more request. The caller must
// release it.
func (r *revision) acquire(ctx context.Context) (*instance, error) {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil, errStopped
	}
	if r.waiting.Len() == 0 {
		if i := r.roomiest(); i != nil {
			r.take(i)
			r.mu.Unlock()
			return i, nil
		}
	}
	if r.waiting.Len() >= maxWaiting {
		r.mu.Unlock()
		return nil, errBusy
	}
	w := &waiter{given: make(chan seat, 1)}
	place := r.waiting.PushBack(w)
	r.measure()
	r.mu.Unlock()
	r.nudge()

	since := time.Now()
	defer func() { r.ledger.told.waited(r.name, since) }()
	select {
	case s := <-w.given:
		return s.instance, s.err
	case <-ctx.Done():
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case s := <-w.given: // it came at the same moment
		if s.instance != nil {
			r.leave(s.instance)
		}
	default:
		r.waiting.Remove(place)
		r.measure()
	}
	return nil, context.Cause(ctx)
}

// roomiest returns the instance with the fewest requests, nil if none has room.
func (r *revision) roomiest() *instance {
	var least *instance
	for _, i := range r.instances {
		if i.ready && !i.leaving && (r.concurrency == 0 || i.inFlight < r.concurrency) &&
			(least == nil || i.inFlight < least.inFlight) {
			least = i
		}
	}
	return least
}

func (r *revision) take(i *instance) {
	i.inFlight++
	r.inFlight++
	r.measure()
}

func (r *revision) measure() { r.load.set(time.Now(), r.inFlight+r.waiting.Len()) }

// seat gives instances to those who wait, first come first served.
func (r *revision) seat() {
	for r.waiting.Len() > 0 {
		i := r.roomiest()
		if i == nil {
			return
		}
		w := r.waiting.Remove(r.waiting.Front()).(*waiter)
		r.take(i)
		w.given <- seat{instance: i}
	}
}

// turnAway answers all who wait with an error.
func (r *revision) turnAway(err error) {
	for r.waiting.Len() > 0 {
		r.waiting.Remove(r.waiting.Front()).(*waiter).given <- seat{err: err}
	}
	r.measure()
}

func (r *revision) release(i *instance) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.leave(i)
}

func (r *revision) leave(i *instance) {
	i.inFlight--
	r.inFlight--
	r.measure()
	if r.inFlight == 0 {
		r.quiet = time.Now()
	}
	if i.leaving && i.inFlight == 0 {
		r.end(i)
	}
	r.seat()
}

// close lets requests that run finish within ctx, and ends all instances.
func (r *revision) close(ctx context.Context) {
	r.stopIt()
	<-r.done
	r.mu.Lock()
	r.closed = true
	r.turnAway(errStopped)
	for _, i := range r.instances {
		i.leaving = true
		switch {
		case i.child == nil: // it is killed as soon as it is there
		case i.ready:
			go i.child.stop(ctx, r.timeout)
		default:
			i.child.kill()
		}
	}
	r.mu.Unlock()
	r.births.Wait()
}

// processes lists the revision's processes.
func (r *revision) processes() []Process {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []Process
	for _, i := range r.instances {
		p := Process{Function: r.name, State: Starting, InFlight: i.inFlight}
		if i.child != nil {
			p.PID, p.Started, p.Address, p.Metrics = i.child.pid, i.child.started, i.address, i.child.metrics
		}
		switch {
		case i.leaving:
			p.State = Leaving
		case i.ready:
			p.State = Running
		}
		out = append(out, p)
	}
	return out
}

// kill kills one process of the function, as kill -9 does, and returns its pid.
func (r *revision) kill() (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, i := range r.instances {
		if i.child != nil && i.child.alive() {
			i.child.kill()
			return i.child.pid, nil
		}
	}
	return 0, fmt.Errorf("%s has no process", r.name)
}
