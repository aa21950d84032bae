package main

import (
	"context"
	"testing"
	"time"

	"marimba/events"
	"marimba/functions/internal/counts"
	"marimba/functions/internal/journal"
	"marimba/functions/internal/journal/journaltest"
	"marimba/functions/internal/mend"
)

// mendingTwin notes whose counts were to be rebuilt.
type mendingTwin []string

func (m *mendingTwin) Begin(c events.Contest) { *m = append(*m, c.ID) }

// Who looks at a board whose counts are lost has them rebuilt, once a second at
// most; not those of a contest that never had a vote.
func TestLookAtLostCounts(t *testing.T) {
	h := newHouse(t.Context())
	now := noon
	h.now = func() time.Time { return now }
	look := func(path string) {
		t.Helper()
		if answer := h.get(t, path); answer.Code != 200 {
			t.Errorf("%s: %d", path, answer.Code)
		}
	}
	look("/v1/contests/rock/board")
	h.redis.dead = true
	now = now.Add(lookEvery)
	look("/v1/contests/rock/board")
	if len(h.mended) != 0 {
		t.Errorf("without a vote, rebuilt were %v", h.mended)
	}
	h.mongo.lives = 3
	now = now.Add(lookEvery)
	look("/v1/contests/rock/board")
	look("/v1/contests/rock/balance")
	look("/v1/contests/default/balance")
	now = now.Add(lookEvery)
	look("/v1/contests/rock/board")
	if want := []string{"rock", "default", "rock"}; len(h.mended) != 3 || h.mended[0] != want[0] || h.mended[1] != want[1] || h.mended[2] != want[2] {
		t.Errorf("rebuilt were %v", h.mended)
	}
	h.redis.dead = false
	now = now.Add(lookEvery)
	look("/v1/contests/rock/board")
	if len(h.mended) != 3 {
		t.Errorf("rebuilt were %v, and the counts live", h.mended)
	}
}

// Counts that Redis lost after the last vote come back when somebody looks.
func TestLostCountsComeBack(t *testing.T) {
	store, server := embedded(t)
	ctx, log, c := t.Context(), journaltest.New(), twoContests[1]
	mender := mend.New(store, log)
	if _, _, err := mender.Mend(ctx, c); err != nil {
		t.Fatal(err)
	}
	entry := counts.Entry{ID: "box/accepted", Box: events.Box{ID: "box", Contest: c.ID, Channel: events.ByGRPC, Votes: []events.Vote{
		{ID: "1", Name: "Trébol", Album: "Uno", Year: 1999, Rank: 100, At: noon},
	}}}
	answer, err := store.Count(ctx, c, entry)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.Append(ctx, journal.Entry{ID: entry.ID, Box: entry.Box, Attempt: answer.Attempt, States: answer.States}); err != nil {
		t.Fatal(err)
	}
	if err := store.Settle(ctx, c, entry, answer, answer.Attempt); err != nil {
		t.Fatal(err)
	}
	server.FlushAll()

	process, end := context.WithCancel(ctx)
	defer end()
	keeper := mend.NewKeeper(process, mender)
	newLost(store, log, keeper, time.Now).look(ctx, c)
	if err := keeper.Wait(ctx, c); err != nil { // the same mending, or one that finds it done
		t.Fatal(err)
	}
	board, err := store.Tally(ctx, c)
	if err != nil || board.Votes() != 1 {
		t.Errorf("%d votes, error %v", board.Votes(), err)
	}
	end()
	if err := keeper.Close(ctx); err != nil {
		t.Error(err)
	}
}
