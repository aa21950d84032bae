package main

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"marimba/config"
	"marimba/events"
	"marimba/events/rules"
	"marimba/functions/internal/board"
	"marimba/functions/internal/counts"
	"marimba/functions/internal/counts/countstest"
)

// embedded returns counts in a Redis of the test's own.
func embedded(t *testing.T) (*counts.Store, *miniredis.Miniredis) {
	t.Helper()
	server := miniredis.RunT(t)
	store, err := counts.Open(config.Redis{URL: "redis://" + server.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close(context.Background()) })
	return store, server
}

// Votes that were counted in Redis are shown as they were counted: on the board,
// in the history, in the balance, among the newest, and by their id.
func TestResultsOfRealCounts(t *testing.T) {
	store, _ := embedded(t)
	contests, err := config.Contests{}.Load()
	if err != nil {
		t.Fatal(err)
	}
	contest, _ := contests.Contest("rock-gt")
	journal := &mongoTwin{}
	h := &house{mongo: journal, results: newResults(t.Context(), filed{contests, config.Contests{}}, store, journal, new(kafkaTwin), new(logTwin), new(mendingTwin), keys{token, receiptSecret})}

	now := time.Now().UTC().Truncate(time.Millisecond)
	accepted := events.Box{ID: idOf(now), Contest: contest.ID, Channel: events.ByGRPC}
	refused := events.Box{ID: accepted.ID, Contest: contest.ID, Channel: events.ByGRPC}
	judge := rules.New(contest)
	for i, v := range []events.Vote{
		{Name: "alux", Album: "Alto al fuego", Year: 1987, Rank: 100},
		{Name: "Alux Nahual", Album: "Conquista", Year: 1982, Rank: 200, VoterKey: []byte("v")},
		{Name: "Bohemia", Album: "Sub", Year: 2001, Rank: 100, VoterKey: []byte("v")},
		{Name: "Bohemia", Album: "Sub", Year: 2001, Rank: 1100},
		{ID: "vote-0", Name: "Alux", Album: "La Trampa", Year: 1989, Rank: 100}, // the first one's id
	} {
		if v.ID == "" {
			v.ID = fmt.Sprint("vote-", i)
		}
		v.At, v.Index = now, i
		no, err := judge.Judge(&v)
		if err != nil {
			t.Fatal(err)
		}
		if no != nil {
			v.Reason = no.Code
			refused.Votes = append(refused.Votes, v)
			continue
		}
		accepted.Votes = append(accepted.Votes, v)
	}
	if err := countstest.Begin(t.Context(), store, contest); err != nil {
		t.Fatal(err)
	}
	for suffix, box := range map[string]events.Box{"/accepted": accepted, "/refused": refused} {
		entry := counts.Entry{ID: box.ID + suffix, Box: box}
		answer, err := store.Count(t.Context(), contest, entry)
		if err != nil {
			t.Fatal(err)
		}
		if err := store.Settle(t.Context(), contest, entry, answer, answer.Attempt); err != nil {
			t.Fatal(err)
		}
	}

	answer := h.get(t, "/v1/contests/rock-gt/board")
	var b struct {
		Totals board.Totals
		Bands  []struct {
			Place  int
			Name   string
			Votes  int64
			Points int64
			Albums []struct {
				Album string
				Votes int64
			}
		}
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &b); err != nil {
		t.Fatal(err)
	}
	if b.Totals != (board.Totals{Votes: 3, Bands: 2, Albums: 3}) || len(b.Bands) != len(contest.Bands) ||
		b.Bands[0].Name != "Alux Nahual" || b.Bands[0].Points != 22 || b.Bands[0].Albums[0].Album != "Alto al Fuego" ||
		b.Bands[1].Name != "Bohemia Suburbana" || b.Bands[1].Place != 2 || b.Bands[2].Place != 3 || b.Bands[11].Place != 3 {
		t.Errorf("board is %s", answer.Body)
	}
	if answer.Header().Get("ETag") == "" {
		t.Error("the board has no tag")
	}
	books := read[balance](t, h.get(t, "/v1/contests/rock-gt/balance"))
	if books.Final != 5 || books.Channel[events.ByGRPC][events.Counted] != 3 || books.States[events.Duplicate] != 1 ||
		books.States[events.Refused] != 1 || books.Refused[events.RankOutOfRange] != 1 || len(books.Pending) != 0 {
		t.Errorf("balance is %+v", books)
	}
	seconds := read[struct{ Points []secondPoint }](t, h.get(t, "/v1/contests/rock-gt/history?step=second"))
	if len(seconds.Points) != 1 || seconds.Points[0].Votes != 5 || seconds.Points[0].State[events.Counted] != 3 {
		t.Errorf("seconds are %+v", seconds)
	}
	minutes := read[struct{ Points []minutePoint }](t, h.get(t, "/v1/contests/rock-gt/history"))
	if len(minutes.Points) != 1 || minutes.Points[0].Votes != 3 || minutes.Points[0].Bands["Alux Nahual"] != 2 {
		t.Errorf("minutes are %+v", minutes)
	}
	newest := read[seenPage](t, h.get(t, "/logs"))
	if len(newest.Rows) != 5 || newest.Rows[0].Receipt != "" || newest.Rows[0].State != events.Duplicate {
		t.Errorf("newest are %+v", newest)
	}
	if got := read[voteAnswer](t, h.get(t, "/v1/contests/rock-gt/votes/vote-0")); got.State != events.Counted {
		t.Errorf("the vote is %+v", got)
	}
}

// filed is contests with their files.
type filed struct {
	*config.Roll
	config.Contests
}
