// Package judges has the rules of each contest ready for judging, as the contest
// stands now: one that is amended is judged by its new rules from the next vote
// on.
package judges

import (
	"sync"

	"marimba/events"
	"marimba/events/rules"
)

// Contests finds a contest by its id, as it stands now.
type Contests interface {
	Contest(id string) (events.Contest, bool)
}

// Judges may be used by many goroutines.
type Judges struct {
	contests Contests

	mu    sync.RWMutex
	ready map[string]judge // by contest
}

// judge is the rules of one revision of a contest.
type judge struct {
	revision string
	rules    *rules.Rules
}

// Of returns judges for the contests that there are. The rules of a contest are
// made ready when they are first needed.
func Of(contests Contests) *Judges {
	rules.Warm() // while the function connects, and its first vote is on its way
	return &Judges{contests: contests, ready: make(map[string]judge)}
}

// For returns the rules of a contest, or nil if there is no such contest.
func (j *Judges) For(contest string) *rules.Rules {
	c, ok := j.contests.Contest(contest)
	if !ok {
		return nil
	}
	j.mu.RLock()
	known, ok := j.ready[contest]
	j.mu.RUnlock()
	if ok && known.revision == c.Revision {
		return known.rules
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if known, ok = j.ready[contest]; !ok || known.revision != c.Revision {
		known = judge{c.Revision, rules.New(c)}
		j.ready[contest] = known
	}
	return known.rules
}
