package main

import (
	"strings"
	"testing"

	"marimba/events"
)

// rollOf is a roll of contests in memory.
type rollOf map[string]events.Contest

func (r rollOf) Contest(id string) (events.Contest, bool) { c, ok := r[id]; return c, ok }

// Without a command, or with one that there is not, books says what there is.
func TestUsage(t *testing.T) {
	for _, args := range [][]string{nil, {"burn"}} {
		err := run(t.Context(), args, nil)
		if err == nil {
			t.Fatalf("%v: no error", args)
		}
		for _, c := range commands {
			if !strings.Contains(err.Error(), "books "+c.name) {
				t.Errorf("%v: %q is not in %v", args, c.name, err)
			}
		}
	}
}

// A command without its settings says so, under its name.
func TestSettingsAreMissing(t *testing.T) {
	for _, c := range commands {
		if err := run(t.Context(), []string{c.name}, nil); err == nil || !strings.Contains(err.Error(), c.name+": ") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
