package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"marimba/config/voterkey"
	"marimba/events"
	"marimba/functions/internal/journal"
	"marimba/functions/internal/voter"
)

// forgetLog is a log that notes in memory, and may fail after it has.
type forgetLog struct {
	final bool
	noted *journal.Forgetting
	fails error // of Destroyed, once
}

func (l *forgetLog) Statement(context.Context, string) (journal.Statement, bool, error) {
	return journal.Statement{}, l.final, nil
}

func (l *forgetLog) Forget(_ context.Context, f journal.Forgetting) (journal.Forgetting, error) {
	if l.noted == nil {
		l.noted = &f
	}
	return *l.noted, nil
}

func (l *forgetLog) Destroyed(_ context.Context, _ string, at time.Time) error {
	if err := l.fails; err != nil {
		l.fails = nil
		return err
	}
	l.noted.Done = at
	return nil
}

func (l *forgetLog) Forgotten(context.Context, string) (journal.Forgetting, bool, error) {
	if l.noted == nil {
		return journal.Forgetting{}, false, nil
	}
	return *l.noted, true, nil
}

// keysIn lays keys for a contest that is over and for another one.
func keysIn(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := voterkey.Lay(dir, []events.Contest{finale, {ID: "jazz"}}, true, closes); err != nil {
		t.Fatal(err)
	}
	return dir
}

func forgetIn(dir string, after time.Duration) forgetting {
	c := finale
	c.AppealDays = 30
	return forgetting{contest: c, by: "Ana", reason: "appeals are over", dir: dir, now: func() time.Time { return closes.Add(after) }}
}

const day = 24 * time.Hour

// A key is destroyed when its contest is final and the appeals are over, not before;
// what was done is noted, with the key's digest, and other contests' keys stay.
func TestForget(t *testing.T) {
	dir := keysIn(t)
	log := &forgetLog{}
	refused := func(f forgetting, want string) {
		t.Helper()
		if _, err := f.run(t.Context(), log); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		if _, ok, _ := voterkey.Has(dir, finale.ID); !ok || log.noted != nil {
			t.Fatalf("%s, and the key is gone, or that is noted", want)
		}
	}
	refused(forgetIn(dir, 40*day), "not final")
	log.final = true
	refused(forgetIn(dir, 30*day-1), "appealed against until 2026-12-24")
	refused(forgetIn(t.TempDir(), 40*day), "no voter key of its own")
	ugly := forgetIn(dir, 40*day)
	ugly.by = " Ana"
	refused(ugly, "clean form")

	digest, _, _ := voterkey.Has(dir, finale.ID)
	done, err := forgetIn(dir, 30*day).run(t.Context(), log)
	if err != nil || done.Digest != digest || done.By != "Ana" || !done.Done.Equal(closes.Add(30*day)) {
		t.Fatalf("got %+v, %v", done, err)
	}
	if _, ok, err := voterkey.Has(dir, finale.ID); ok || err != nil {
		t.Errorf("the key is there: %v", err)
	}
	if _, ok, err := voterkey.Has(dir, "jazz"); !ok || err != nil {
		t.Errorf("another contest's key is gone: %v", err)
	}
	again, err := forgetIn(dir, 50*day).run(t.Context(), log)
	if err != nil || again != done {
		t.Errorf("again: %+v, %v", again, err)
	}
}

// One that was cut off after the key was destroyed is brought to its end by the next.
func TestForgetIsBegunAgain(t *testing.T) {
	dir := keysIn(t)
	log := &forgetLog{final: true, fails: errors.New("cut off")}
	if _, err := forgetIn(dir, 40*day).run(t.Context(), log); err == nil {
		t.Fatal("it is not cut off")
	}
	if !log.noted.Done.IsZero() {
		t.Error("it is noted as done")
	}
	if done, err := forgetIn(dir, 41*day).run(t.Context(), log); err != nil || done.Done.IsZero() || !done.At.Equal(closes.Add(40*day)) {
		t.Errorf("got %+v, %v", done, err)
	}
}

// A key that is elsewhere is destroyed by who has it: first that is said, then it is
// noted.
func TestForgetElsewhere(t *testing.T) {
	log := &forgetLog{final: true}
	f := forgetIn("", 40*day)
	if done, err := f.run(t.Context(), log); err != nil || !done.Elsewhere || log.noted != nil {
		t.Errorf("got %+v, %v", done, err)
	}
	f.destroyed, f.digest = true, strings.Repeat("ab", 32)
	if done, err := f.run(t.Context(), log); err != nil || done.Elsewhere || done.Digest != f.digest || done.Done.IsZero() {
		t.Errorf("got %+v, %v", done, err)
	}
}

// When a contest is forgotten its books balance as before: limits, duplicates and
// replaced votes are held by the keys that are in the log, of which nobody can tell
// any more whose they are.
func TestBooksBalanceWhenVotersAreForgotten(t *testing.T) {
	dir := t.TempDir()
	contests := []events.Contest{testContests["each"], testContests["latest"]}
	if err := voterkey.Lay(dir, contests, true, noon); err != nil {
		t.Fatal(err)
	}
	keys := voter.Keys{Secret: "s", Files: voter.NewFiles(dir)}
	h := newHouse(t)
	var anas []byte
	for _, c := range contests {
		for range 2 {
			key, err := keys.Key(c.ID, "ana")
			if err != nil {
				t.Fatal(err)
			}
			anas = key
			b := h.box(c.ID, events.ByHTTP, events.Vote{Name: "Trébol", VoterKey: key})
			h.cast(b)
			h.carry(b)
		}
	}
	before := h.audited(h.audit())
	for _, c := range contests {
		f := forgetting{contest: c, by: "Ana", reason: "over", dir: dir, now: func() time.Time { return noon }}
		if _, err := f.run(t.Context(), &forgetLog{final: true}); err != nil {
			t.Fatal(err)
		}
	}
	after := h.audited(h.audit())
	if !before.Agree || !after.Agree || before.Contests[0].Total != after.Contests[0].Total || before.Contests[1].Total != after.Contests[1].Total {
		t.Errorf("before\n%s, after\n%s", told(before), told(after))
	}
	if after.Contests[0].Total.OverLimit != 1 {
		t.Errorf("each: %+v", after.Contests[0].Total)
	}
	key, err := voter.Keys{Secret: "s", Files: voter.NewFiles(dir)}.Key("latest", "ana")
	if err == nil && string(key) == string(anas) {
		t.Error("the key can be made again")
	}
}
