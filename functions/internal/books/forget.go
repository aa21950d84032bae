package main

import (
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"marimba/config"
	"marimba/config/voterkey"
	"marimba/events"
	"marimba/functions/internal/journal"
)

func runForget(ctx context.Context, args, environ []string) (any, error) {
	flags := flag.NewFlagSet("forget", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the error says it
	f := forgetting{now: time.Now}
	flags.StringVar(&f.by, "by", "", "who decides it")
	flags.StringVar(&f.reason, "reason", "", "why")
	flags.StringVar(&f.dir, "keys", "", "folder of the voter keys; empty: they are elsewhere")
	flags.BoolVar(&f.destroyed, "destroyed", false, "the key was destroyed elsewhere: note it")
	flags.StringVar(&f.digest, "sha256", "", "of a key that was destroyed elsewhere")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() != 1 || f.by == "" || f.reason == "" || f.destroyed && f.dir != "" {
		return nil, errors.New("usage: books forget -by NAME -reason TEXT {-keys FOLDER | [-destroyed] [-sha256 DIGEST]} CONTEST")
	}
	var cfg struct {
		config.Mongo
		config.Contests
	}
	if err := config.Load(&cfg, environ); err != nil {
		return nil, err
	}
	contests, err := cfg.Contests.Load()
	if err != nil {
		return nil, err
	}
	var ok bool
	if f.contest, ok = contests.Contest(flags.Arg(0)); !ok {
		return nil, fmt.Errorf("there is no contest %q", flags.Arg(0))
	}
	log, err := journal.Open(cfg.Mongo)
	if err != nil {
		return nil, err
	}
	defer log.Close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing was appended
	done, err := f.run(ctx, log)
	if err != nil {
		return nil, err
	}
	return done, nil
}

// forgetful is the log, as far as forgetting needs it.
type forgetful interface {
	Statement(ctx context.Context, contest string) (journal.Statement, bool, error)
	Forget(ctx context.Context, f journal.Forgetting) (journal.Forgetting, error)
	Destroyed(ctx context.Context, contest string, at time.Time) error
	Forgotten(ctx context.Context, contest string) (journal.Forgetting, bool, error)
}

// forgetting destroys the key that a contest's voters' keys are made with. It may be
// cut off anywhere and begun again: it is noted first, and noted as done when the
// key is gone.
type forgetting struct {
	contest            events.Contest
	by, reason, digest string
	dir                string // of the keys; empty: they are elsewhere
	destroyed          bool   // elsewhere, by who calls
	now                func() time.Time
}

// forgottenKey is what forgetting has come to. Elsewhere says that nothing was done:
// the key has to be destroyed where it is.
type forgottenKey struct {
	Contest   string    `json:"contest"`
	Elsewhere bool      `json:"elsewhere,omitempty"`
	At        time.Time `json:"at,omitzero"`
	By        string    `json:"by,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	Digest    string    `json:"key_sha256,omitempty"`
	Done      time.Time `json:"destroyed_at,omitzero"`
}

func (f forgetting) run(ctx context.Context, log forgetful) (forgottenKey, error) {
	if err := f.allowed(ctx, log); err != nil {
		return forgottenKey{}, err
	}
	noted, known, err := log.Forgotten(ctx, f.contest.ID)
	if err != nil {
		return forgottenKey{}, err
	}
	if f.dir == "" && !f.destroyed && !known {
		return forgottenKey{Contest: f.contest.ID, Elsewhere: true}, nil
	}
	if !known {
		if noted, err = f.note(ctx, log); err != nil {
			return forgottenKey{}, err
		}
	}
	if f.dir != "" {
		if err := voterkey.Destroy(f.dir, f.contest.ID); err != nil {
			return forgottenKey{}, err
		}
	}
	if noted.Done.IsZero() && (f.dir != "" || f.destroyed) {
		noted.Done = f.now().UTC().Truncate(time.Millisecond)
		if err := log.Destroyed(ctx, f.contest.ID, noted.Done); err != nil {
			return forgottenKey{}, err
		}
	}
	return forgottenKey{
		Contest: f.contest.ID, At: noted.At, By: noted.By, Reason: noted.Reason, Digest: noted.Digest, Done: noted.Done,
	}, nil
}

// note notes what is about to be destroyed.
func (f forgetting) note(ctx context.Context, log forgetful) (journal.Forgetting, error) {
	digest := f.digest
	if f.dir != "" {
		own, ok, err := voterkey.Has(f.dir, f.contest.ID)
		if err != nil {
			return journal.Forgetting{}, err
		}
		if !ok {
			return journal.Forgetting{}, fmt.Errorf("%s has no voter key of its own: its voters' keys are made from VOTER_SECRET, as those of other contests are, and can be forgotten only with all of them", f.contest.ID)
		}
		digest = own
	}
	return log.Forget(ctx, journal.Forgetting{Contest: f.contest.ID, At: f.now(), By: f.by, Reason: f.reason, Digest: digest})
}

// allowed returns an error unless the contest is final and the time for appeals is
// over.
func (f forgetting) allowed(ctx context.Context, log forgetful) error {
	for flag, text := range map[string]string{"by": f.by, "reason": f.reason} {
		if clean, no := events.CleanText(flag, text, 500); no != nil || clean != text {
			return fmt.Errorf("-%s: %q is longer than 500 or not in its clean form", flag, text)
		}
	}
	if sum, err := hex.DecodeString(f.digest); err != nil || len(sum) != 0 && len(sum) != 32 {
		return fmt.Errorf("-sha256: %q is not 64 hexadecimal digits", f.digest)
	}
	_, final, err := log.Statement(ctx, f.contest.ID)
	if err != nil {
		return err
	}
	if !final {
		return fmt.Errorf("%s is not final: until then its voters' limits have to be kept", f.contest.ID)
	}
	if over := f.contest.ClosesAt.AddDate(0, 0, f.contest.AppealDays); f.now().Before(over) {
		return fmt.Errorf("%s may be appealed against until %s (appeal_days: %d)", f.contest.ID, over.UTC().Format(time.RFC3339), f.contest.AppealDays)
	}
	return nil
}
