package local

import (
	"maps"
	"sync"
	"time"
)

// Kind says what an Event tells of.
type Kind string

// The kinds of events.
const (
	Ready       Kind = "ready"         // an instance takes requests; Took since its process started
	Answered    Kind = "answered"      // an instance gave its first answer; Took since its process started
	Stopped     Kind = "stopped"       // an instance ended because it was idle or the system stops
	Crashed     Kind = "crashed"       // an instance ended by itself, was killed, or did not start
	Retried     Kind = "retried"       // a source sends an event again
	DeadLetter  Kind = "dead-lettered" // a source gave an event up to the dead letter sink
	Unconfirmed Kind = "unconfirmed"   // the dead letter sink did not take an event; it is tried again
)

// Event is something that happened to a function.
type Event struct {
	Kind     Kind
	Function string
	PID      int           // of the process, 0 if none is meant
	Took     time.Duration // see Kind
	Err      error         // why, for the kinds that tell of a failure
}

// Figures count what happened to a function since the system started.
type Figures struct {
	Starts    int64 // processes that became ready
	Crashes   int64
	Delivered int64 // events that the function took from a source
	Retries   int64
	Dead      int64 // events that its source gave up on

	// ColdStarts are the times from the start of a process to its first answer,
	// the last hundred of them, oldest first.
	ColdStarts []time.Duration
}

const maxColdStarts = 100

// ledger keeps the figures of all functions and passes events on.
type ledger struct {
	onEvent func(Event)
	told    *told // for Prometheus
	mu      sync.Mutex
	figures map[string]Figures
}

func (l *ledger) note(e Event) {
	l.mu.Lock()
	f := l.figures[e.Function]
	switch e.Kind {
	case Ready:
		f.Starts++
	case Answered:
		f.ColdStarts = append(f.ColdStarts, e.Took)
		if over := len(f.ColdStarts) - maxColdStarts; over > 0 {
			f.ColdStarts = f.ColdStarts[over:]
		}
	case Crashed:
		f.Crashes++
	case Retried:
		f.Retries++
	case DeadLetter:
		f.Dead++
	}
	l.figures[e.Function] = f
	l.mu.Unlock()
	l.told.note(e)
	if l.onEvent != nil {
		l.onEvent(e)
	}
}

// delivered is apart from note, as it happens with every event.
func (l *ledger) delivered(function string) {
	l.mu.Lock()
	f := l.figures[function]
	f.Delivered++
	l.figures[function] = f
	l.mu.Unlock()
	l.told.delivered(function)
}

func (l *ledger) snapshot() map[string]Figures {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.figures)
}
