package publish

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"marimba/events"
)

// shipment is a box on its way to Kafka.
type shipment struct {
	box    events.Box
	bytes  int
	report chan error
}

// pier is a sender whose shipments wait for their reports.
type pier struct {
	mu   sync.Mutex
	left []*shipment
}

func (p *pier) Send(ctx context.Context, evs ...event.Event) error {
	if len(evs) != 1 || evs[0].Type() != events.TypeCast || evs[0].Source() != "/marimba/ingress" {
		panic(fmt.Sprintf("not one cast box: %v", evs))
	}
	box, err := events.BoxOf(evs[0])
	if err != nil {
		panic(err)
	}
	s := &shipment{box, len(evs[0].Data()), make(chan error)}
	p.mu.Lock()
	p.left = append(p.left, s)
	p.mu.Unlock()
	select {
	case err := <-s.report:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
}

// take waits until nothing moves, and returns the shipments that have left since.
func (p *pier) take() []*shipment {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	left := p.left
	p.left = nil
	return left
}

// rested is take after the longest rest.
func (p *pier) rested() []*shipment {
	time.Sleep(maxRest)
	return p.take()
}

// sizes are the votes of each shipment.
func sizes(ss []*shipment) string {
	var n []int
	for _, s := range ss {
		n = append(n, len(s.box.Votes))
	}
	return fmt.Sprint(n)
}

// answer is what a call of Cast came to.
type answer struct {
	votes    []events.Vote
	receipts []Receipt
	err      error
}

func votes(n int, name string) []events.Vote {
	out := make([]events.Vote, n)
	for i := range out {
		out[i] = events.Vote{Name: fmt.Sprint(name, " ", i), Album: "Album", Year: 2001, Rank: 100}
	}
	return out
}

// casting calls Cast in a goroutine of its own, and waits until it waits.
func casting(ctx context.Context, c *Caster, contest string, channel events.Channel, vs []events.Vote) chan answer {
	done := make(chan answer, 1)
	go func() {
		receipts, err := c.Cast(ctx, contest, channel, vs)
		done <- answer{vs, receipts, err}
	}()
	synctest.Wait()
	return done
}

// onPier runs a test of a caster in a bubble, in which time stands still while
// anything can move.
func onPier(t *testing.T, test func(t *testing.T, p *pier, c *Caster)) {
	synctest.Test(t, func(t *testing.T) {
		p := new(pier)
		test(t, p, NewCaster(p, "ingress", 10*time.Second))
	})
}

// A lone vote waits for nobody, and has a receipt that names its box and place.
func TestLoneVoteLeavesAtOnce(t *testing.T) {
	onPier(t, func(t *testing.T, p *pier, c *Caster) {
		start := time.Now()
		done := casting(t.Context(), c, "rock", events.ByHTTP, votes(1, "A"))
		left := p.take()
		if len(left) != 1 || len(left[0].box.Votes) != 1 || time.Since(start) != 0 {
			t.Fatalf("boxes %s left after %v", sizes(left), time.Since(start))
		}
		box := left[0].box
		if box.Contest != "rock" || box.Channel != events.ByHTTP {
			t.Errorf("box is %+v", box)
		}
		left[0].report <- nil
		got := <-done
		want := Receipt{ID: got.votes[0].ID, Receipt: box.ID + ".0", At: box.Votes[0].At}
		if got.err != nil || len(got.receipts) != 1 || got.receipts[0] != want || !events.IsID(want.ID) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

// Votes that come while a box is on its way wait for its report, and leave
// together; those of another contest or channel do not wait for it.
func TestVotesGatherWhileABoxIsOnItsWay(t *testing.T) {
	onPier(t, func(t *testing.T, p *pier, c *Caster) {
		first := casting(t.Context(), c, "rock", events.ByHTTP, votes(1, "A"))
		way := p.take()
		var waiting []chan answer
		for i := range 10 {
			waiting = append(waiting, casting(t.Context(), c, "rock", events.ByHTTP, votes(3, fmt.Sprint("B", i))))
		}
		if left := p.take(); len(left) != 0 {
			t.Fatalf("boxes %s did not wait", sizes(left))
		}
		other := casting(t.Context(), c, "jazz", events.ByHTTP, votes(2, "C"))
		same := casting(t.Context(), c, "rock", events.ByGRPC, votes(4, "D"))
		others := p.take()
		if sizes(others) != "[2 4]" {
			t.Fatalf("of other lanes %s left", sizes(others))
		}
		way[0].report <- nil
		left := p.take()
		if sizes(left) != "[30]" {
			t.Fatalf("after the report %s left", sizes(left))
		}
		for _, s := range append(left, others...) {
			s.report <- nil
		}
		for _, done := range append(waiting, first, other, same) {
			if got := <-done; got.err != nil {
				t.Error(got.err)
			}
		}
	})
}

// In a rush votes rest before they leave, for as long as the last box had votes
// beside its first: then those that came meanwhile share a box.
func TestVotesRestInARush(t *testing.T) {
	onPier(t, func(t *testing.T, p *pier, c *Caster) {
		casting(t.Context(), c, "rock", events.ByHTTP, votes(8, "A"))
		p.take()[0].report <- nil
		began := time.Now()
		for _, name := range []string{"B", "C", "D"} {
			casting(t.Context(), c, "rock", events.ByHTTP, votes(2, name))
			if left := p.take(); len(left) != 0 {
				t.Fatalf("boxes %s did not rest", sizes(left))
			}
			time.Sleep(2 * restPerVote)
		}
		if left := p.take(); len(left) != 0 {
			t.Fatalf("boxes %s left after %v", sizes(left), time.Since(began))
		}
		time.Sleep(restPerVote)
		left := p.take()
		if sizes(left) != "[6]" || time.Since(began) != 7*restPerVote {
			t.Fatalf("boxes %s left after %v", sizes(left), time.Since(began))
		}
		left[0].report <- nil
		casting(t.Context(), c, "rock", events.ByHTTP, votes(1, "E"))
		time.Sleep(maxRest)
		p.take()[0].report <- nil
		casting(t.Context(), c, "rock", events.ByHTTP, votes(1, "F")) // after a box of one
		left = p.take()
		if sizes(left) != "[1]" {
			t.Fatalf("a vote after a lone one: %s left", sizes(left))
		}
		left[0].report <- nil
	})
}

// A rest ends after maxRest, and at once when there are votes enough that a box is
// worth its cost.
func TestRestIsBounded(t *testing.T) {
	onPier(t, func(t *testing.T, p *pier, c *Caster) {
		casting(t.Context(), c, "rock", events.ByHTTP, votes(400, "A"))
		p.take()[0].report <- nil
		began := time.Now()
		casting(t.Context(), c, "rock", events.ByHTTP, votes(worthwhile-1, "B"))
		if left := p.take(); len(left) != 0 {
			t.Fatalf("boxes %s did not rest", sizes(left))
		}
		casting(t.Context(), c, "rock", events.ByHTTP, votes(1, "C"))
		left := p.take()
		if sizes(left) != fmt.Sprint([]int{worthwhile}) || time.Since(began) != 0 {
			t.Fatalf("boxes %s left after %v", sizes(left), time.Since(began))
		}
		left[0].report <- nil
		casting(t.Context(), c, "rock", events.ByHTTP, votes(1, "D"))
		time.Sleep(maxRest)
		left = p.take()
		if sizes(left) != "[1]" || time.Since(began) != maxRest {
			t.Fatalf("boxes %s left after %v", sizes(left), time.Since(began))
		}
		left[0].report <- nil
	})
}

// Who casts one vote after the other never waits but for Kafka.
func TestOneAfterTheOtherNeverRests(t *testing.T) {
	onPier(t, func(t *testing.T, p *pier, c *Caster) {
		began := time.Now()
		for range 10 {
			done := casting(t.Context(), c, "rock", events.ByHTTP, votes(1, "A"))
			left := p.take()
			if sizes(left) != "[1]" {
				t.Fatalf("%s left", sizes(left))
			}
			left[0].report <- nil
			<-done
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %v", took)
		}
	})
}

// Full boxes leave at once, whatever is on its way; what does not fill one waits.
func TestFullBoxesDoNotWait(t *testing.T) {
	onPier(t, func(t *testing.T, p *pier, c *Caster) {
		casting(t.Context(), c, "rock", events.ByHTTP, votes(1, "A"))
		casting(t.Context(), c, "rock", events.ByHTTP, votes(1200, "B"))
		left := p.take()
		if sizes(left) != "[1 500 500]" {
			t.Fatalf("boxes %s left", sizes(left))
		}
		casting(t.Context(), c, "rock", events.ByHTTP, votes(300, "C")) // 200 wait already
		full := p.take()
		if sizes(full) != "[500]" {
			t.Fatalf("boxes %s left when they were full", sizes(full))
		}
		for _, s := range append(left, full...) {
			s.report <- nil
		}
	})
}

// No box has more votes or bytes than it may, none is empty, and no vote is left
// out or sent twice, whatever the size of the votes.
func TestBoxesKeepTheirBounds(t *testing.T) {
	long := strings.Repeat("𝄞", events.MaxAlbum)
	for seed := range uint64(6) {
		onPier(t, func(t *testing.T, p *pier, c *Caster) {
			random := rand.New(rand.NewPCG(seed, 1))
			cast, sent := 0, make(map[string]int)
			for range 1 + random.IntN(40) {
				vs := votes(random.IntN(800), "A")
				for i := range vs {
					if random.IntN(10) > 0 {
						vs[i].Name, vs[i].Album = long[:4*events.MaxName], long
						vs[i].VoterKey, vs[i].ID = make([]byte, 32), strings.Repeat("x", 50)+fmt.Sprint(cast, "-", i)
						vs[i].Rank, vs[i].Year, vs[i].CastAt = events.MaxRank, events.MaxYear, time.Unix(1<<37, 0)
					}
				}
				cast += len(vs)
				if cast > maxWaiting {
					cast -= len(vs)
					break
				}
				casting(t.Context(), c, "rock", events.ByHTTP, vs)
			}
			for left := p.rested(); len(left) > 0; left = p.rested() {
				for _, s := range left {
					if n := len(s.box.Votes); n == 0 || n > events.MaxBoxVotes || s.bytes > events.MaxBoxBytes {
						t.Errorf("seed %d: a box has %d votes in %d bytes", seed, n, s.bytes)
					}
					for i, v := range s.box.Votes {
						if v.Index != i {
							t.Errorf("seed %d: vote %d says it is %d", seed, i, v.Index)
						}
						sent[v.ID]++
					}
					s.report <- nil
				}
			}
			if len(sent) != cast || c.waiting != 0 {
				t.Errorf("seed %d: %d votes were cast, %d sent, %d wait", seed, cast, len(sent), c.waiting)
			}
		})
	}
}

// A box that fails is the failure of exactly the calls that have a vote in it.
func TestFailureIsOfTheVotesInTheBox(t *testing.T) {
	onPier(t, func(t *testing.T, p *pier, c *Caster) {
		first := casting(t.Context(), c, "rock", events.ByHTTP, votes(1, "first"))
		whole := casting(t.Context(), c, "rock", events.ByHTTP, votes(400, "whole")) // with 100 of the next in a box
		split := casting(t.Context(), c, "rock", events.ByHTTP, votes(150, "split"))
		rest := casting(t.Context(), c, "rock", events.ByHTTP, votes(5, "rest")) // with 50 of the one before
		left := p.take()
		if sizes(left) != "[1 500]" {
			t.Fatalf("boxes %s left", sizes(left))
		}
		away := fmt.Errorf("%w: away", ErrUnavailable)
		left[1].report <- nil
		left[0].report <- away
		last := p.rested()
		if sizes(last) != "[55]" {
			t.Fatalf("boxes %s left", sizes(last))
		}
		last[0].report <- away
		for name, done := range map[string]chan answer{"first": first, "split": split, "rest": rest} {
			if got := <-done; !errors.Is(got.err, ErrUnavailable) || got.receipts != nil {
				t.Errorf("%s: %v, %d receipts", name, got.err, len(got.receipts))
			} else if got.votes[0].ID == "" {
				t.Errorf("%s: a vote that may be cast again has no id", name)
			}
		}
		if got := <-whole; got.err != nil || got.receipts[399].Receipt != left[1].box.ID+".399" {
			t.Errorf("whole: %v", got.err)
		}
	})
}

// No more votes wait than may. Who comes too many is told at once and nothing of
// the call is cast; there is room again when a box has been reported.
func TestWaitingVotesAreBounded(t *testing.T) {
	onPier(t, func(t *testing.T, p *pier, c *Caster) {
		casting(t.Context(), c, "rock", events.ByHTTP, votes(maxWaiting-1, "A"))
		if got := <-casting(t.Context(), c, "jazz", events.ByGRPC, votes(2, "B")); !errors.Is(got.err, ErrBusy) {
			t.Errorf("over the bound: %v", got.err)
		}
		casting(t.Context(), c, "jazz", events.ByGRPC, votes(1, "C"))
		if got := <-casting(t.Context(), c, "jazz", events.ByGRPC, votes(1, "D")); !errors.Is(got.err, ErrBusy) {
			t.Errorf("at the bound: %v", got.err)
		}
		left := p.take()
		left[0].report <- nil
		synctest.Wait()
		fits := casting(t.Context(), c, "jazz", events.ByGRPC, votes(500, "E"))
		for left = append(left[1:], p.take()...); len(left) > 0; left = p.take() {
			for _, s := range left {
				s.report <- nil
			}
		}
		if got := <-fits; got.err != nil {
			t.Errorf("with room: %v", got.err)
		}
	})
}

// Who stops waiting is told that the votes may have been cast: they were.
func TestWhoStopsWaitingIsTold(t *testing.T) {
	onPier(t, func(t *testing.T, p *pier, c *Caster) {
		ctx, leave := context.WithCancel(t.Context())
		done := casting(ctx, c, "rock", events.ByHTTP, votes(1, "A"))
		leave()
		if got := <-done; !errors.Is(got.err, ErrUnavailable) || !errors.Is(got.err, context.Canceled) {
			t.Errorf("got %v", got.err)
		}
		left := p.take()
		left[0].report <- nil
		synctest.Wait()
		if len(left) != 1 || c.waiting != 0 {
			t.Errorf("%s left, %d wait", sizes(left), c.waiting)
		}
	})
}

// A box that is not reported is given up in time, and the next one leaves.
func TestBoxIsGivenUpInTime(t *testing.T) {
	onPier(t, func(t *testing.T, p *pier, c *Caster) {
		start := time.Now()
		first := casting(t.Context(), c, "rock", events.ByHTTP, votes(1, "A"))
		next := casting(t.Context(), c, "rock", events.ByHTTP, votes(1, "B"))
		if got := <-first; !errors.Is(got.err, ErrUnavailable) || time.Since(start) != 10*time.Second {
			t.Errorf("got %v after %v", got.err, time.Since(start))
		}
		left := p.take()
		left[len(left)-1].report <- nil
		if got := <-next; got.err != nil {
			t.Errorf("the next: %v", got.err)
		}
	})
}

// A call without votes is done.
func TestNoVotesAreCastAtOnce(t *testing.T) {
	c := NewCaster(nil, "ingress", time.Second)
	if receipts, err := c.Cast(t.Context(), "rock", events.ByHTTP, nil); err != nil || len(receipts) != 0 {
		t.Errorf("got %v, %v", receipts, err)
	}
}

// What a lane holds is bounded by what waits: when all is sent it holds nothing,
// and there are no more lanes than contests and channels.
func TestLanesHoldNothingThatIsSent(t *testing.T) {
	c := NewCaster(reporter(func(event.Event) error { return nil }), "ingress", time.Second)
	for range 5 {
		for _, contest := range []string{"rock", "jazz"} {
			for _, channel := range events.Channels {
				if _, err := c.Cast(t.Context(), contest, channel, votes(700, "A")); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.lanes) != 2*len(events.Channels) {
		t.Errorf("there are %d lanes", len(c.lanes))
	}
	for key, l := range c.lanes {
		if l.queue != nil {
			t.Errorf("lane %v holds %d entries of %d", key, len(l.queue), cap(l.queue))
		}
	}
}

// reporter is a sender that reports at once.
type reporter func(event.Event) error

func (r reporter) Send(_ context.Context, evs ...event.Event) error { return r(evs[0]) }

// However many cast at once, each vote is sent once, and each receipt names the
// place at which its vote is.
func TestReceiptsAreOfTheirVotes(t *testing.T) {
	const callers, calls = 64, 40
	var mu sync.Mutex
	sent := make(map[string]string) // receipt → name
	c := NewCaster(reporter(func(e event.Event) error {
		box, err := events.BoxOf(e)
		if err != nil {
			return err
		}
		runtime.Gosched() // others gather
		mu.Lock()
		defer mu.Unlock()
		for i, v := range box.Votes {
			sent[events.Receipt(box.ID, i)] = v.ID + " " + v.Name
		}
		return nil
	}), "ingress", time.Second)
	var group sync.WaitGroup
	var got sync.Map
	for caller := range callers {
		group.Go(func() {
			for call := range calls {
				vs := votes(1+(caller*call)%7, fmt.Sprint(caller, "/", call))
				receipts, err := c.Cast(t.Context(), "rock", events.Channels[caller%2], vs)
				if err != nil {
					t.Error(err)
					return
				}
				for i, r := range receipts {
					if r.ID != vs[i].ID || !r.At.Equal(vs[i].At) {
						t.Errorf("receipt %+v is not of vote %+v", r, vs[i])
					}
					got.Store(r.Receipt, vs[i].ID+" "+vs[i].Name)
				}
			}
		})
	}
	group.Wait()
	n := 0
	got.Range(func(receipt, vote any) bool {
		n++
		if sent[receipt.(string)] != vote {
			t.Errorf("receipt %s is of %q, not of %q", receipt, sent[receipt.(string)], vote)
		}
		return true
	})
	if n != len(sent) {
		t.Errorf("%d receipts for %d votes", n, len(sent))
	}
}

// What a vote costs in the caster when 64 callers cast one at a time: with a
// report that comes at once, and with one that takes Kafka's time.
func BenchmarkCast(b *testing.B) {
	for _, latency := range []time.Duration{0, 2 * time.Millisecond} {
		b.Run(fmt.Sprint("report after ", latency), func(b *testing.B) {
			boxes := 0
			var mu sync.Mutex
			c := NewCaster(reporter(func(event.Event) error {
				mu.Lock()
				boxes++
				mu.Unlock()
				if latency > 0 {
					time.Sleep(latency)
				}
				return nil
			}), "ingress", time.Second)
			b.ReportAllocs()
			b.SetParallelism((64 + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					one := []events.Vote{{Name: "Alux Nahual", Album: "Conquista", Year: 1982, Rank: 200, ID: "a"}}
					if _, err := c.Cast(b.Context(), "rock", events.ByGRPC, one); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/float64(boxes), "votes/box")
		})
	}
}
