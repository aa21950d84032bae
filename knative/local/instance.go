//go:build unix

package local

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Bounds of an instance's start.
const (
	startTimeout = 20 * time.Second
	probeEvery   = 2 * time.Millisecond
)

// bring starts an instance, lets it take requests when it listens, and watches
// it until it ends.
func (r *revision) bring(i *instance) {
	defer r.births.Done()
	c, address, err := r.launch()
	if err != nil {
		r.lose(i, fmt.Errorf("%w: %w", errStart, err))
		return
	}
	r.mu.Lock()
	i.child, i.address = c, address
	stopping := r.closed
	r.mu.Unlock()
	if stopping {
		c.kill()
	}
	if err := await(c, address); err != nil {
		c.kill()
		<-c.exited
		r.lose(i, fmt.Errorf("%w: %w: %s", errStart, err, r.output.last()))
		return
	}
	took := time.Since(c.started)
	r.mu.Lock()
	i.ready = true
	if r.closed {
		c.kill()
	}
	r.seat()
	r.mu.Unlock()
	r.ledger.note(Event{Kind: Ready, Function: r.name, PID: c.pid, Took: took})
	r.nudge()

	<-c.exited
	r.mu.Lock()
	left := i.leaving && c.err == nil
	if left {
		r.failures = 0
	}
	r.mu.Unlock()
	if left {
		r.remove(i)
		r.ledger.note(Event{Kind: Stopped, Function: r.name, PID: c.pid, Took: time.Since(c.started)})
		r.nudge()
		return
	}
	r.lose(i, fmt.Errorf("process %d ended: %v: %s", c.pid, c.err, r.output.last()))
}

// lose takes out an instance that failed. A second start that failed turns away
// those who wait, unless another instance is there for them; the first may have
// found its port taken at the last moment. When instances fail soon after their start, one after the other, the
// pause before the next start grows.
func (r *revision) lose(i *instance, err error) {
	r.remove(i)
	r.mu.Lock()
	pid := 0
	if i.child != nil {
		pid = i.child.pid
	}
	if i.ready && time.Since(i.child.started) >= soon {
		r.failures = 0
	}
	if r.failures > 0 {
		pause := min(minBackoff<<min(r.failures, 10), maxBackoff)
		r.notBefore = time.Now().Add(pause)
	}
	r.failures++
	stopping := r.closed
	if !i.ready && r.failures > 1 && !slices.ContainsFunc(r.instances, func(o *instance) bool { return !o.leaving }) {
		r.turnAway(err)
	}
	r.mu.Unlock()
	if !stopping {
		r.log.Warn("function process failed", "function", r.name, "error", err)
		r.ledger.note(Event{Kind: Crashed, Function: r.name, PID: pid, Err: err})
	}
	r.nudge()
}

func (r *revision) remove(i *instance) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i.leaving = true
	if at := slices.Index(r.instances, i); at >= 0 {
		r.instances = slices.Delete(r.instances, at, at+1)
	}
}

// await waits until a child listens on its address.
func await(c *child, address string) error {
	limit := time.NewTimer(startTimeout)
	defer limit.Stop()
	probe := time.NewTicker(probeEvery)
	defer probe.Stop()
	for {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-c.exited:
			return fmt.Errorf("process %d ended: %v", c.pid, c.err)
		case <-limit.C:
			return fmt.Errorf("process %d does not listen after %s", c.pid, startTimeout)
		case <-probe.C:
		}
	}
}

// RoundTrip sends a request to an instance, and waits for one if need be. The
// instance is busy with it until the answer's body is closed.
func (r *revision) RoundTrip(req *http.Request) (*http.Response, error) {
	i, err := r.acquire(req.Context())
	if err != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	to := *req.URL
	to.Scheme, to.Host = "http", i.address
	out := req.WithContext(req.Context())
	out.URL = &to
	res, err := r.transport.RoundTrip(out)
	if err != nil {
		r.release(i)
		return nil, err
	}
	r.answer(i)
	res.Body = &lease{ReadCloser: res.Body, end: func() { r.release(i) }}
	return res, nil
}

// answer notes an instance's first answer.
func (r *revision) answer(i *instance) {
	r.mu.Lock()
	first := !i.answered
	i.answered = true
	r.mu.Unlock()
	if first {
		r.ledger.note(Event{Kind: Answered, Function: r.name, PID: i.child.pid, Took: time.Since(i.child.started)})
	}
}

// lease is the body of an answer; closing it ends the request.
type lease struct {
	io.ReadCloser
	end  func()
	once sync.Once
}

func (l *lease) Close() error {
	defer l.once.Do(l.end)
	return l.ReadCloser.Close()
}

// newTransport returns the connections to a function's instances: HTTP/1.1, or
// HTTP/2 without TLS for those whose port is named h2c.
func newTransport(h2c bool) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!h2c)
	protocols.SetUnencryptedHTTP2(h2c)
	return &http.Transport{
		Protocols:           protocols,
		DialContext:         (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
		MaxIdleConnsPerHost: 256,
		IdleConnTimeout:     30 * time.Second,
		DisableCompression:  true,
	}
}
