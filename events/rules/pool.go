package rules

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"marimba/events"
)

// Bounds of the instances of a pool that rest. Nearly all take less than 200 KiB;
// the rules of a contest with a thousand bands take more.
const (
	maxIdle      = 64
	maxIdleBytes = 32 << 20
)

// source is what instances are made of, for one contest.
type source struct {
	module  func() (*module, error)
	contest *events.Contest // nil: for reading only
	failed  atomic.Pointer[failure]
}

// failure is that a source could not make an instance, or that one was cut off.
type failure struct {
	until time.Time
	err   error
}

// rest is how long a source is left alone after a failure: what loops without an
// end takes a fifth of a processor by that, and not all of it.
const rest = 2 * time.Second

func (s *source) fail(err error) {
	s.failed.Store(&failure{time.Now().Add(rest), err})
}

// rests returns an error while the source is left alone.
func (s *source) rests() error {
	if f := s.failed.Load(); f != nil && time.Now().Before(f.until) {
		return fmt.Errorf("left alone for an instant: %w", f.err)
	}
	return nil
}

// start makes an instance.
func (s *source) start() (*instance, error) {
	m, err := s.module()
	if err != nil {
		return nil, err
	}
	in, err := m.start(s.contest)
	if err != nil {
		return nil, err
	}
	in.of = s
	return in, nil
}

// pool is the instances of all contests: those at work, not more at a time than
// there are processors, and those that rest, the last that worked at the end.
type pool struct {
	mu     sync.Mutex
	change sync.Cond
	idle   []*instance
	bytes  int // of their memories
	busy   int
	most   int
}

func newPool() *pool {
	p := &pool{most: runtime.GOMAXPROCS(0)}
	p.change.L = &p.mu
	return p
}

// The house's module and the contests' own ones have a pool each, so that no
// contest's own rule keeps others waiting.
var (
	houseInstances = newPool()
	ownInstances   = newPool()
)

// take returns an instance that is at rest, or a new one. It is to be given back
// or dropped.
func (p *pool) take(s *source) (*instance, error) {
	in := p.rested(s)
	if err := s.rests(); err != nil {
		if in != nil {
			p.give(in)
		} else {
			p.leave()
		}
		return nil, err
	}
	if in != nil {
		return in, nil
	}
	in, err := s.start()
	if err != nil {
		s.fail(err)
		p.leave()
		return nil, err
	}
	return in, nil
}

// rested waits for a place and returns the instance of a source that worked
// last, or nil if none of them is at rest.
func (p *pool) rested(s *source) *instance {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.busy >= p.most {
		p.change.Wait()
	}
	p.busy++
	for i := len(p.idle) - 1; i >= 0; i-- {
		if in := p.idle[i]; in.of == s {
			p.idle = append(p.idle[:i], p.idle[i+1:]...)
			p.bytes -= int(in.memory.Size())
			return in
		}
	}
	return nil
}

// give puts an instance to rest. If that is too much, those that have rested
// longest go.
func (p *pool) give(in *instance) {
	p.mu.Lock()
	p.idle = append(p.idle, in)
	p.bytes += int(in.memory.Size())
	for len(p.idle) > maxIdle || p.bytes > maxIdleBytes {
		p.bytes -= int(p.idle[0].memory.Size())
		p.idle[0].close()
		p.idle = append(p.idle[:0], p.idle[1:]...)
	}
	p.busy--
	p.mu.Unlock()
	p.change.Signal()
}

// drop does away with an instance after an error.
func (p *pool) drop(in *instance) {
	in.close()
	p.leave()
}

func (p *pool) leave() {
	p.mu.Lock()
	p.busy--
	p.mu.Unlock()
	p.change.Signal()
}

// ask takes an instance, puts a question to it, and gives it back, unless the
// question ends with an error.
func (p *pool) ask(s *source, question func(*instance) error) error {
	in, err := p.take(s)
	if err != nil {
		return err
	}
	whole := false
	defer func() {
		if whole {
			p.give(in)
			return
		}
		p.drop(in)
	}()
	if err := question(in); err != nil {
		if errors.Is(err, errCutOff) {
			s.fail(err)
		}
		return err
	}
	whole = true
	return nil
}
