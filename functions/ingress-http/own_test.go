package main

import (
	"net/http"
	"strings"
	"testing"

	"marimba/events"
	"marimba/events/rules/rulestest"
	"marimba/functions/internal/desk"
)

// houseWith is a house whose contest rock has rules of its own.
func houseWith(rules events.Module) *house {
	ruled := contestsOf{"default": contests["default"], "rock": contests["rock"]}
	rock := ruled["rock"]
	rock.OpenRoster, rock.Rules = true, rules
	ruled["rock"] = rock
	twin := new(twin)
	in := newIngress(desk.New(ruled, keys), twin, nil, secrets)
	return &house{in, twin, in.routes()}
}

const live = `{"name":"Alux","album":"Conquista (en vivo)","year":1982,"rank":2}`

// A contest's own rule answers with its own words, by every door, and nothing of
// what it refuses is cast.
func TestOwnRule(t *testing.T) {
	h := houseWith(rulestest.Example(t))
	for say, w := range map[string]struct{ path, body string }{
		"vote":  {rock, live},
		"older": {"/wasm?contest=rock", live},
	} {
		w := h.post(t, w.path, w.body)
		wants(t, say, w, http.StatusUnprocessableEntity, events.RuleBroken, "album")
		if !strings.Contains(w.Body.String(), "Los discos en vivo no entran en este concurso") {
			t.Errorf("%s: its words are not in %s", say, w.Body)
		}
	}
	wants(t, "another contest", h.post(t, "/v1/contests/default/votes", live), http.StatusAccepted, "", "")
	wants(t, "no live album", h.post(t, rock, vote), http.StatusAccepted, "", "")
	if got := h.twin.cast(); len(got) != 2 {
		t.Errorf("cast are %q", got)
	}
}

// Rules that break are no verdict: the client is told to send the vote again.
func TestBrokenRules(t *testing.T) {
	h := houseWith(rulestest.Broken())
	wants(t, "vote", h.post(t, rock, vote), http.StatusServiceUnavailable, events.Unavailable, "")
	wants(t, "another contest", h.post(t, "/v1/contests/default/votes", vote), http.StatusAccepted, "", "")
	if got := h.twin.cast(); len(got) != 1 {
		t.Errorf("cast are %q", got)
	}
}
