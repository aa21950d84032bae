package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"maps"
	"runtime/debug"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"

	"marimba/config"
	"marimba/events"
	"marimba/events/rules"
	"marimba/functions/internal/annul"
	"marimba/functions/internal/counts"
	"marimba/functions/internal/journal"
	"marimba/functions/internal/kafka"
	"marimba/functions/internal/tlog"
)

// gcPercent is how much garbage Go lets gather, in percent of what is in use.
const gcPercent = 30

func runAudit(ctx context.Context, args, environ []string) (any, error) {
	flags := flag.NewFlagSet("audit", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the error says it
	only := flags.String("contest", "", "this contest alone")
	young := flags.Duration("allow-in-flight", 0, "how old a vote may be that is in no final state yet")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 || *young < 0 {
		return nil, errors.New("usage: books audit [-contest ID] [-allow-in-flight DURATION]")
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
	options, err := brokers(cfg.Kafka)
	if err != nil {
		return nil, err
	}
	s, err := settings{cfg.Redis, cfg.Mongo, cfg.Contests}.open()
	if err != nil {
		return nil, err
	}
	defer s.close()
	// What is kept grows slowly and holds no pointers: it is cheap to collect often,
	// and half as large.
	defer debug.SetGCPercent(debug.SetGCPercent(gcPercent))
	topics, err := kafka.Open(cfg.Kafka, clientName)
	if err != nil {
		return nil, err
	}
	defer topics.Close(ctx) //nolint:errcheck // never fails
	public, err := tlog.Open(cfg.Mongo)
	if err != nil {
		return nil, err
	}
	defer public.Close(context.WithoutCancel(ctx)) //nolint:errcheck // it was only read
	a := newAudit(s.contests, castTopic{options}, s.journal, s.counts, sealedVotes{public}, sourceGroups{topics})
	a.only, a.young = *only, *young
	result, err := a.run(ctx)
	if err != nil {
		return nil, err
	}
	if !result.Agree {
		return result, fmt.Errorf("the books do not balance: failed checks: %d", len(result.Faults))
	}
	return result, nil
}

type everyContest interface {
	roll
	IDs() []string
}

// castVotes is what was answered with success.
type castVotes interface {
	Reach(ctx context.Context) (kafka.Reach, error)
	Records(ctx context.Context, within kafka.Reach) iter.Seq2[castRecord, error]
}

// ended is what became of the votes.
type ended interface {
	logged
	Dead(ctx context.Context, state journal.ShelfState, contest string) iter.Seq2[journal.DeadLetter, error]
	DeadList(ctx context.Context, state journal.ShelfState, contest string) iter.Seq2[journal.DeadLetter, error]
	Vote(ctx context.Context, boxID string, index int) (journal.Row, bool, error)
	Latest(ctx context.Context, contest string) (int64, error)
	annul.Kept
}

// shownCounts is what is shown to the public.
type shownCounts interface {
	Tally(ctx context.Context, c events.Contest) (counts.Histogram, error)
	Figures(ctx context.Context, c events.Contest) (counts.Figures, error)
	Pending(ctx context.Context, c events.Contest) (map[events.State]int64, error)
	Life(ctx context.Context, c events.Contest) (int64, error)
}

// audit holds all that is kept of votes against all else: what was cast, what
// the log and the dead letters say became of it, what Redis counts, and what the
// public log shows. It changes nothing.
//
// It reads in this order: how far votes.cast goes; how far the sources are; the log;
// the dead letters; Redis; the public log; how far votes.cast goes now; votes.cast
// to there. So what the log has was
// cast within what is read, and what Redis has over the log is among the cast
// votes that the log, when it was read, had not. Votes that came in since the
// first of these steps, and are not in the log, are left aside. A house that is
// at rest is held to the last vote; one that moves, to the votes that move.
type audit struct {
	contests everyContest
	topic    castVotes
	journal  ended
	counts   shownCounts
	public   publicLog
	sources  delivered
	now      func() time.Time

	only  string        // contest; empty: all
	young time.Duration // how old a vote may be that is in no final state

	began   time.Time
	ledger  *ledger
	letters map[string]deadBox // by box id
	behind  int64              // events that were not delivered when the log was about to be read
	// unannounced are boxes whose announcement is a dead letter.
	unannounced map[string]bool
	accounts    map[string]*account
	faults      faults
	read        auditRead
	places      [events.MaxBoxVotes]uint32 // of a box's indexes: number of the vote in the ledger, plus 1
}

// account is the books of one contest.
type account struct {
	contest events.Contest
	judge   *rules.Rules // nil: there is no such contest
	rows    map[events.Channel]*auditRow
	ids     []mark
	limited []mark

	log, redis side
	annulled   map[events.Channel]int64 // of the log's counted votes
	pending    map[events.State]int64   // in Redis
	lost       string                   // why what Redis has cannot be trusted; empty: it can
	cast       *counts.Recount
	moving     moving
	sealed     auditedLog
}

// side is what one of those that count says of a contest.
type side struct {
	tally   counts.Histogram
	figures counts.Figures
}

func newAudit(contests everyContest, topic castVotes, journal ended, counts shownCounts, public publicLog, sources delivered) *audit {
	return &audit{contests: contests, topic: topic, journal: journal, counts: counts, public: public, sources: sources, now: time.Now}
}

// triesOfAudit bounds how often an audit begins anew. It does when counts were
// rebuilt while it read: then it has read of one life in the log, and of another
// in Redis.
const triesOfAudit = 5

func (a *audit) run(ctx context.Context) (audited, error) {
	for range triesOfAudit {
		result, still, err := a.once(ctx)
		if err != nil || still {
			return result, err
		}
	}
	return audited{}, fmt.Errorf("the counts were rebuilt %d times while they were audited", triesOfAudit)
}

// once audits; still is false if counts were rebuilt meanwhile.
func (a *audit) once(ctx context.Context) (result audited, still bool, err error) {
	a.began, a.ledger, a.read = a.now(), newLedger(), auditRead{}
	a.unannounced = make(map[string]bool)
	a.letters, a.accounts, a.faults = make(map[string]deadBox), make(map[string]*account), make(faults)
	lives, err := a.lives(ctx)
	if err != nil {
		return audited{}, false, err
	}
	first, err := a.topic.Reach(ctx)
	if err != nil {
		return audited{}, false, err
	}
	if a.behind, err = a.sources.Behind(ctx); err != nil {
		return audited{}, false, err
	}
	for _, step := range []func(context.Context) error{a.readLog, a.readDead, a.readCounts, a.readLeaves} {
		if err := step(ctx); err != nil {
			return audited{}, false, err
		}
	}
	now, err := a.lives(ctx)
	if err != nil || !maps.Equal(now, lives) {
		return audited{}, false, err
	}
	last, err := a.topic.Reach(ctx)
	if err != nil {
		return audited{}, false, err
	}
	if err := a.readCast(ctx, first, last); err != nil {
		return audited{}, false, err
	}
	for _, id := range slices.Sorted(maps.Keys(a.accounts)) {
		a.checkIDs(a.accounts[id])
		a.checkLimits(a.accounts[id])
	}
	return a.result(first), true, nil
}

// lives returns which life the counts of each contest are in.
func (a *audit) lives(ctx context.Context) (map[string]int64, error) {
	out := make(map[string]int64)
	for _, id := range a.contests.IDs() {
		if a.only != "" && id != a.only {
			continue
		}
		life, err := a.journal.Latest(ctx, id)
		if err != nil {
			return nil, err
		}
		out[id] = life
	}
	return out, nil
}

func (a *audit) account(contest string) *account {
	if of, ok := a.accounts[contest]; ok {
		return of
	}
	of := &account{
		contest: contestOf(a.contests, contest), rows: make(map[events.Channel]*auditRow),
		moving: moving{cells: make(map[cell]int64), votes: make(map[events.Channel]int64)},
	}
	if _, ok := a.contests.Contest(contest); ok {
		of.judge = rules.New(of.contest)
	}
	of.cast = counts.NewRecount(of.contest)
	a.accounts[contest] = of
	return of
}

func (of *account) row(channel events.Channel) *auditRow {
	if of.rows[channel] == nil {
		of.rows[channel] = &auditRow{Channel: channel}
	}
	return of.rows[channel]
}

// judged says what the rules make of a vote that was cast: as screen does.
func (of *account) judged(v events.Vote) (events.Vote, error) {
	no := events.Refuse(events.ContestUnknown, "contest", "contest", of.contest.ID)
	if of.judge != nil {
		var err error
		if no, err = of.judge.Judge(&v); err != nil {
			return events.Vote{}, err
		}
	}
	if no != nil {
		v.Reason, v.Field = no.Code, no.Field
	}
	return v, nil
}

// readCounts reads what Redis says. What is decided and not in the log yet is
// read first: what it was then may be in the figures, or not yet.
func (a *audit) readCounts(ctx context.Context) error {
	ids := slices.AppendSeq(a.contests.IDs(), maps.Keys(a.accounts))
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		if a.only != "" && id != a.only {
			continue
		}
		of := a.account(id)
		_, err := patiently(ctx, a.living, of.contest)
		if lost := new(counts.LifeError); errors.As(err, &lost) {
			of.lost = lost.Why
		} else if err != nil {
			return err
		}
		if of.pending, err = patiently(ctx, a.counts.Pending, of.contest); err != nil {
			return err
		}
		if of.redis.figures, err = patiently(ctx, a.counts.Figures, of.contest); err != nil {
			return err
		}
		if of.redis.tally, err = patiently(ctx, a.counts.Tally, of.contest); err != nil {
			return err
		}
	}
	return nil
}

// living returns the life of a contest's counts. That they have none is worth asking for
// once only.
func (a *audit) living(ctx context.Context, c events.Contest) (int64, error) {
	life, err := a.counts.Life(ctx, c)
	if errors.Is(err, counts.ErrLife) {
		err = backoff.Permanent(err)
	}
	return life, err
}

// askRedis bounds how often Redis is asked the same: at the height of a contest
// it may answer later than votes have time for, which an audit has.
const askRedis = 5

func patiently[T any](ctx context.Context, ask func(context.Context, events.Contest) (T, error), c events.Contest) (T, error) {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval = 50 * time.Millisecond
	return backoff.Retry(ctx, func() (T, error) { return ask(ctx, c) }, backoff.WithBackOff(pause), backoff.WithMaxTries(askRedis))
}
