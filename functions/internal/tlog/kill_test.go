package tlog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
)

// dying is a process that is killed: from its step at on, nothing that it does
// happens any more. Steps are before and behind each call of the store.
type dying struct {
	store
	mu       sync.Mutex
	at, step int
}

var errKilled = errors.New("killed")

func (d *dying) dies() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.step++
	return d.step >= d.at
}

func (d *dying) do(step func() error) error {
	if d.dies() {
		return errKilled
	}
	err := step()
	if d.dies() {
		return errKilled
	}
	return err
}

func (d *dying) head(ctx context.Context, contest string) (h headDocument, ok bool, err error) {
	err = d.do(func() (err error) { h, ok, err = d.store.head(ctx, contest); return err })
	return h, ok, err
}

func (d *dying) batch(ctx context.Context, contest string, n int64) (b batchDocument, ok bool, err error) {
	err = d.do(func() (err error) { b, ok, err = d.store.batch(ctx, contest, n); return err })
	return b, ok, err
}

func (d *dying) boxes(ctx context.Context, contest string, n int64) (b []string, ok bool, err error) {
	err = d.do(func() (err error) { b, ok, err = d.store.boxes(ctx, contest, n); return err })
	return b, ok, err
}

func (d *dying) claimed(ctx context.Context, id string) (n int64, ok bool, err error) {
	err = d.do(func() (err error) { n, ok, err = d.store.claimed(ctx, id); return err })
	return n, ok, err
}

func (d *dying) tile(ctx context.Context, id string) (data []byte, ok bool, err error) {
	err = d.do(func() (err error) { data, ok, err = d.store.tile(ctx, id); return err })
	return data, ok, err
}

func (d *dying) claim(ctx context.Context, claims []claimDocument) (there []int, err error) {
	err = d.do(func() error {
		// An unordered insert that breaks off has written some.
		if some := claims[:len(claims)/2]; len(some) > 0 && d.dies() {
			_, _ = d.store.claim(ctx, some)
			return errKilled
		}
		there, err = d.store.claim(ctx, claims)
		return err
	})
	return there, err
}

func (d *dying) commit(ctx context.Context, b batchDocument) (ok bool, err error) {
	err = d.do(func() (err error) { ok, err = d.store.commit(ctx, b); return err })
	return ok, err
}

func (d *dying) keep(ctx context.Context, tiles []tileDocument) error {
	return d.do(func() error {
		if some := tiles[:len(tiles)/2]; len(some) > 0 && d.dies() {
			_ = d.store.keep(ctx, some)
			return errKilled
		}
		return d.store.keep(ctx, tiles)
	})
}

func (d *dying) advance(ctx context.Context, h headDocument) error {
	return d.do(func() error { return d.store.advance(ctx, h) })
}

func (d *dying) mend(ctx context.Context, tiles []tileDocument) error {
	return d.do(func() error { return d.store.mend(ctx, tiles) })
}

// A writer may be killed at any of its steps, and the next one at any of its: when
// all is sealed at last, each vote has one leaf, and all follows from the batches.
func TestKilledAtAnyStep(t *testing.T) {
	all := boxes(0, 12)
	write := func(w *Writer) error {
		for _, some := range [][]Box{full(), all[:1], all[1:2], all[2:9], all[9:]} {
			if err := sealTogether(w, some); err != nil {
				return err
			}
		}
		return nil
	}
	ways := 0
	for first, done := 1, false; !done; first++ {
		for second := 1; ; second += 1 + rand.IntN(12) {
			m := newMemory()
			d := &dying{store: m, at: first}
			err := write(newWriter(d, signer(t)))
			done = err == nil && d.step < d.at
			d = &dying{store: m, at: second}
			_ = write(newWriter(d, signer(t)))
			l := &Log{store: m}
			if err := write(NewWriter(l, signer(t))); err != nil {
				t.Fatalf("killed at %d and %d: %v", first, second, err)
			}
			audit(t, l, append(full(), all...))
			if t.Failed() {
				t.Fatalf("killed at %d and %d", first, second)
			}
			ways++
			if done || d.step < d.at {
				break
			}
		}
	}
	if ways < 200 {
		t.Errorf("only %d ways to die were tried", ways)
	}
}

// full are boxes that leave a tree a few leaves before a tile is finished.
func full() []Box {
	_, a := boxOf(1000, 250)
	return []Box{a}
}

// sealTogether seals boxes in one batch.
func sealTogether(w *Writer, boxes []Box) error {
	d := &desk{contest: contest}
	var err error
	if d.pen, err = w.signer.of(contest); err != nil {
		return err
	}
	return w.seal(d, boxes)
}

// Three writers are given the same boxes, many times, in other orders and other
// batches, and each dies now and then and is followed by a fresh one.
func TestWritersRace(t *testing.T) {
	onEach(t, func(t *testing.T, l *Log) {
		rounds := 12
		if _, ok := l.store.(*memory); ok {
			rounds = 150
		}
		all := boxes(0, rounds*10)
		for round := range rounds {
			some := all[:10*(round+1)]
			some = some[max(0, len(some)-25):]
			var group sync.WaitGroup
			for range 3 {
				at := 1 + rand.IntN(60)
				group.Go(func() {
					d := &dying{store: l.store, at: at}
					if round%3 == 0 {
						d.at = 1 << 30 // it lives
					}
					w := newWriter(d, signer(t))
					for len(some) > 0 {
						mine := shuffled(some)[:1+rand.IntN(len(some))]
						err := sealTogether(w, mine)
						if err == nil && rand.IntN(3) == 0 || errors.Is(err, errKilled) {
							return
						}
						if err != nil && !errors.Is(err, errBehind) {
							t.Errorf("round %d: %v", round, err)
							return
						}
					}
				})
			}
			group.Wait()
		}
		mustSeal(t, NewWriter(l, signer(t)), all...)
		audit(t, l, all)
	})
}

func shuffled(boxes []Box) []Box {
	out := append([]Box(nil), boxes...)
	rand.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// A batch that was claimed and never committed is claimed again, as often as that
// happens.
func TestClaimsThatCameToNothing(t *testing.T) {
	m := newMemory()
	l := &Log{store: m}
	all := boxes(0, 40)
	for n := range 30 {
		// One writer claims the box for the next batch, and ends.
		d := &dying{store: m, at: 1 << 30}
		w := newWriter(d, signer(t))
		tail, err := open(t.Context(), d, contest)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tail.claim(t.Context(), all[39:]); err != nil {
			t.Fatal(err)
		}
		// Another commits that batch without it.
		mustSeal(t, w, all[n])
	}
	if n, ok := m.sealed[claimID(contest, all[39].ID, 30)]; !ok || n != 30 {
		t.Errorf("claim 30 is of batch %d %v", n, ok)
	}
	mustSeal(t, NewWriter(l, signer(t)), all...)
	audit(t, l, all)
}

// What the store answers with an error may have happened, and the same writer goes
// on.
func TestStoreThatFailsNowAndThen(t *testing.T) {
	m := newMemory()
	l := &Log{store: m}
	all := boxes(0, 200)
	f := &dying{store: m}
	w := newWriter(f, signer(t))
	failed := 0
	for _, b := range all {
		for {
			f.mu.Lock()
			f.step, f.at = 0, 1+rand.IntN(25)
			f.mu.Unlock()
			err := w.Seal(t.Context(), b)
			if err == nil {
				break
			}
			failed++
		}
	}
	if failed < 50 {
		t.Errorf("it failed %d times", failed)
	}
	audit(t, l, all)
}

// What waits has bounds, and a writer that is closed takes nothing more.
func TestWaitingIsBounded(t *testing.T) {
	hold := &holding{store: newMemory(), entered: make(chan struct{}), goOn: make(chan struct{})}
	w := newWriter(hold, signer(t))
	all := boxes(0, maxWaiting+2)
	ends := make(chan error, len(all))
	go func() { ends <- w.Seal(t.Context(), all[0]) }()
	<-hold.entered // the first is being sealed, and those behind it wait
	for _, b := range all[1 : maxWaiting+1] {
		one := waiter{b, make(chan error, 1)}
		if err := w.take(one); err != nil {
			t.Fatal(err)
		}
		go func() { ends <- <-one.answer }()
	}
	if err := w.Seal(t.Context(), all[maxWaiting+1]); !errors.Is(err, ErrBusy) {
		t.Errorf("one too many: %v", err)
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	closing := make(chan error)
	if err := w.Close(gone); !errors.Is(err, context.Canceled) {
		t.Errorf("closed while boxes wait: %v", err)
	}
	go func() { closing <- w.Close(t.Context()) }()
	close(hold.goOn)
	for range maxWaiting + 1 {
		if err := <-ends; err != nil {
			t.Error(err)
		}
	}
	if err := <-closing; err != nil {
		t.Error(err)
	}
	if err := w.Seal(t.Context(), all[maxWaiting+1]); !errors.Is(err, ErrBusy) {
		t.Errorf("sealed after it was closed: %v", err)
	}
	audit(t, &Log{store: hold.store}, all[:maxWaiting+1])
}

// holding is a store whose first claim waits.
type holding struct {
	store
	once          sync.Once
	entered, goOn chan struct{}
}

func (h *holding) claim(ctx context.Context, claims []claimDocument) ([]int, error) {
	h.once.Do(func() { close(h.entered); <-h.goOn })
	return h.store.claim(ctx, claims)
}

// A box that cannot be one is refused before it is written.
func TestBoxesAreChecked(t *testing.T) {
	w := newWriter(newMemory(), signer(t))
	for say, b := range map[string]Box{
		"no votes": {Contest: contest, ID: "a"}, "an index below": {Contest: contest, ID: "a", Votes: []Vote{{Index: -1}}},
		"an index above": {Contest: contest, ID: "a", Votes: []Vote{{Index: 500}}}, "too many": {Contest: contest, ID: "a", Votes: make([]Vote, 501)},
	} {
		if err := w.Seal(t.Context(), b); err == nil {
			t.Error(fmt.Sprint(say, " was sealed"))
		}
	}
}
