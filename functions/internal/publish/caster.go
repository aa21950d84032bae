package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/uuid"

	"marimba/events"
	"marimba/functions/internal/telemetry"
)

// ErrBusy says that as many votes wait as may wait. Nothing was cast.
var ErrBusy = errors.New("too many votes are waiting")

// maxWaiting bounds the votes that wait in one process, about 12 MiB.
const maxWaiting = 40_000

// How long votes gather in a rush. From a thousand votes a second on a lane rests
// for maxRest, or until it has a box that is worth its cost.
const (
	restPerVote = time.Millisecond
	maxRest     = 40 * time.Millisecond
	worthwhile  = 64 // votes
)

// Receipt is the proof that Kafka has a vote.
type Receipt struct {
	ID      string    // the vote's id, made here if the vote had none
	Receipt string    // "<box id>.<index>"
	At      time.Time // the server's time of receipt
}

type sender interface {
	Send(ctx context.Context, evs ...event.Event) error
}

// Caster puts votes in boxes and casts the boxes.
//
// Boxes fill by natural batching: while a box of a contest and channel is on its
// way to Kafka, votes that arrive gather, and leave together when its report
// comes. A lone vote leaves at once; a full box never waits.
//
// In a rush they gather a little longer, since each box costs every stage about as
// much as a hundred votes do: see due.
type Caster struct {
	send     sender
	function string
	timeout  time.Duration
	now      func() time.Time

	mu      sync.Mutex
	lanes   map[laneKey]*lane
	waiting int
}

type laneKey struct {
	contest string
	channel events.Channel
}

// lane is what gathers for one contest and channel.
type lane struct {
	laneKey
	queue   []entry
	size    int       // of their votes in a box
	sending int       // boxes on their way to Kafka
	left    time.Time // when the last box did
	last    int       // votes in it
	timed   bool      // a timer runs that will look at the lane
}

// entry is a vote that waits, and where its receipt goes.
type entry struct {
	vote events.Vote
	call *call
	slot int
}

// call is one call of Cast.
type call struct {
	origin   telemetry.Origin
	receipts []Receipt
	left     int
	err      error
	done     chan struct{}
}

// NewCaster returns a caster that sends with send in the name of function. A
// box is given up after timeout.
func NewCaster(send sender, function string, timeout time.Duration) *Caster {
	return &Caster{
		send: send, function: function, timeout: timeout, now: time.Now,
		lanes: make(map[laneKey]*lane),
	}
}

// Cast returns the votes' receipts, in their order, when Kafka has all of them.
//
// It sets the votes' ids and times of receipt where they have none, also when it
// fails: the ids make a retry safe. The contest must be one that exists. ErrBusy
// means that nothing was cast; ErrUnavailable that some of the votes may have been.
func (c *Caster) Cast(ctx context.Context, contest string, channel events.Channel, votes []events.Vote) ([]Receipt, error) {
	var now time.Time
	for i := range votes {
		if votes[i].At.IsZero() {
			if now.IsZero() {
				now = c.now().UTC().Truncate(time.Millisecond)
			}
			votes[i].At = now
		}
		if votes[i].ID == "" {
			id, err := uuid.NewV7()
			if err != nil {
				return nil, fmt.Errorf("make id: %w", err)
			}
			votes[i].ID = id.String()
		}
	}
	if len(votes) == 0 {
		return nil, nil
	}
	k := &call{origin: telemetry.OriginOf(ctx), receipts: make([]Receipt, len(votes)), left: len(votes), done: make(chan struct{})}
	if err := c.enqueue(laneKey{contest, channel}, k, votes); err != nil {
		return nil, err
	}
	select {
	case <-k.done:
		if k.err != nil {
			return nil, k.err
		}
		return k.receipts, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
}

func (c *Caster) enqueue(key laneKey, k *call, votes []events.Vote) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting+len(votes) > maxWaiting {
		return ErrBusy
	}
	c.waiting += len(votes)
	l := c.lanes[key]
	if l == nil {
		l = &lane{laneKey: key}
		c.lanes[key] = l
	}
	for i := range votes {
		l.queue = append(l.queue, entry{vote: votes[i], call: k, slot: i})
		l.size += votes[i].WireSize()
	}
	c.dispatch(l)
	return nil
}

// dispatch sends the boxes of a lane that are due: full ones, and the rest when it
// is. The caller holds the lock.
func (c *Caster) dispatch(l *lane) {
	for len(l.queue) > 0 {
		n, size, full := l.boxful()
		if !full && !c.due(l, n) {
			return
		}
		entries := l.queue[:n:n]
		l.queue, l.size = l.queue[n:], l.size-size
		l.sending++
		l.left, l.last = c.now(), n
		go c.cast(l, entries)
	}
	l.queue = nil // let go of what was sent
}

// due says whether a box of n votes that is not full may leave. Not while another
// of its lane is on its way; and unless it is worth its cost, not before the lane
// has rested: the longer the more votes the last box had, so that who casts one vote
// after the other never waits. If it has to rest, dispatch is called again then. The
// caller holds the lock.
func (c *Caster) due(l *lane, n int) bool {
	if l.sending > 0 {
		return false
	}
	rest := l.left.Add(min(time.Duration(l.last-1)*restPerVote, maxRest)).Sub(c.now())
	if n >= worthwhile || rest <= 0 {
		return true
	}
	if !l.timed {
		l.timed = true
		time.AfterFunc(rest, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			l.timed = false
			c.dispatch(l)
		})
	}
	return false
}

// boxBeside is what a box has beside its votes, at most.
const boxBeside = 128

// boxful says how many entries go into the next box, what their votes take of it, and
// whether that box is full. It is never none.
func (l *lane) boxful() (n, size int, full bool) {
	if len(l.queue) <= events.MaxBoxVotes && boxBeside+l.size <= events.MaxBoxBytes {
		return len(l.queue), l.size, len(l.queue) == events.MaxBoxVotes
	}
	for n < len(l.queue) && n < events.MaxBoxVotes {
		more := l.queue[n].vote.WireSize()
		if n > 0 && boxBeside+size+more > events.MaxBoxBytes {
			break
		}
		n, size = n+1, size+more
	}
	return n, size, true
}

// cast sends one box and settles its entries.
func (c *Caster) cast(l *lane, entries []entry) {
	box := events.Box{Contest: l.contest, Channel: l.channel, Votes: make([]events.Vote, len(entries))}
	for i := range entries {
		entries[i].vote.Index = i
		box.Votes[i] = entries[i].vote
	}
	ctx, end := telemetry.Gather(context.Background(), "cast box", origins(entries))
	id, err := uuid.NewV7()
	if err == nil {
		box.ID = id.String()
		telemetry.Note(ctx, "box", box.ID)
		limit, cancel := context.WithTimeout(ctx, c.timeout)
		err = c.send.Send(limit, box.Event(events.TypeCast, c.function))
		cancel()
	}
	end(err)
	if err == nil {
		telemetry.Accepted(box)
	} else { // said once here, however many calls have votes in the box
		slog.WarnContext(ctx, "box not confirmed", "box", box.ID, "contest", box.Contest, "votes", len(box.Votes), "error", err)
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	for i, e := range entries {
		if err != nil {
			e.call.err = err
		} else {
			e.call.receipts[e.slot] = Receipt{ID: e.vote.ID, Receipt: events.Receipt(box.ID, i), At: e.vote.At}
		}
		if e.call.left--; e.call.left == 0 {
			close(e.call.done)
		}
	}
	c.waiting -= len(entries)
	l.sending--
	c.dispatch(l)
}

// origins are where the votes of a box come from in their traces, each once and
// not more than are taken note of. The votes of a call stand together.
func origins(entries []entry) []telemetry.Origin {
	var out []telemetry.Origin
	var last *call
	for _, e := range entries {
		if e.call == last {
			continue
		}
		last = e.call
		if last.origin.IsValid() && !slices.ContainsFunc(out, last.origin.Equal) {
			if out = append(out, last.origin); len(out) == telemetry.MaxOrigins {
				break
			}
		}
	}
	return out
}

// CauseOf is why a request whose context is ctx failed to have its votes
// confirmed, as far as that shows in the error.
func CauseOf(ctx context.Context, err error) telemetry.Cause {
	cause := telemetry.CauseOf(ctx, err)
	switch {
	case cause == telemetry.Gone:
	case errors.Is(err, ErrBusy):
		return telemetry.Busy
	case errors.Is(err, ErrUnavailable):
		return telemetry.Kafka
	}
	return cause
}
