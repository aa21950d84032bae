package mend

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"marimba/events"
	"marimba/functions/internal/counts"
	"marimba/functions/internal/counts/redistest"
	"marimba/functions/internal/journal"
	"marimba/functions/internal/journal/journaltest"
)

// world is a Redis and a log.
type world struct {
	t      *testing.T
	redis  *redis.Client
	counts *counts.Store
	log    *journaltest.Log
	forget func() // makes Redis lose all
	later  func() // lets locks and holds of one who is gone end
}

// onEach runs a test on miniredis, and on redis-server if there is one.
func onEach(t *testing.T, test func(t *testing.T, w *world)) {
	make := func(t *testing.T, addr string) *world {
		client := redis.NewClient(&redis.Options{Addr: addr, Protocol: 2, DisableIdentity: true})
		t.Cleanup(func() { client.Close() })
		return &world{t: t, redis: client, counts: counts.New(client), log: journaltest.New(),
			forget: func() { client.FlushAll(context.Background()) }}
	}
	t.Run("miniredis", func(t *testing.T) {
		server := miniredis.RunT(t)
		w := make(t, server.Addr())
		w.later = func() { server.FastForward(time.Minute) }
		test(t, w)
	})
	t.Run("redis-server", func(t *testing.T) {
		w := make(t, redistest.Start(t).Addr)
		w.later = func() { w.redis.Del(context.Background(), append(w.keys(":mender"), w.keys(":held")...)...) }
		test(t, w)
	})
}

func (w *world) keys(ending string) []string {
	keys, err := w.redis.Keys(context.Background(), "*"+ending).Result()
	if err != nil {
		w.t.Fatal(err)
	}
	return keys
}

// deliver is what tally does with a box: it is there that it is tested.
func (w *world) deliver(ctx context.Context, m *Mender, c events.Contest, e counts.Entry) error {
	answer, err := w.counts.Count(ctx, c, e)
	if errors.Is(err, counts.ErrLife) {
		if _, _, err := m.Mend(ctx, c); err != nil {
			return err
		}
		answer, err = w.counts.Count(ctx, c, e)
	}
	if err != nil {
		return err
	}
	entry := journal.Entry{ID: e.ID, Box: e.Box, Attempt: answer.Attempt, States: answer.States}
	logged, err := w.log.Append(ctx, entry)
	if err != nil {
		return err
	}
	if journal.LifeOf(logged) < answer.Life {
		if stands, err := w.log.Stands(ctx, c.ID, e.ID, logged); err != nil {
			return err
		} else if !stands {
			if logged, err = w.log.Replace(ctx, entry, logged); err != nil {
				return err
			}
		}
	}
	return w.counts.Settle(ctx, c, e, answer, logged)
}

func (w *world) mustDeliver(m *Mender, c events.Contest, e counts.Entry) {
	w.t.Helper()
	if err := w.deliver(w.t.Context(), m, c, e); err != nil {
		w.t.Fatal(err)
	}
}

var limits = []events.Limit{
	{Mode: events.NoLimit}, {Mode: events.PerContest, N: 2}, {Mode: events.PerBand, N: 1}, {Mode: events.Replace},
}

func contestOf(limit events.Limit) events.Contest {
	return events.Contest{ID: strings.ReplaceAll(string(limit.Mode), "_", "-"), Limit: limit, Shards: 3}
}

// randomBox makes an entry in which ids, voters and bands repeat.
func randomBox(d *rand.Rand, c events.Contest, n int) counts.Entry {
	box := events.Box{ID: fmt.Sprint(c.ID, "-box-", n), Contest: c.ID, Channel: events.Channels[d.IntN(len(events.Channels))]}
	refused := d.IntN(6) == 0
	for i := range 1 + d.IntN(8) {
		id := d.IntN(120)
		v := events.Vote{
			ID: fmt.Sprint("id-", id), Name: fmt.Sprint("Band ", id%5), Album: []string{"", "Album"}[id%2],
			Year: 1990, Rank: int32(100 * (id % 3)), Index: i, At: noon.Add(time.Duration(id) * time.Millisecond),
		}
		if id%3 > 0 {
			v.VoterKey = bytes.Repeat([]byte{byte(1 + id%7)}, 32)
		}
		if refused {
			v.Reason = events.TooLate
		}
		box.Votes = append(box.Votes, v)
	}
	suffix := "/accepted"
	if refused {
		suffix = "/refused"
	}
	return counts.Entry{ID: box.ID + suffix, Box: box}
}

var noon = time.Now().UTC().Truncate(time.Minute)

// check holds the counts against the log, the log against what was delivered, and
// Redis against having anything left over.
func (w *world) check(c events.Contest, delivered []counts.Entry) {
	w.t.Helper()
	ctx := w.t.Context()
	recount := counts.NewRecount(c)
	logged := make(map[string]bool)
	final := make(map[string]int) // by voter and id: counted or over the limit
	for e, err := range w.log.Entries(ctx, c.ID) {
		if err != nil {
			w.t.Fatal(err)
		}
		logged[e.ID] = true
		if err := recount.Add(counts.Entry{ID: e.ID, Box: e.Box}, e.States); err != nil {
			w.t.Fatal(err)
		}
		for i, v := range e.Box.Votes {
			if e.States[i] == events.Counted || e.States[i] == events.OverLimit {
				final[fmt.Sprintf("%x %s", v.VoterKey, v.ID)]++
			}
		}
	}
	if all := w.log.All(c.ID); len(all) != len(logged) {
		w.t.Errorf("%d of %d boxes in the log are void", len(all)-len(logged), len(all))
	}
	for _, e := range delivered {
		if !logged[e.ID] {
			w.t.Errorf("%s is not in the log", e.ID)
		}
		for _, v := range e.Box.Votes {
			if id := fmt.Sprintf("%x %s", v.VoterKey, v.ID); v.Reason == "" && final[id] != 1 {
				w.t.Errorf("vote %s has %d final states that are not duplicate", id, final[id])
			}
		}
	}
	tally, err := w.counts.Tally(ctx, c)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := recount.Tally().Differ(tally); err != nil {
		w.t.Errorf("log and counts differ: %v", err)
	}
	figures, err := w.counts.Figures(ctx, c)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := recount.Figures().Differ(figures); err != nil {
		w.t.Errorf("log and figures differ: %v", err)
	}
	if pending, err := w.counts.Pending(ctx, c); err != nil || len(pending) > 0 {
		w.t.Errorf("pending are %v, %v", pending, err)
	}
	left := slices.DeleteFunc(w.keys("*"), func(key string) bool {
		return !strings.Contains(key, "{"+c.ID+":") || !strings.Contains(key, ":next") && !strings.HasSuffix(key, ":mender") && !strings.HasSuffix(key, ":held")
	})
	if len(left) > 0 {
		w.t.Errorf("left in Redis are %v", left)
	}
}

// Counts that were lost are rebuilt as the log has them, and the next votes are
// decided as if nothing had happened. A contest of which nothing was ever counted
// is nothing special.
func TestMend(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		m := New(w.counts, w.log)
		for _, limit := range limits {
			c, d := contestOf(limit), rand.New(rand.NewPCG(1, 2))
			var all []counts.Entry
			for life := range int64(3) {
				for range 30 {
					e := randomBox(d, c, len(all))
					all = append(all, e)
					w.mustDeliver(m, c, e)
				}
				for _, e := range all { // some that were there before come again
					if d.IntN(3) == 0 {
						w.mustDeliver(m, c, e)
					}
				}
				w.check(c, all)
				if got, err := w.counts.Life(t.Context(), c); err != nil || got != life+1 {
					t.Errorf("life %d, %v, want %d", got, err, life+1)
				}
				if _, mended, err := m.Mend(t.Context(), c); err != nil || mended {
					t.Errorf("counts that live were mended: %v, %v", mended, err)
				}
				w.forget()
			}
			for _, e := range all {
				w.mustDeliver(m, c, e)
			}
			w.check(c, all)
			w.forget()
		}
	})
}

// What was found, and what was done, is told; and the log keeps it.
func TestMendTells(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		m, c := New(w.counts, w.log), events.Contest{ID: "told"}
		vote := events.Vote{ID: "1", Name: "La Tona", At: noon}
		e := counts.Entry{ID: "a/accepted", Box: events.Box{ID: "a", Contest: c.ID, Channel: events.ByHTTP, Votes: []events.Vote{vote}}}
		w.mustDeliver(m, c, e)
		w.redis.HIncrBy(t.Context(), "marimba:{told:0}:tally", "La Tona\x1f\x1f0", 4)
		w.redis.Del(t.Context(), "marimba:{told:0}:life")
		r, mended, err := m.Mend(t.Context(), c)
		if err != nil || !mended {
			t.Fatal(mended, err)
		}
		if r.Life != 2 || r.Boxes != 1 || r.Votes != 1 || r.Cause != "Redis has no counts of it" || r.Found.Votes != 5 ||
			!strings.HasPrefix(r.Found.Difference, "La Tona, : ranks map[0:1] and map[0:5]") {
			t.Errorf("got %+v", r)
		}
		lives, err := w.log.Lives(t.Context(), c.ID)
		if err != nil || len(lives) != 2 || lives[1].Found != r.Found.String() || lives[1].Votes != 1 {
			t.Errorf("lives %+v, %v", lives, err)
		}
		if r, err := m.Recount(t.Context(), c); err != nil || r.Life != 3 || r.Found != (Found{Votes: 1}) || r.Cause != "recount" || r.Void != 0 {
			t.Errorf("recount of good counts: %+v, %v", r, err)
		}
	})
}

// A log that cannot be right brings nothing to live, and leaves what is shown as
// it is.
func TestNothingLivesThatIsNotProven(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		m, c := New(w.counts, w.log), events.Contest{ID: "wrong"}
		vote := events.Vote{ID: "1", Name: "La Tona", At: noon}
		entry := func(id string) journal.Entry {
			return journal.Entry{ID: id + "/accepted", Attempt: "1:x", States: []events.State{events.Counted},
				Box: events.Box{ID: id, Contest: c.ID, Channel: events.ByHTTP, Votes: []events.Vote{vote}}}
		}
		first := entry("a")
		w.mustDeliver(m, c, counts.Entry{ID: first.ID, Box: first.Box})
		if _, err := w.log.Append(t.Context(), entry("b")); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Recount(t.Context(), c); err == nil || !strings.Contains(err.Error(), `the log of wrong counts vote "1" twice`) {
			t.Errorf("recount: %v", err)
		}
		if life, err := w.counts.Life(t.Context(), c); err != nil || life != 1 {
			t.Errorf("life %d, %v", life, err)
		}
		if tally, err := w.counts.Tally(t.Context(), c); err != nil || tally.Votes() != 1 {
			t.Errorf("tally %v, %v", tally, err)
		}
		if keys := w.keys(":next:*"); len(keys) > 1 {
			t.Errorf("left is %v", keys)
		}
	})
}

// Of all contests those that lost their counts are mended, in one reading of the
// log, also one that has no file any more; the others are left alone.
func TestMendAll(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		m := New(w.counts, w.log)
		d := rand.New(rand.NewPCG(5, 6))
		contests := []events.Contest{{ID: "rock", Shards: 2}, {ID: "jazz"}, {ID: "new"}}
		all := make(map[string][]counts.Entry)
		for n := range 40 {
			for _, c := range append([]events.Contest{{ID: "gone"}}, contests[:2]...) {
				e := randomBox(d, c, n)
				all[c.ID] = append(all[c.ID], e)
				w.mustDeliver(m, c, e)
			}
		}
		w.redis.Del(t.Context(), w.keys("{rock:1}:*")...)
		w.redis.Del(t.Context(), w.keys("{gone:0}:*")...)
		done, err := m.MendAll(t.Context(), contests)
		if err != nil {
			t.Fatal(err)
		}
		want := Restored{Contests: 3, Kept: 1, Boxes: 80}
		for _, e := range append(slices.Clone(all["rock"]), all["gone"]...) {
			want.Votes += int64(len(e.Box.Votes))
		}
		if done != want {
			t.Errorf("done is %+v, want %+v", done, want)
		}
		for _, c := range append(contests, events.Contest{ID: "gone"}) {
			w.check(c, all[c.ID])
		}
		lives := make(map[string]int64)
		for _, c := range contests {
			if lives[c.ID], err = w.counts.Life(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		if want := map[string]int64{"rock": 2, "jazz": 1, "new": 1}; !maps.Equal(lives, want) {
			t.Errorf("lives are %v, want %v", lives, want)
		}
		if done, err := m.MendAll(t.Context(), contests); err != nil || done != (Restored{Kept: 4}) {
			t.Errorf("once more: %+v, %v", done, err)
		}
	})
}
