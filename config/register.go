package config

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"marimba/events"
)

// lookEvery is how often a register looks at its folder. A change is taken when
// two looks saw it alike, so within twice this time.
const lookEvery = time.Second

// Register is the roll as it stands now: an amendment of a contest reaches a
// function that is awake without a new start. It is safe for concurrent use.
//
// A folder that becomes faulty leaves the roll as it was, so that one bad file
// does not stop a function at work. It is told once.
type Register struct {
	contests Contests
	roll     atomic.Pointer[Roll]

	// Of the goroutine that looks.
	taken, seen folder // when it was read last, and at the last look
	told        string // the fault that it has
}

// Follow reads the contests, and again when their folder changes, until ctx ends.
// The error tells all faults as Load does. Files are best replaced by a rename,
// and a mounted ConfigMap is: what is being written while it is looked at is left
// until it rests.
func (c Contests) Follow(ctx context.Context) (*Register, error) {
	r := &Register{contests: c}
	if err := r.open(); err != nil {
		return nil, err
	}
	if c.Dir != "" { // what is built in does not change
		go r.follow(ctx)
	}
	return r, nil
}

// open reads the roll for the first time. The folder is looked at before: what
// changes while it is read is read again.
func (r *Register) open() error {
	if r.contests.Dir != "" {
		r.seen, _ = lookAt(r.contests.Dir) // Load tells why it cannot be read
		r.taken = r.seen
	}
	roll, err := r.contests.Load()
	if err != nil {
		return err
	}
	r.roll.Store(roll)
	return nil
}

// Contest returns the contest of an id as it stands now, and whether there is
// one. What it holds must not be changed.
func (r *Register) Contest(id string) (events.Contest, bool) { return r.roll.Load().Contest(id) }

// IDs returns the ids of all contests that there are now, sorted.
func (r *Register) IDs() []string { return r.roll.Load().IDs() }

func (r *Register) follow(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			r.look()
		case <-ctx.Done():
			return
		}
	}
}

// look reads the folder if it has changed and rests.
func (r *Register) look() {
	now, err := lookAt(r.contests.Dir)
	if err != nil {
		r.fault(err)
		return
	}
	rests := now.same(r.seen)
	r.seen = now
	if now.same(r.taken) {
		r.told = "" // it is as it was: what was wrong with it has been taken back
		return
	}
	if !rests {
		return
	}
	before := r.roll.Load()
	roll, err := r.contests.loadAfter(before)
	if err != nil {
		r.fault(err) // and it is read again at the next look
		return
	}
	r.taken = now
	r.roll.Store(roll)
	r.told = ""
	if changes := before.changes(roll); len(changes) > 0 {
		slog.Info("contests have changed", "contests", changes)
	}
}

// fault tells of a folder that cannot be taken, once for each fault.
func (r *Register) fault(err error) {
	if text := err.Error(); text != r.told {
		r.told = text
		slog.Error("contests stay as they were", "error", err)
	}
}

// changes returns the ids of the contests that are new, gone or not the same.
func (r *Roll) changes(next *Roll) []string {
	var ids []string
	for id, c := range next.contests {
		if old, ok := r.contests[id]; !ok || old.Revision != c.Revision {
			ids = append(ids, id)
		}
	}
	for id := range r.contests {
		if _, ok := next.contests[id]; !ok {
			ids = append(ids, id)
		}
	}
	return ids
}

// folder is what a look saw of a folder's contest files.
type folder map[string]fs.FileInfo

// lookAt looks at the files themselves where the entries are links to them, as in
// a mounted ConfigMap.
func lookAt(dir string) (folder, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	seen := make(folder)
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasSuffix(name, ".yaml") || strings.HasPrefix(name, ".") {
			continue
		}
		info, err := os.Stat(dir + string(os.PathSeparator) + name)
		if err != nil {
			return nil, fmt.Errorf("look at contests: %w", err)
		}
		seen[name] = info
	}
	return seen, nil
}

func (f folder) same(other folder) bool {
	if len(f) != len(other) {
		return false
	}
	for name, a := range f {
		b, ok := other[name]
		if !ok || !os.SameFile(a, b) || a.Size() != b.Size() || !a.ModTime().Equal(b.ModTime()) {
			return false
		}
	}
	return true
}
