package main

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"marimba/events"
	"marimba/events/rules/rulestest"
)

// doorWith is a door whose contest rock has rules of its own.
func doorWith(t *testing.T, rules events.Module) *door {
	rock := twoContests[1]
	rock.OpenRoster, rock.Rules = true, rules
	return newDoor(t, new(casterTwin), twoContests[0], rock)
}

// A contest's own rule refuses with its own words.
func TestOwnRule(t *testing.T) {
	d := doorWith(t, rulestest.Example(t))
	live := vote("Trébol")
	live.Contest, live.Album = "rock", "Conquista (en vivo)"
	_, err := d.votes.Cast(t.Context(), live)
	refusedAs(t, status.Convert(err), codes.InvalidArgument, events.RuleBroken, "album")
	live.Album = "Conquista"
	if _, err := d.votes.Cast(t.Context(), live); err != nil {
		t.Error(err)
	}
}

// Rules that break are no verdict: the client may send the vote again.
func TestBrokenRules(t *testing.T) {
	d := doorWith(t, rulestest.Broken())
	v := vote("Trébol")
	v.Contest = "rock"
	_, err := d.votes.Cast(t.Context(), v)
	refusedAs(t, status.Convert(err), codes.Unavailable, events.Unavailable, "")
	if len(d.cast) > 0 {
		t.Errorf("cast are %+v", d.cast)
	}
	if _, err := d.votes.Cast(t.Context(), vote("Trébol")); err != nil {
		t.Errorf("of another contest: %v", err)
	}
}
