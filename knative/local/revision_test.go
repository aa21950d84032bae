//go:build unix

package local

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// revisionOf is an open revision whose processes are puppets of a program, but
// where fault says of the n-th start, from 1 on, that it fails.
func revisionOf(t *testing.T, program, strings string, s service, fault func(n int) error) *revision {
	t.Helper()
	births := newNursery()
	t.Cleanup(births.close)
	output, err := openLog(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(output.close)
	binary := filepath.Join(binaries(t), program)
	var starts atomic.Int32
	s.name, s.namespace, s.maxScale, s.target, s.window, s.timeout = "web", "test", 2, 0.7, time.Minute, time.Minute
	r := &revision{
		service: s, transport: newTransport(false), output: output, log: testLog(t),
		ledger: &ledger{figures: map[string]Figures{}},
		launch: func() (*child, string, error) {
			if err := fault(int(starts.Add(1))); err != nil {
				return nil, "", err
			}
			port, err := freePort()
			if err != nil {
				return nil, "", err
			}
			c, err := births.start(binary, nil, append(environment(), "PORT="+strconv.Itoa(port), "STRINGS="+strings), output)
			return c, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), err
		},
	}
	r.open()
	return r
}

// ask sends a request, and returns its status or why there is none.
func ask(ctx context.Context, r *revision) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://web/", nil)
	if err != nil {
		return 0, err
	}
	res, err := r.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, err
}

// While one process serves, a second that fails to start turns nobody away: who
// waits is served when the first has room.
func TestFailedSecondStart(t *testing.T) {
	here, leave, failed := make(chan struct{}, 10), make(chan struct{}), make(chan struct{}, 100)
	strings := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		here <- struct{}{}
		<-leave
	}))
	defer strings.Close()
	r := revisionOf(t, "web", strings.URL, service{concurrency: 1}, func(n int) error {
		if n == 1 {
			return nil
		}
		failed <- struct{}{}
		return errors.New("no more processes")
	})
	defer r.close(t.Context())
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			if status, err := ask(t.Context(), r); status != 200 {
				t.Errorf("%d, %v", status, err)
			}
		})
	}
	<-here
	<-failed
	<-failed // the first of them has been dealt with
	leave <- struct{}{}
	<-here
	close(leave)
	all.Wait()
}

// A start that fails, as where another program took the port at the last moment,
// is tried again before anybody is told; one that fails again is told.
func TestStartIsTriedTwice(t *testing.T) {
	strings := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer strings.Close()
	taken := errors.New("port taken")
	for failing, want := range map[int]error{1: nil, 2: taken} {
		r := revisionOf(t, "web", strings.URL, service{}, func(n int) error {
			if n <= failing {
				return taken
			}
			return nil
		})
		defer r.close(t.Context())
		status, err := ask(t.Context(), r)
		if !errors.Is(err, want) || (want == nil && status != 200) || (want != nil && !errors.Is(err, errStart)) {
			t.Errorf("%d failed starts: %d, %v; want %v", failing, status, err, want)
		}
	}
}

// The end does not wait for a process that never listens, and tells those who
// wait for it.
func TestCloseWhileStarting(t *testing.T) {
	r := revisionOf(t, "mute", "", service{}, func(int) error { return nil })
	asked := make(chan error)
	go func() {
		_, err := ask(t.Context(), r)
		asked <- err
	}()
	for p := r.processes(); len(p) == 0 || p[0].PID == 0; p = r.processes() {
		time.Sleep(time.Millisecond) // a process that never listens makes no event
	}
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout/2)
	defer cancel()
	r.close(ctx)
	if ctx.Err() != nil {
		t.Error("the end waited for the start")
	}
	if err := <-asked; !errors.Is(err, errStopped) {
		t.Errorf("who waited is told %v, want %v", err, errStopped)
	}
	if _, err := ask(t.Context(), r); !errors.Is(err, errStopped) {
		t.Errorf("who comes after the end is told %v, want %v", err, errStopped)
	}
}

// Who no longer waits takes nobody's place, and gives back the one that he got
// at the last moment.
func TestWaitersLeave(t *testing.T) {
	r := standing("127.0.0.1:1", false)
	r.concurrency = 1
	i, err := r.acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	tired := errors.New("tired")
	left := make(chan error)
	go func() { _, err := r.acquire(ctx); left <- err }()
	got := make(chan *instance)
	go func() { i, _ := r.acquire(t.Context()); got <- i }()
	for waiting := 0; waiting < 2; {
		r.mu.Lock()
		waiting = r.waiting.Len()
		r.mu.Unlock()
	}
	cancel(tired)
	if err := <-left; !errors.Is(err, tired) {
		t.Errorf("who left is told %v", err)
	}
	r.release(i)
	if <-got != i {
		t.Error("who stayed got no place")
	}
	r.release(i)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.inFlight != 0 || i.inFlight != 0 || r.waiting.Len() != 0 || r.load.level != 0 {
		t.Errorf("%d, %d in flight, %d waiting, load %g; want nothing", r.inFlight, i.inFlight, r.waiting.Len(), r.load.level)
	}
}

// No more wait than is bounded; the rest is told at once.
func TestWaitersBounded(t *testing.T) {
	r := standing("127.0.0.1:1", false)
	r.instances = nil
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range maxWaiting {
		all.Go(func() { _, _ = r.acquire(ctx) })
	}
	for waiting := 0; waiting < maxWaiting; {
		r.mu.Lock()
		waiting = r.waiting.Len()
		r.mu.Unlock()
	}
	if _, err := r.acquire(t.Context()); !errors.Is(err, errBusy) {
		t.Errorf("%v, want %v", err, errBusy)
	}
	cancel()
	all.Wait()
}

// Upwards the load of the last moments decides, downwards that of the window;
// the bounds hold, and nothing is wanted once nothing was asked for a window.
func TestWanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := standing("", false)
		r.service = service{target: 70, maxScale: 8, window: 15 * time.Second}
		r.load.reset(time.Now())
		busy := func(requests int, d time.Duration) {
			r.inFlight = requests
			r.measure()
			for range d / tick {
				time.Sleep(tick)
				r.load.tick(time.Now(), r.window)
			}
			if requests == 0 {
				r.quiet = time.Now().Add(-d)
			}
		}
		check := func(when string, staying, want int) {
			t.Helper()
			if got := r.wanted(time.Now(), staying); got != want {
				t.Errorf("%s: %d, want %d", when, got, want)
			}
		}
		busy(1, tick)
		check("one request", 0, 1)
		busy(140, 2*time.Second)
		check("twice the target for 2 s", 1, 2)
		busy(10_000, 2*time.Second)
		check("far more than there may be", 2, 8)
		busy(10, 2*time.Second)
		check("little for 2 s: the window still remembers", 8, 8)
		busy(10, 15*time.Second)
		check("little for the window", 8, 1)
		busy(0, 14*time.Second)
		check("nothing for nearly the window", 1, 1)
		check("nothing, and no instance", 0, 0)
		busy(0, 15*time.Second)
		check("nothing for the window", 1, 0)
		r.minScale = 2
		check("nothing, but at least two", 2, 2)
	})
}

// An answer that does not begin in time is given up; one that has begun may take
// longer, but not longer than the whole request may.
func TestDoorTimes(t *testing.T) {
	for name, c := range map[string]struct {
		begin, end time.Duration // of the answer
		status     int
		body       string
		took       time.Duration
	}{
		"in time":         {time.Second, time.Second, 200, "whole", 2 * time.Second},
		"silent":          {time.Hour, 0, 504, "", 5 * time.Second},
		"begun in time":   {4 * time.Second, 20 * time.Second, 200, "whole", 24 * time.Second},
		"without an end":  {time.Second, time.Hour, 200, "", 60 * time.Second},
		"the client left": {time.Minute, 0, 0, "", time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := standing("127.0.0.1:1", false)
				r.timeout, r.startTimeout = time.Minute, 5*time.Second
				r.transport = round(func(req *http.Request) (*http.Response, error) {
					if !sleep(req.Context(), c.begin) {
						return nil, req.Context().Err()
					}
					res := says(200, "")
					res.ContentLength, res.Body = -1, &slow{ctx: req.Context(), after: c.end, text: "whole"}
					return res, nil
				})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if name == "the client left" {
					time.AfterFunc(time.Second, cancel)
				}
				start, w := time.Now(), httptest.NewRecorder()
				func() {
					defer func() { _ = recover() }() // ReverseProxy breaks an answer off by a panic
					door(r).ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
				}()
				if took := time.Since(start); took != c.took {
					t.Errorf("took %s, want %s", took, c.took)
				}
				if c.status != 0 && w.Code != c.status {
					t.Errorf("status %d, want %d", w.Code, c.status)
				}
				if c.status == 200 && w.Body.String() != c.body {
					t.Errorf("body %q, want %q", w.Body, c.body)
				}
				if r.inFlight != 0 {
					t.Errorf("%d requests are in flight at the end", r.inFlight)
				}
			})
		})
	}
}

// slow is a body that comes after a while.
type slow struct {
	ctx   context.Context
	after time.Duration
	text  string
	said  bool
}

func (s *slow) Read(p []byte) (int, error) {
	if s.said {
		return 0, io.EOF
	}
	if !sleep(s.ctx, s.after) {
		return 0, s.ctx.Err()
	}
	s.said = true
	return copy(p, s.text), nil
}

func (s *slow) Close() error { return nil }
