package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"time"

	"marimba/config"
	"marimba/events"
	"marimba/functions/internal/annul"
	"marimba/functions/internal/counts"
	"marimba/functions/internal/journal"
	"marimba/functions/internal/kafka"
)

const annulUsage = "usage: books annul propose|approve|revoke|reckon|list [-by NAME] [-reason TEXT] [-channel C] [-band B] [-from T] [-to T] CONTEST [CASE]"

func runAnnul(ctx context.Context, args, environ []string) (any, error) {
	if len(args) == 0 {
		return nil, errors.New(annulUsage)
	}
	act, list, err := readAct(args[0], args[1:])
	if err != nil {
		return nil, err
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
	s, err := settings{cfg.Redis, cfg.Mongo, cfg.Contests}.open()
	if err != nil {
		return nil, err
	}
	defer s.close()
	contest, ok := s.contests.Contest(act.Contest)
	if !ok {
		return nil, fmt.Errorf("there is no contest %q", act.Contest)
	}
	if list {
		book, err := annul.Read(ctx, s.journal, contest.ID)
		if err != nil {
			return nil, err
		}
		return annulledOf(book), nil
	}
	topics, err := kafka.Open(cfg.Kafka, clientName)
	if err != nil {
		return nil, err
	}
	defer topics.Close(ctx) //nolint:errcheck // never fails
	r := ruling{
		contest: contest, journal: s.journal, now: time.Now,
		at: closing{contests: s.contests, topics: topics, journal: s.journal, contest: contest.ID, landing: landing(cfg.DeliveryTimeout), now: time.Now},
	}
	done, err := r.add(ctx, act)
	if err != nil {
		return nil, err
	}
	return done, nil
}

// readAct reads what is to be done.
func readAct(verb string, args []string) (a annul.Act, list bool, err error) {
	flags := flag.NewFlagSet("annul "+verb, flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the error says it
	flags.StringVar(&a.By, "by", "", "who does it")
	flags.StringVar(&a.Reason, "reason", "", "why")
	var f annul.Filter
	var from, to string
	flags.StringVar((*string)(&f.Channel), "channel", "", "votes that came in by this channel")
	flags.StringVar(&f.Band, "band", "", "votes for this band")
	flags.StringVar(&from, "from", "", "votes received at this time or later")
	flags.StringVar(&to, "to", "", "votes received before this time")
	if err := flags.Parse(args); err != nil {
		return a, false, err
	}
	rest := 1
	switch a.Kind = annul.Kind(verb); a.Kind {
	case annul.Propose:
		a.Filter = &f
	case annul.Approve, annul.Revoke:
		rest = 2
	case annul.Reckon:
	case "list":
		list = true
	default:
		return a, false, errors.New(annulUsage)
	}
	if flags.NArg() != rest {
		return a, false, errors.New(annulUsage)
	}
	a.Contest = flags.Arg(0)
	if rest == 2 {
		if a.Case, err = strconv.Atoi(flags.Arg(1)); err != nil {
			return a, false, fmt.Errorf("%q is not the number of a case", flags.Arg(1))
		}
	}
	if f.From, err = timeOf("from", from); err == nil {
		f.To, err = timeOf("to", to)
	}
	if err == nil && a.Kind != annul.Propose && f != (annul.Filter{}) {
		err = fmt.Errorf("%s takes no filter: it is that of the case", verb)
	}
	return a, list, err
}

func timeOf(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("-%s: %q is not a time such as 2026-11-24T22:00:00-06:00", flag, text)
	}
	return t.UTC(), nil
}

// ruling adds an act to a contest's book.
type ruling struct {
	contest events.Contest
	journal ruled
	at      closing
	now     func() time.Time
}

// ruled is the log, and the acts about it.
type ruled interface {
	logged
	annul.Kept
	annul.Keeper
	Statement(ctx context.Context, contest string) (journal.Statement, bool, error)
}

// triesOfRuling bounds how often an act is made again because another came first.
const triesOfRuling = 5

// annulled is what a contest's book has come to.
type annulled struct {
	Contest  string                   `json:"contest"`
	Act      *annul.Act               `json:"act,omitempty"` // that was added
	Cases    []*annul.Case            `json:"cases"`
	InForce  []int                    `json:"in_force"`
	Votes    int64                    `json:"votes"` // that are annulled now
	Channels map[events.Channel]int64 `json:"channels"`
	Replaced int64                    `json:"replaced"`
}

func annulledOf(b *annul.Book) annulled {
	out := annulled{Contest: b.Contest, Cases: b.Cases, InForce: []int{}, Channels: map[events.Channel]int64{}, Votes: b.Effect.Votes()}
	if out.Cases == nil {
		out.Cases = []*annul.Case{}
	}
	if b.Effect != nil {
		out.InForce, out.Channels, out.Replaced = b.Effect.InForce, b.Effect.Channels, b.Effect.Replaced
	}
	return out
}

func (r ruling) add(ctx context.Context, a annul.Act) (annulled, error) {
	if err := r.fixed(ctx); err != nil {
		return annulled{}, err
	}
	for range triesOfRuling {
		book, err := annul.Read(ctx, r.journal, r.contest.ID)
		if err != nil {
			return annulled{}, err
		}
		err = r.once(ctx, book, a)
		if errors.Is(err, journal.ErrRuled) {
			continue // somebody was faster: what this act may do is looked at again
		}
		if err != nil {
			return annulled{}, err
		}
		done := annulledOf(book)
		done.Act = &book.Acts[len(book.Acts)-1]
		return done, nil
	}
	return annulled{}, fmt.Errorf("others were faster %d times: try again", triesOfRuling)
}

func (r ruling) once(ctx context.Context, book *annul.Book, a annul.Act) error {
	old, err := book.Clone()
	if err != nil {
		return err
	}
	a.Number, a.At = len(book.Acts)+1, r.now().UTC().Truncate(time.Millisecond)
	changes, err := book.Add(a)
	if err != nil {
		return err
	}
	added := &book.Acts[len(book.Acts)-1]
	switch {
	case changes:
		if added.Effect, err = r.reckon(ctx, old, book, a.At); err != nil {
			return err
		}
		book.Effect = added.Effect
	case a.Kind == annul.Propose:
		alone, err := r.reckon(ctx, &annul.Book{}, annul.Alone(*a.Filter), a.At)
		if err != nil {
			return err
		}
		added.Votes = alone.Votes()
		book.Case(a.Number).Votes = added.Votes
	}
	return book.Keep(ctx, r.journal)
}

// reckon reads the log.
func (r ruling) reckon(ctx context.Context, old, now *annul.Book, at time.Time) (*annul.Effect, error) {
	reckoning := annul.NewReckoning(r.contest, old, now)
	for e, err := range r.journal.Entries(ctx, r.contest.ID) {
		if err != nil {
			return nil, err
		}
		if err := reckoning.Add(counts.Entry{ID: e.ID, Box: e.Box}, e.States); err != nil {
			return nil, err
		}
	}
	return reckoning.Effect(at)
}

// fixed returns an error unless the contest's votes are a set that does not change
// any more.
func (r ruling) fixed(ctx context.Context) error {
	_, final, err := r.journal.Statement(ctx, r.contest.ID)
	if err != nil || final {
		return err
	}
	if phase := r.contest.PhaseAt(r.now()); phase != events.Closed {
		return fmt.Errorf("%s is %s: votes are annulled when it has closed", r.contest.ID, phase)
	}
	if landed := r.contest.ClosesAt.Add(r.at.landing); r.now().Before(landed) {
		return fmt.Errorf("votes that %s received in time may still come in until %s", r.contest.ID, landed.UTC().Format(time.RFC3339))
	}
	if _, _, err := r.at.untilHandled(ctx); err != nil {
		return fmt.Errorf("the votes of %s are not all counted: %w", r.contest.ID, err)
	}
	for letter, err := range r.at.journal.Dead(ctx, journal.Shelved, r.contest.ID) {
		if err != nil {
			return err
		}
		if letter.Votes > 0 {
			return fmt.Errorf("votes of %s are dead and may be replayed: do that, or make it final without them", r.contest.ID)
		}
	}
	return nil
}
