package journal

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"marimba/events"
)

// logged returns random entries of two contests.
func logged(d *rand.Rand, n int) []Entry {
	var out []Entry
	bands := []string{"La Tona", "la  TONA", "Malacates Trébol Shop", "El Clubo"}
	for i := range n {
		e := Entry{ID: fmt.Sprintf("%03d/accepted", i), Attempt: "a", Box: events.Box{
			ID: fmt.Sprintf("%03d", i), Contest: []string{"a", "b"}[d.IntN(2)],
			Channel: []events.Channel{events.ByHTTP, events.ByGRPC}[d.IntN(2)],
		}}
		at := start.Add(time.Duration(d.IntN(20)) * time.Second) // many boxes of one time
		for k := range 1 + d.IntN(6) {
			e.Box.Votes = append(e.Box.Votes, events.Vote{
				ID: fmt.Sprint(k), Name: bands[d.IntN(len(bands))], Index: 2 * k, Year: 2000,
				At: at.Add(time.Duration(k) * 400 * time.Millisecond),
			})
			e.States = append(e.States, []events.State{events.Counted, events.Duplicate, events.OverLimit}[d.IntN(3)])
		}
		out = append(out, e)
	}
	return out
}

// rowsOf says in the plainest way which rows of the entries a filter has.
func rowsOf(entries []Entry, f Filter) []Row {
	entries = slices.Clone(entries)
	slices.SortFunc(entries, func(a, b Entry) int {
		return cmp.Or(b.Box.Votes[0].At.Compare(a.Box.Votes[0].At), cmp.Compare(b.ID, a.ID))
	})
	var out []Row
	for _, e := range entries {
		for i, v := range slices.Backward(e.Box.Votes) {
			switch {
			case f.Contest != "" && f.Contest != e.Box.Contest,
				slices.Contains(f.Except, e.Box.Contest),
				f.Channel != "" && f.Channel != e.Box.Channel,
				f.State != "" && f.State != e.States[i],
				f.Band != "" && events.Fold(f.Band) != events.Fold(v.Name),
				!f.From.IsZero() && v.At.Before(f.From),
				!f.To.IsZero() && !v.At.Before(f.To):
				continue
			}
			out = append(out, Row{
				Receipt: events.Receipt(e.Box.ID, v.Index), Contest: e.Box.Contest, Channel: e.Box.Channel,
				Vote: v, State: e.States[i], Way: Way{Event: e.ID, Topic: events.VotesAccepted, Attempt: e.Attempt},
			})
		}
	}
	return out
}

// For every filter, the pages of any size put together are the filter's rows,
// and so is the export; pages are not moved by what is logged between them.
func TestPages(t *testing.T) {
	j := open(t)
	d := rand.New(rand.NewPCG(1, 2))
	entries := logged(d, 60)
	for _, e := range entries {
		mustAppend(t, j, e)
	}
	filters := []Filter{
		{}, {Contest: "a"}, {Contest: "none"}, {Band: "LA tona"}, {Band: "LA tona", Except: []string{"b", "none"}}, {Band: "Malacates Trebol Shop", Contest: "b"},
		{Channel: events.ByGRPC}, {State: events.OverLimit}, {From: start.Add(5 * time.Second)},
		{From: start.Add(5100 * time.Millisecond), To: start.Add(9 * time.Second)},
		{To: start.Add(700 * time.Millisecond), Contest: "a"},
		{Contest: "a", Band: "El Clubo", Channel: events.ByHTTP, State: events.Counted, From: start, To: start.Add(time.Hour)},
	}
	for i, f := range filters {
		want := rowsOf(entries, f)
		var exported []Row
		for row, err := range j.Rows(t.Context(), f) {
			if err != nil {
				t.Fatal(err)
			}
			exported = append(exported, row)
		}
		if !reflect.DeepEqual(exported, want) {
			t.Errorf("filter %d: export has %d rows, want %d", i, len(exported), len(want))
		}
		for _, limit := range []int{1 + d.IntN(3), 7, MaxPage + 5} {
			var got []Row
			for after, more := "", true; more; {
				if len(got) > len(want) {
					t.Fatalf("filter %d, pages of %d: more rows than there are", i, limit)
				}
				rows, next, err := j.Page(t.Context(), f, after, limit)
				if err != nil {
					t.Fatal(err)
				}
				if len(rows) > limit || next != "" && len(rows) < limit {
					t.Fatalf("filter %d: page of %d rows, limit %d, next %q", i, len(rows), limit, next)
				}
				got, after, more = append(got, rows...), next, next != ""
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("filter %d, pages of %d: got %d rows, want %d", i, limit, len(got), len(want))
			}
		}
	}

	first, next, err := j.Page(t.Context(), Filter{Contest: "a"}, "", 10)
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, j, entry("new", "a", events.Vote{Name: "La Tona", At: start.Add(time.Hour)}))
	second, _, err := j.Page(t.Context(), Filter{Contest: "a"}, next, 10)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := append(first, second...), rowsOf(entries, Filter{Contest: "a"})[:20]; !reflect.DeepEqual(got, want) {
		t.Errorf("after a new box the pages are\n%v\nwant\n%v", got, want)
	}
	newest, _, err := j.Page(t.Context(), Filter{}, "", 1)
	if err != nil || len(newest) != 1 || newest[0].Receipt != "new.0" {
		t.Errorf("newest: %v, %v", newest, err)
	}
}

// A cursor that is not ours is refused, and never reaches the server.
func TestCursorRefused(t *testing.T) {
	j := open(t)
	for _, after := range []string{"x", "%%", "MSAy", "LTEgMiBh", "eCAyIGE", "OTk5OTk5OTk5OTk5OTk5OTk5OSAxIGE"} {
		if _, _, err := j.Page(t.Context(), Filter{}, after, 1); !errors.Is(err, ErrCursor) {
			t.Errorf("%q: %v", after, err)
		}
	}
}

// What is read as a cursor is written as the same text again.
func FuzzCursor(f *testing.F) {
	f.Add(cursor{1764014400000, "0199-1/accepted", 499}.String())
	f.Add("MSAyIGE")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseCursor(text)
		if err != nil || text == "" {
			return
		}
		again, err := parseCursor(c.String())
		if err != nil || again != c {
			t.Errorf("%q is %+v, and again %+v, %v", text, c, again, err)
		}
	})
}
