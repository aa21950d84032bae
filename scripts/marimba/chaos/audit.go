package main

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

// audited is what `books audit` says, as far as it matters here.
type audited struct {
	Agree    bool  `json:"agree"`
	InFlight int64 `json:"in_flight"`
	Contests []struct {
		Contest string `json:"contest"`
		Total   struct {
			Cast      int64 `json:"cast"`
			Counted   int64 `json:"counted"`
			Duplicate int64 `json:"duplicate"`
			OverLimit int64 `json:"over_limit"`
			Refused   int64 `json:"refused"`
			Dead      int64 `json:"dead"`
		} `json:"total"`
	} `json:"contests"`
	Faults []struct {
		Check string `json:"check"`
		Says  string `json:"says"`
	} `json:"faults"`
}

// counted returns the counted votes of a contest.
func (a audited) counted(contest string) int64 {
	for _, c := range a.Contests {
		if c.Contest == contest {
			return c.Total.Counted
		}
	}
	return 0
}

// settle waits until the sources have delivered all, and then audits until nothing
// is on its way and all agree, and returns the last audit. An error is of the audit
// itself; whether the books balance is in it. It does not audit before: an audit
// reads the whole log, from a store that others are waiting for.
func (w *world) settle(ctx context.Context) (audited, error) {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	var last audited
	for {
		left, err := behind(ctx, w.kafka.Address)
		if err == nil && left == 0 {
			var a audited
			if a, err = w.audit(ctx); err == nil {
				last = a
				if a.Agree && a.InFlight == 0 {
					return a, nil
				}
			}
		}
		select {
		case <-ctx.Done():
			if err == nil && left > 0 {
				err = fmt.Errorf("%d events are still to be delivered", left)
			}
			if err != nil {
				return last, errors.Join(err, ctx.Err())
			}
			return last, nil
		case <-time.After(auditEvery):
		}
	}
}

func (w *world) audit(ctx context.Context) (audited, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(w.house.bin, "books"), "audit")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	cmd.Env = w.environment()
	var out, fault bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &fault
	err := cmd.Run()
	var a audited
	if broken := json.Unmarshal(out.Bytes(), &a); broken != nil {
		return audited{}, fmt.Errorf("audit: %w: %s", errors.Join(err, broken), bytes.TrimSpace(fault.Bytes()))
	}
	return a, nil // that the books do not agree is in the audit
}
