package journal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// slowStore holds each batch until it is let go.
type slowStore struct {
	mu      sync.Mutex
	batches [][]write
	enter   chan struct{}
	leave   chan error
}

func newSlowStore() *slowStore {
	return &slowStore{enter: make(chan struct{}, 1000), leave: make(chan error)}
}

func (s *slowStore) insert(_ context.Context, docs []write) []written {
	s.mu.Lock()
	s.batches = append(s.batches, docs)
	s.mu.Unlock()
	s.enter <- struct{}{}
	err := <-s.leave
	ends := make([]written, len(docs))
	for i, d := range docs {
		ends[i] = written{d.attempt, err}
	}
	return ends
}

func doc(id string, size int) write {
	return write{id: id, attempt: "of " + id, raw: make(bson.Raw, size)}
}

// What arrives while a batch is on its way leaves together when it is done, in
// the order of arrival; a lone document leaves at once.
func TestNaturalBatching(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlowStore()
		w := newWriter(s)
		var appending sync.WaitGroup
		add := func(id string) {
			appending.Go(func() {
				if got, err := w.append(t.Context(), doc(id, 100)); err != nil || got != "of "+id {
					t.Errorf("%s: %q, %v", id, got, err)
				}
			})
			synctest.Wait()
		}
		add("first")
		for n := range maxBatch + 10 {
			add(fmt.Sprint(n))
		}
		for range 3 {
			s.leave <- nil
		}
		appending.Wait()
		var sizes []int
		for _, b := range s.batches {
			sizes = append(sizes, len(b))
		}
		if fmt.Sprint(sizes) != fmt.Sprint([]int{1, maxBatch, 10}) {
			t.Errorf("batches of %v", sizes)
		}
		if s.batches[1][0].id != "0" || s.batches[2][9].id != fmt.Sprint(maxBatch+9) {
			t.Error("documents are out of order")
		}
		if err := w.close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// No more waits than may, by number or by bytes: the rest is told to come again.
// A batch is bounded in bytes too.
func TestWriterIsBounded(t *testing.T) {
	for name, size := range map[string]int{"number": 10, "bytes": 1 << 20} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSlowStore()
				w := newWriter(s)
				most := min(maxWaiting, maxWaitingBytes/size)
				var appending sync.WaitGroup
				taken := 0
				var mu sync.Mutex
				for n := range 2*most + 1 {
					appending.Go(func() {
						_, err := w.append(t.Context(), doc(fmt.Sprint(n), size))
						mu.Lock()
						defer mu.Unlock()
						if err == nil {
							taken++
						} else if !errors.Is(err, ErrBusy) {
							t.Error(err)
						}
					})
					synctest.Wait()
				}
				batches := 1 + (most+min(maxBatch, maxBatchBytes/size)-1)/min(maxBatch, maxBatchBytes/size)
				for range batches {
					s.leave <- nil
				}
				appending.Wait()
				if taken != most+1 { // one was on its way
					t.Errorf("%d were taken, want %d", taken, most+1)
				}
				if len(s.batches) != batches {
					t.Errorf("%d batches, want %d", len(s.batches), batches)
				}
				if err := w.close(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A failed batch is an error for all in it, and the next goes on.
func TestWriterGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlowStore()
		w := newWriter(s)
		away := errors.New("away")
		for _, want := range []error{away, nil, away} {
			go func() { s.leave <- want }()
			if _, err := w.append(t.Context(), doc("a", 1)); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		}
		if err := w.close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Closing writes what waits, takes nothing new, and does not wait longer than it
// is let. A caller that goes away does not disturb the rest.
func TestWriterCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlowStore()
		w := newWriter(s)
		gone, leave := context.WithCancel(t.Context())
		var appending sync.WaitGroup
		appending.Go(func() {
			if _, err := w.append(gone, doc("gone", 1)); !errors.Is(err, context.Canceled) {
				t.Errorf("one that left: %v", err)
			}
		})
		synctest.Wait()
		appending.Go(func() {
			if _, err := w.append(t.Context(), doc("stays", 1)); err != nil {
				t.Errorf("one that waits: %v", err)
			}
		})
		synctest.Wait()
		leave()
		synctest.Wait()

		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := w.close(ended); !errors.Is(err, context.Canceled) {
			t.Errorf("close without time: %v", err)
		}
		if _, err := w.append(t.Context(), doc("late", 1)); !errors.Is(err, ErrBusy) {
			t.Errorf("one that is late: %v", err)
		}
		closed := make(chan error, 1)
		go func() { closed <- w.close(t.Context()) }()
		s.leave <- nil
		s.leave <- nil
		if err := <-closed; err != nil {
			t.Error(err)
		}
		appending.Wait()
		if n := len(s.batches); n != 2 {
			t.Errorf("%d batches, want 2", n)
		}
	})
}
