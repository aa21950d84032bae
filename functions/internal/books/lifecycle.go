package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"iter"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"marimba/config"
	"marimba/events"
	"marimba/functions/internal/counts"
	"marimba/functions/internal/journal"
	"marimba/functions/internal/kafka"
	"marimba/functions/internal/mend"
	"marimba/functions/internal/tlog"
)

// Times of a closing.
const (
	closeTimeout = 15 * time.Minute // unless a call says otherwise
	lookEvery    = 500 * time.Millisecond
	clockSkew    = 5 * time.Second // between the ingresses' clocks and ours
)

// landing is how long after the closing a vote that was received before may still
// come to Kafka. In an ingress it waits for the box before it, then its own box is
// on its way; each ends within the delivery timeout and a second. A vote that
// comes later was not answered with success. One may land all the same, if Kafka
// wrote what it did not confirm: it is counted, the statement stays as it is, and
// an audit tells.
func landing(deliveryTimeout time.Duration) time.Duration {
	return 2*(deliveryTimeout+time.Second) + clockSkew
}

func runClose(ctx context.Context, args, environ []string) (any, error) {
	flags := flag.NewFlagSet("close", flag.ContinueOnError)
	wait := flags.Bool("wait", false, "wait until the contest is final")
	timeout := flags.Duration("timeout", closeTimeout, "how long at most")
	leaveDead := flags.Bool("leave-dead", false, "make it final with votes that are dead")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() != 1 || *timeout <= 0 {
		return nil, errors.New("usage: books close [-wait] [-timeout DURATION] [-leave-dead] CONTEST")
	}
	var cfg struct {
		config.Kafka
		config.Redis
		config.Mongo
		config.Contests
	}
	if err := config.Load(&cfg, environ); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()
	contests, err := cfg.Contests.Follow(ctx) // it may be extended while this waits
	if err != nil {
		return nil, err
	}
	s, err := settings{cfg.Redis, cfg.Mongo, cfg.Contests}.open()
	if err != nil {
		return nil, err
	}
	defer s.close()
	topics, err := kafka.Open(cfg.Kafka, clientName)
	if err != nil {
		return nil, err
	}
	defer topics.Close(ctx) //nolint:errcheck // never fails
	options, err := brokers(cfg.Kafka)
	if err != nil {
		return nil, err
	}
	public, err := tlog.Open(cfg.Mongo)
	if err != nil {
		return nil, err
	}
	defer public.Close(context.WithoutCancel(ctx)) //nolint:errcheck // it was only read
	c := closing{
		contests: contests, topics: topics, cast: castTopic{options}, journal: s.journal, counts: s.counts, mender: mend.New(s.counts, s.journal), public: sealedVotes{public},
		contest: flags.Arg(0), wait: *wait, leaveDead: *leaveDead, landing: landing(cfg.DeliveryTimeout),
		tell: tellProgress, now: time.Now, sleep: sleepFor,
	}
	return c.run(ctx)
}

// progress is how far a closing is. It is written as a line of JSON to standard
// error whenever it changes.
type progress struct {
	Step    string          `json:"step"`
	Until   time.Time       `json:"until,omitzero"`
	Topic   events.Topic    `json:"topic,omitempty"`
	Group   string          `json:"group,omitempty"`
	Records int64           `json:"records,omitempty"` // that the group has not handled
	Behind  map[int32]int64 `json:"behind,omitempty"`  // of them, by partition
	Error   string          `json:"error,omitempty"`   // why it is not known
}

func (p progress) String() string {
	switch {
	case p.Error != "":
		return p.Error
	case p.Group != "":
		var partitions []string
		for _, partition := range slices.Sorted(maps.Keys(p.Behind)) {
			partitions = append(partitions, fmt.Sprint(partition))
		}
		return fmt.Sprintf("%s has %d records of %s to handle, in partitions %s", p.Group, p.Records, p.Topic, strings.Join(partitions, ", "))
	case p.Step == "landing":
		return fmt.Sprintf("votes that were received in time may still come to Kafka until %s", p.Until.UTC().Format(time.RFC3339))
	}
	return fmt.Sprintf("it closes at %s", p.Until.UTC().Format(time.RFC3339))
}

func tellProgress(p progress) { _ = json.NewEncoder(os.Stderr).Encode(p) } // nobody may be listening

func sleepFor(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// closing brings a contest to its end. It changes nothing but by the statement,
// which is written in one step at the end: it may be cut off anywhere and begun
// again, and two at once come to one statement.
type closing struct {
	contests roll
	topics   interface {
		Reach(ctx context.Context, topic events.Topic) (kafka.Reach, error)
		Committed(ctx context.Context, group string, topic events.Topic) (map[int32]int64, error)
	}
	cast    castVotes
	journal closedLog
	counts  countedNow
	mender  mender
	public  publicLog

	contest   string
	wait      bool
	leaveDead bool
	landing   time.Duration
	tell      func(progress)
	now       func() time.Time
	sleep     func(context.Context, time.Duration) error

	told string // the progress that was told last
}

// closedLog is the log of a contest, and its statement.
type closedLog interface {
	Entries(ctx context.Context, contest string) iter.Seq2[journal.Entry, error]
	Dead(ctx context.Context, state journal.ShelfState, contest string) iter.Seq2[journal.DeadLetter, error]
	Statement(ctx context.Context, contest string) (journal.Statement, bool, error)
	Declare(ctx context.Context, contest string, at time.Time, text []byte) (journal.Statement, error)
}

// closed is the result of a closing: the statement that the contest has.
type closed struct {
	Contest   string          `json:"contest"`
	Phase     events.Phase    `json:"phase"`
	Declared  bool            `json:"declared"` // by this call
	Digest    string          `json:"sha256,omitempty"`
	Statement json.RawMessage `json:"statement,omitempty"`
}

func (c *closing) run(ctx context.Context) (closed, error) {
	s, ok, err := c.journal.Statement(ctx, c.contest)
	if ok {
		return closed{c.contest, events.Final, false, s.Digest, json.RawMessage(s.Text)}, nil
	}
	if err != nil {
		return closed{}, err
	}
	contest, err := c.untilClosed(ctx)
	if err != nil {
		return closed{Contest: c.contest, Phase: contest.PhaseAt(c.now())}, err
	}
	end, err := c.finish(ctx, contest)
	if err != nil {
		return closed{Contest: c.contest, Phase: events.Closed}, err
	}
	return end, nil
}

// finish follows the votes to their end and declares what they came to.
func (c *closing) finish(ctx context.Context, contest events.Contest) (closed, error) {
	landed := contest.ClosesAt.Add(c.landing)
	for c.now().Before(landed) {
		if err := c.pause(ctx, progress{Step: "landing", Until: landed}); err != nil {
			return closed{}, err
		}
	}
	cast, offsets, err := c.untilHandled(ctx)
	if err != nil {
		return closed{}, err
	}
	c.tell(progress{Step: "counting"})
	r := reckoning{closesAt: contest.ClosesAt}
	if err := r.readLog(ctx, contest, c.journal); err != nil {
		return closed{}, err
	}
	if err := r.readCast(ctx, contest, c.cast, cast); err != nil {
		return closed{}, err
	}
	if err := r.balance(); err != nil {
		return closed{}, fmt.Errorf("the books of %s do not balance, so it is not final: %w", contest.ID, err)
	}
	if err := c.mended(ctx, contest); err != nil {
		return closed{}, err
	}
	if err := r.agree(ctx, contest, c.counts); err != nil {
		return closed{}, fmt.Errorf("%s is not final: %w", contest.ID, err)
	}
	if n := r.votes().States[events.Dead]; n > 0 && !c.leaveDead {
		return closed{}, fmt.Errorf("%d votes of %s are dead: replay them, or leave them dead (-leave-dead)", n, contest.ID)
	}
	log, err := c.sealed(ctx, contest.ID, r.votes().States[events.Counted])
	if err != nil {
		return closed{}, err
	}
	return c.declare(ctx, contest, offsets, r, log)
}

// mender rebuilds counts that are lost.
type mender interface {
	Mend(ctx context.Context, c events.Contest) (r mend.Result, ok bool, err error)
}

// mended has the counts rebuilt if Redis lost them: after the last vote there is none
// with which tally would see it.
func (c *closing) mended(ctx context.Context, contest events.Contest) error {
	for {
		_, _, err := c.mender.Mend(ctx, contest)
		if !errors.Is(err, counts.ErrLocked) {
			return err
		}
		if err := c.pauseAfter(ctx, "mending", err); err != nil {
			return err
		}
	}
}

// sealed returns the newest checkpoint of the contest's public log, which must be of
// as many votes as are counted: what is declared is what anyone can check. It is nil
// if none is.
func (c *closing) sealed(ctx context.Context, contest string, counted int64) (*sealedAs, error) {
	as, ok, err := c.public.Checkpoint(ctx, contest)
	if err != nil {
		return nil, err
	}
	if int64(as.Size) != counted {
		return nil, fmt.Errorf("%d votes of %s are counted, and its public log has %d: replay what is dead of %s, and audit", counted, contest, as.Size, events.VotesCounted)
	}
	if !ok {
		return nil, nil
	}
	return &as, nil
}

func (c *closing) declare(ctx context.Context, contest events.Contest, offsets map[events.Topic]map[int32]int64, r reckoning, log *sealedAs) (closed, error) {
	s, err := makeStatement(contest, offsets, r, log, c.now())
	if err != nil {
		return closed{}, err
	}
	text, err := s.canonical()
	if err != nil {
		return closed{}, err
	}
	kept, err := c.journal.Declare(ctx, contest.ID, s.MadeAt, text)
	if err != nil {
		return closed{}, err
	}
	return closed{contest.ID, events.Final, kept.Text == string(text), kept.Digest, json.RawMessage(kept.Text)}, nil
}

// untilClosed returns the contest when its closing time has come.
func (c *closing) untilClosed(ctx context.Context) (events.Contest, error) {
	for {
		contest, ok := c.contests.Contest(c.contest)
		if !ok {
			return events.Contest{}, fmt.Errorf("there is no contest %q", c.contest)
		}
		if contest.ClosesAt.IsZero() {
			return contest, fmt.Errorf("%s has no closes_at: set one with `marimba contest close`", c.contest)
		}
		if contest.PhaseAt(c.now()) == events.Closed {
			return contest, nil
		}
		if err := c.pause(ctx, progress{Step: "closing", Until: contest.ClosesAt}); err != nil {
			return contest, err
		}
	}
}

// untilHandled follows the votes through the topics: what had come in when the
// last vote had landed is judged, what that came to is counted, what is counted is
// sealed, and what any of them gave up on is shelved. It returns how far votes.cast went, and where each topic
// ended.
func (c *closing) untilHandled(ctx context.Context) (kafka.Reach, map[events.Topic]map[int32]int64, error) {
	var cast kafka.Reach
	offsets := make(map[events.Topic]map[int32]int64)
	for _, route := range events.Routes {
		// The dead letters that come round again when they cannot be shelved are
		// waited for too; of all else later records are no concern of ours.
		moves := slices.Contains(route.Reads, events.VotesDead)
		to := make(map[events.Topic]kafka.Reach)
		for _, topic := range route.Reads {
			var err error
			if to[topic], err = c.reach(ctx, route.Function, topic); err != nil {
				return nil, nil, err
			}
		}
		for _, topic := range route.Reads {
			r, err := c.handled(ctx, route.Function, topic, to[topic], moves)
			if err != nil {
				return nil, nil, err
			}
			offsets[topic] = r.Ends()
			if topic == events.VotesCast {
				cast = r
			}
		}
	}
	return cast, offsets, nil
}

// reach returns how far a topic goes, as soon as Kafka says.
func (c *closing) reach(ctx context.Context, function string, topic events.Topic) (kafka.Reach, error) {
	for {
		r, err := c.topics.Reach(ctx, topic)
		if err == nil {
			return r, nil
		}
		if err := c.pauseAfter(ctx, function, err); err != nil {
			return nil, err
		}
	}
}

// handled waits until a function has handled all within a reach, and returns it;
// of a topic that moves, until it has handled all that there is.
func (c *closing) handled(ctx context.Context, function string, topic events.Topic, to kafka.Reach, moves bool) (kafka.Reach, error) {
	for {
		if moves {
			var err error
			if to, err = c.reach(ctx, function, topic); err != nil {
				return nil, err
			}
		}
		committed, err := c.topics.Committed(ctx, events.GroupOf(function), topic)
		if err != nil {
			if err := c.pauseAfter(ctx, function, err); err != nil {
				return nil, err
			}
			continue
		}
		behind := to.Behind(committed)
		if len(behind) == 0 {
			return to, nil
		}
		p := progress{Step: function, Topic: topic, Group: events.GroupOf(function), Behind: behind}
		for _, n := range behind {
			p.Records += n
		}
		if err := c.pause(ctx, p); err != nil {
			return nil, err
		}
	}
}

// pauseAfter pauses after Kafka did not answer; that may pass.
func (c *closing) pauseAfter(ctx context.Context, step string, err error) error {
	if !c.wait {
		return err
	}
	return c.pause(ctx, progress{Step: step, Error: err.Error()})
}

// pause tells how far it is and lets a moment pass. It returns an error when
// there is no time left to wait, or none was to be.
func (c *closing) pause(ctx context.Context, p progress) error {
	if !c.wait {
		return fmt.Errorf("not final yet: %s", p)
	}
	if text := p.String(); text != c.told {
		c.told = text
		c.tell(p)
	}
	if err := c.sleep(ctx, lookEvery); err != nil {
		return fmt.Errorf("not final yet: %s: %w", p, err)
	}
	return nil
}
