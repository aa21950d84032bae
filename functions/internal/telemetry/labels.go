package telemetry

import (
	"slices"
	"sync"

	"marimba/events"
)

// Values of labels for what has none of its own. No contest and no code has a
// name of this form.
const (
	unknown = "_unknown"
	other   = "_other"
)

// maxContests bounds the contests that have figures of their own.
const maxContests = 200

// Known finds a contest by its id.
type Known interface {
	Contest(id string) (events.Contest, bool)
}

// contests are those that have been told of.
var contests struct {
	mu    sync.RWMutex
	known Known
	named map[string]bool // with a figure of their own
}

// Contests says which contests there are. Before that none is known.
func Contests(known Known) {
	contests.mu.Lock()
	defer contests.mu.Unlock()
	contests.known, contests.named = known, make(map[string]bool)
}

// contestLabel is a contest's id if there is such a contest, so that clients
// cannot make up figures.
func contestLabel(id string) string {
	contests.mu.RLock()
	known, named := contests.known, contests.named[id]
	contests.mu.RUnlock()
	if named {
		return id
	}
	if known == nil {
		return unknown
	}
	if _, ok := known.Contest(id); !ok {
		return unknown
	}
	contests.mu.Lock()
	defer contests.mu.Unlock()
	if len(contests.named) >= maxContests {
		return other
	}
	contests.named[id] = true
	return id
}

// codeLabel is the code of a refusal, if it is one of the house's.
func codeLabel(code events.Code) string {
	if slices.Contains(events.Codes, code) {
		return string(code)
	}
	return other
}

// causeLabel is why a dead letter died: a code, or what shelve says itself.
func causeLabel(cause string) string {
	switch cause {
	case "unreadable", "status", "no_answer":
		return cause
	}
	return codeLabel(events.Code(cause))
}

func channelLabel(channel events.Channel) string {
	if slices.Contains(events.Channels, channel) {
		return string(channel)
	}
	return other
}

func stateLabel(state events.State) string {
	if slices.Contains(events.States, state) {
		return string(state)
	}
	return other
}
