package house

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Bounds of the wait until the books balance after a round.
const (
	settleTimeout = 3 * time.Minute
	auditEvery    = 500 * time.Millisecond
)

// Audited is what `books audit` says, as far as it matters here.
type Audited struct {
	Agree    bool  `json:"agree"`
	InFlight int64 `json:"in_flight"`
	Contests []struct {
		Contest string `json:"contest"`
		Total   struct {
			Cast      int64 `json:"cast"`
			Counted   int64 `json:"counted"`
			Annulled  int64 `json:"annulled"`
			Duplicate int64 `json:"duplicate"`
			OverLimit int64 `json:"over_limit"`
			Refused   int64 `json:"refused"`
			Dead      int64 `json:"dead"`
		} `json:"total"`
		Log struct {
			Leaves   int64 `json:"leaves"`
			Unsealed int64 `json:"unsealed"`
			Shelved  int64 `json:"shelved"`
		} `json:"public_log"`
	} `json:"contests"`
	Faults []struct {
		Check string `json:"check"`
		Says  string `json:"says"`
	} `json:"faults"`
}

// Counted returns the counted votes of a contest.
func (a Audited) Counted(contest string) int64 {
	for _, c := range a.Contests {
		if c.Contest == contest {
			return c.Total.Counted
		}
	}
	return 0
}

// Sealed reports whether each counted vote has its leaf in the public log.
func (a Audited) Sealed() bool {
	for _, c := range a.Contests {
		if c.Log.Unsealed+c.Log.Shelved > 0 || c.Log.Leaves != c.Total.Counted+c.Total.Annulled {
			return false
		}
	}
	return true
}

// Settle waits until the sources have delivered all, and then audits until nothing
// is on its way, all agree and each counted vote is sealed, and returns the last audit. An error is of the audit
// itself; whether the books balance is in it. It does not audit before: an audit
// reads the whole log, from a store that others are waiting for.
func Settle(ctx context.Context, bin string, env []string, broker string) (Audited, error) {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	var last Audited
	var audited bool
	for {
		left, err := Behind(ctx, broker)
		if err == nil && left == 0 {
			var a Audited
			if a, err = Audit(ctx, bin, env); err == nil {
				last, audited = a, true
				if a.Agree && a.InFlight == 0 && a.Sealed() {
					return a, nil
				}
			}
		}
		select {
		case <-ctx.Done():
			switch {
			case err == nil && left > 0:
				err = fmt.Errorf("%d events are still to be delivered", left)
			case audited: // the one that time ran out on says less than the one before it
				err = nil
			}
			if err != nil {
				return last, errors.Join(err, ctx.Err())
			}
			return last, nil
		case <-time.After(auditEvery):
		}
	}
}

// Audit audits once. That the books do not agree is in what it returns.
func Audit(ctx context.Context, bin string, env []string) (Audited, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "books"), "audit")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	cmd.Env = env
	var out, fault bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &fault
	err := cmd.Run()
	var a Audited
	if broken := json.Unmarshal(out.Bytes(), &a); broken != nil {
		return Audited{}, fmt.Errorf("audit: %w: %s", errors.Join(err, broken), bytes.TrimSpace(fault.Bytes()))
	}
	return a, nil // that the books do not agree is in the audit
}
