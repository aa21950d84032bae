package journal

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"marimba/events"
)

// letterOf makes the dead letter of a box that died as an event of a type.
func letterOf(t *testing.T, eventType string, b events.Box, place string) DeadLetter {
	t.Helper()
	e := b.Event(eventType, "screen")
	e.DataBase64 = true
	e.SetExtension("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	text, err := e.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return DeadLetter{
		ID: e.ID(), Type: eventType, Contest: b.Contest, Channel: b.Channel, Votes: int64(len(b.Votes)),
		Topic: events.TopicOf(eventType), Cause: "event_malformed", Status: "422", Destination: "http://tally", Answer: "no",
		Places: []string{place}, At: start, State: Shelved, Event: text,
	}
}

func shelf(t *testing.T, j *Journal, state ShelfState, contest string) map[string]DeadLetter {
	t.Helper()
	out := make(map[string]DeadLetter)
	for d, err := range j.Dead(t.Context(), state, contest) {
		if err != nil {
			t.Fatal(err)
		}
		d.At = d.At.UTC()
		if !d.ReplayedAt.IsZero() {
			d.ReplayedAt = d.ReplayedAt.UTC()
		}
		out[d.ID] = d
	}
	return out
}

// A dead letter is shelved once for each place it was read from: read again from
// the same place nothing changes, not even after it was sent again; dead once
// more it is back on the shelf.
func TestShelve(t *testing.T) {
	j := open(t)
	box := events.Box{ID: "box-1", Contest: "a", Channel: events.ByGRPC, Votes: []events.Vote{
		{ID: "1", Name: "La Tona", Year: 2000, Index: 0, At: start}, {ID: "2", Name: "El Clubo", Year: 2000, Index: 4, At: start},
	}}
	first := letterOf(t, events.TypeAccepted, box, "3/10")
	shelve := func(d DeadLetter) {
		t.Helper()
		if err := j.Shelve(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		shelve(first)
		if got := shelf(t, j, Shelved, "a"); !reflect.DeepEqual(got, map[string]DeadLetter{first.ID: first}) {
			t.Fatalf("shelved: %+v\nwant %+v", got, first)
		}
	}
	other := DeadLetter{ID: "digest", Cause: "unreadable", State: Shelved, At: start, Raw: []byte{0xff, 0}}
	shelve(other)
	shelve(other) // without a place, once is all

	if n, err := j.DeadVotes(t.Context(), "a"); err != nil || !reflect.DeepEqual(n, map[events.Channel]int64{events.ByGRPC: 2}) {
		t.Errorf("dead votes: %v, %v", n, err)
	}
	row, ok, err := j.Vote(t.Context(), "box-1", 4)
	want := Row{"box-1.4", "a", events.ByGRPC, box.Votes[1], events.Dead, "event_malformed", Way{Event: first.ID, Topic: events.VotesAccepted, Ended: first.At, Trace: "4bf92f3577b34da6a3ce929d0e0e4736"}}
	if err != nil || !ok || !reflect.DeepEqual(row, want) {
		t.Errorf("dead vote: %+v, %v, %v\nwant %+v", row, ok, err, want)
	}
	if _, ok, err := j.Vote(t.Context(), "box-1", 1); ok || err != nil {
		t.Errorf("a vote that is not in the dead box: %v, %v", ok, err)
	}

	read := asRead(t, j, first.ID)
	mark(t, j, read, true)
	mark(t, j, read, false) // once is all
	shelve(first)
	if got := shelf(t, j, Shelved, "a"); len(got) != 0 {
		t.Errorf("after replay: %v", got)
	}
	if got := shelf(t, j, Replayed, ""); len(got) != 1 || !got[first.ID].ReplayedAt.Equal(start.Add(time.Minute)) {
		t.Errorf("replayed: %v", got)
	}
	if _, ok, err := j.Vote(t.Context(), "box-1", 4); ok || err != nil {
		t.Errorf("vote of a replayed letter: %v, %v", ok, err)
	}

	again := letterOf(t, events.TypeAccepted, box, "0/99")
	again.Cause, again.At = "status", start.Add(time.Hour)
	shelve(again)
	again.Places, again.ReplayedAt = []string{"3/10", "0/99"}, start.Add(time.Minute)
	if got := shelf(t, j, Shelved, "a"); !reflect.DeepEqual(got, map[string]DeadLetter{again.ID: again}) {
		t.Errorf("dead again: %+v\nwant %+v", got, again)
	}
	if got := shelf(t, j, "", ""); len(got) != 2 {
		t.Errorf("%d letters in all, want 2", len(got))
	}
	// What died again after it was read and sent is not taken for sent.
	mark(t, j, read, false)
	if got := shelf(t, j, Shelved, "a"); len(got) != 1 {
		t.Errorf("%d letters are shelved, want 1", len(got))
	}
	for d, err := range j.DeadList(t.Context(), "", "") {
		if err != nil || d.Cause == "" || d.Event != nil || d.Raw != nil {
			t.Errorf("listed is %+v, %v", d, err)
		}
	}
	if _, ok, err := j.Letter(t.Context(), "nowhere"); ok || err != nil {
		t.Errorf("a letter that there is not: %v, %v", ok, err)
	}
}

func asRead(t *testing.T, j *Journal, id string) DeadLetter {
	t.Helper()
	d, ok, err := j.Letter(t.Context(), id)
	if err != nil || !ok {
		t.Fatalf("letter %s: %v, %v", id, ok, err)
	}
	return d
}

func mark(t *testing.T, j *Journal, d DeadLetter, want bool) {
	t.Helper()
	marked, err := j.MarkReplayed(t.Context(), d, start.Add(time.Minute))
	if err != nil || marked != want {
		t.Errorf("marked %v, %v; want %v", marked, err, want)
	}
}

// A dead vote is counted once, however many letters hold it, and not at all if
// the log has it.
func TestDeadVotesAreNotInTheLog(t *testing.T) {
	j := open(t)
	votes := func(indexes ...int) []events.Vote {
		var out []events.Vote
		for _, i := range indexes {
			out = append(out, events.Vote{ID: fmt.Sprint("v", i), Name: "La Tona", Year: 2000, Index: i, At: start})
		}
		return out
	}
	box := func(id string, channel events.Channel, indexes ...int) events.Box {
		return events.Box{ID: id, Contest: "a", Channel: channel, Votes: votes(indexes...)}
	}
	log := func(id, outcome string, indexes ...int) {
		e := Entry{ID: id + outcome, Box: box(id, events.ByHTTP, indexes...)}
		for range indexes {
			e.States = append(e.States, events.Counted)
		}
		mustAppend(t, j, e)
	}
	for i, letter := range []DeadLetter{
		letterOf(t, events.TypeCast, box("both", events.ByHTTP, 0, 1, 2, 3), ""), // and its refused votes died too: 1 and 3
		letterOf(t, events.TypeRefused, box("both", events.ByHTTP, 1, 3), ""),
		letterOf(t, events.TypeCast, box("half", events.ByHTTP, 0, 1, 2), ""),     // the log has two of three
		letterOf(t, events.TypeAccepted, box("late", events.ByGRPC, 0, 1), ""),    // the log has all
		letterOf(t, events.TypeAccepted, box("lost", events.ByGRPC, 5, 6, 7), ""), // the log has none
	} {
		letter.Places = []string{fmt.Sprint("0/", i)}
		if err := j.Shelve(t.Context(), letter); err != nil {
			t.Fatal(err)
		}
	}
	log("both", "/accepted", 0, 2)
	log("half", "/accepted", 0)
	log("half", "/refused", 2)
	log("late", "/accepted", 0, 1)
	got, err := j.DeadVotes(t.Context(), "a")
	want := map[events.Channel]int64{events.ByHTTP: 2 + 1, events.ByGRPC: 3}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("dead votes are %v, %v; want %v", got, err, want)
	}
	// What is void is as good as not there.
	stands := []Mark{MarkOf("both/accepted"), MarkOf("half/accepted"), MarkOf("half/refused")}
	if err := j.Begin(t.Context(), Life{Contest: "a", Number: 1}, stands); err != nil {
		t.Fatal(err)
	}
	want[events.ByGRPC] += 2
	if got, err := j.DeadVotes(t.Context(), "a"); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("with a void box, dead votes are %v, %v; want %v", got, err, want)
	}
	if row, ok, err := j.Vote(t.Context(), "late", 1); err != nil || !ok || row.State != events.Dead {
		t.Errorf("the vote of a void box is %+v, %v, %v", row, ok, err)
	}
}

// A vote that died and was logged all the same is what the log says.
func TestLogBeforeDeath(t *testing.T) {
	j := open(t)
	e := entry("box-1", "a", events.Vote{Name: "La Tona", Year: 2000})
	if err := j.Shelve(t.Context(), letterOf(t, events.TypeCast, e.Box, "0/1")); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, j, e)
	if row, ok, err := j.Vote(t.Context(), "box-1", 0); err != nil || !ok || row.State != events.Counted {
		t.Errorf("got %+v, %v, %v", row, ok, err)
	}
}
