package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"marimba/events"
	"marimba/functions/internal/mend"
)

// recountOf answers for each contest what a recount of it does.
type recountOf map[string]func(c events.Contest) (mend.Result, error)

func (r recountOf) Recount(_ context.Context, c events.Contest) (mend.Result, error) {
	return r[c.ID](c)
}

// Each contest is recounted, as its file says; one that fails does not keep the
// others from it, and the result says what was found.
func TestRecount(t *testing.T) {
	away := errors.New("away")
	m := recountOf{
		"rock": func(c events.Contest) (mend.Result, error) {
			if c.Shards != 3 {
				t.Errorf("its file was not asked: %+v", c)
			}
			return mend.Result{Contest: "rock", Life: 4, Boxes: 2, Votes: 20, Cause: "recount", Found: mend.Found{Votes: 18}, Held: 250 * time.Millisecond, Took: time.Second}, nil
		},
		"lost": func(events.Contest) (mend.Result, error) { return mend.Result{}, away },
		"gone": func(events.Contest) (mend.Result, error) {
			return mend.Result{Contest: "gone", Life: 1, Boxes: 1, Votes: 5, Void: 1, Found: mend.Found{Difference: "La Tona: 4 and 5"}, Held: time.Second}, nil
		},
	}
	done, err := recount(t.Context(), rollOf{"rock": {ID: "rock", Shards: 3}}, []string{"rock", "lost", "gone"}, m)
	if !errors.Is(err, away) || !strings.Contains(err.Error(), "lost: ") {
		t.Errorf("got %v", err)
	}
	got, err := json.Marshal(done)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"contests":2,"boxes":3,"votes":25,"different":1,"seconds_held":1,"results":[` +
		`{"contest":"rock","life":4,"boxes":2,"votes":20,"cause":"recount","found":{"votes":18,"pending":0},"seconds_held":0.25,"seconds":1},` +
		`{"contest":"gone","life":1,"boxes":1,"votes":5,"void":1,"cause":"","found":{"votes":0,"pending":0,"difference":"La Tona: 4 and 5"},"seconds_held":1,"seconds":0}],"boxes_sent":0,"votes_sent":0}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// What recount cannot do it says, before it looks at any store.
func TestRecountIsToldTooMuch(t *testing.T) {
	for say, args := range map[string][]string{
		"is neither log nor kafka": {"--from", "memory"},
		"is too much":              {"rock"},
		"not defined":              {"--board", "rock"},
	} {
		if _, err := runRecount(t.Context(), args, nil); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%v: %v", args, err)
		}
	}
}
