package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"marimba/events"
	"marimba/functions/internal/journal"
	"marimba/functions/internal/kafka"
	"marimba/functions/internal/replay"
)

// wire takes what is sent again. It may refuse an event, fail altogether, or
// have something happen behind it.
type wire struct {
	mu    sync.Mutex
	sent  []event.Event
	fails map[string]error // by id of the event
	away  error
	then  func(e event.Event) // called when an event was taken; nil: not
}

func (w *wire) Send(_ context.Context, e event.Event) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.away != nil {
		return w.away
	}
	if err := w.fails[e.ID()]; err != nil {
		return err
	}
	w.sent = append(w.sent, e)
	if w.then != nil {
		w.then(e)
	}
	return nil
}

func (w *wire) ids() []string {
	var out []string
	for _, e := range w.sent {
		out = append(out, e.ID())
	}
	slices.Sort(out)
	return out
}

// shelve fills a house's shelf: boxes 1 to 3 of two contests, dead of two
// causes, one that was replayed, and two that are none of ours.
func shelve(t *testing.T) *house {
	t.Helper()
	h := newHouse(t)
	for i, contest := range []string{"free", "free", "each"} {
		d := h.bury(events.TypeCast, h.box(contest, events.ByGRPC, events.Vote{Name: "La Tona"}, events.Vote{Name: "Trébol"}))
		d.At = noon.Add(time.Duration(i) * time.Minute)
	}
	h.journal.letters[1].Cause = "no_answer"
	h.journal.letters[1].Places = []string{"0/1", "0/7"}
	h.bury(events.TypeCast, h.box("free", events.ByHTTP, events.Vote{Name: "La Tona"})).State = journal.Replayed
	foreign := event.New()
	foreign.SetID("x")
	foreign.SetSource("y")
	foreign.SetType("dev.knative.kafka.event")
	text, err := foreign.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	h.journal.letters = append(h.journal.letters,
		journal.DeadLetter{ID: "raw", Cause: "unreadable", State: journal.Shelved, Raw: []byte("x"), At: noon.Add(time.Hour)},
		journal.DeadLetter{ID: "foreign", Type: foreign.Type(), Cause: "status", State: journal.Shelved, Event: text, At: noon})
	return h
}

// The shelf is listed: what died last first, by cause, and as much of it as was
// asked for.
func TestListLetters(t *testing.T) {
	h := shelve(t)
	ids := func(l letterList) string {
		var out []string
		for _, d := range l.Letters {
			out = append(out, d.ID)
		}
		return fmt.Sprint(out, l.More, l.Causes)
	}
	for _, test := range []struct {
		choice replay.Choice
		limit  int
		want   string
	}{
		{replay.Choice{}, 100, "[raw box-3 box-2 box-1 foreign] 0 [{no_answer 1 2} {status 3 4} {unreadable 1 0}]"},
		{replay.Choice{}, 2, "[raw box-3] 3 [{no_answer 1 2} {status 3 4} {unreadable 1 0}]"},
		{replay.Choice{}, 1, "[raw] 4 [{no_answer 1 2} {status 3 4} {unreadable 1 0}]"},
		{replay.Choice{Contest: "free"}, 100, "[box-2 box-1] 0 [{no_answer 1 2} {status 1 2}]"},
		{replay.Choice{Contest: "free", Cause: "status"}, 100, "[box-1] 0 [{status 1 2}]"},
		{replay.Choice{IDs: []string{"box-4", "box-2"}}, 100, "[box-2 box-4] 0 [{no_answer 1 2} {status 1 1}]"},
		{replay.Choice{Contest: "nowhere"}, 100, "[] 0 []"},
	} {
		list, err := listLetters(t.Context(), h.journal, test.choice, test.limit)
		if got := ids(list); err != nil || got != test.want {
			t.Errorf("%+v: %s, %v; want %s", test.choice, got, err, test.want)
		}
	}
	list, _ := listLetters(t.Context(), h.journal, replay.Choice{}, 100)
	want := letter{
		ID: "box-2", Type: events.TypeCast, Contest: "free", Channel: "grpc", Votes: 2, Topic: "votes.cast",
		Cause: "no_answer", At: noon.Add(time.Minute), Died: 2, State: journal.Shelved, Sendable: true,
	}
	if list.Letters[2] != want || list.Letters[0].Sendable || list.Letters[4].Sendable {
		t.Errorf("listed are %+v", list.Letters)
	}
	if _, err := listLetters(t.Context(), h.journal, replay.Choice{IDs: []string{"nowhere"}}, 100); err == nil || !strings.Contains(err.Error(), `no dead letter "nowhere"`) {
		t.Errorf("a letter that there is not: %v", err)
	}
}

// What is sent again is the event as it was before it died, in every attribute
// and byte; what is none of ours cannot be sent, and keeps nothing else back.
func TestReplaySendsTheSameEvents(t *testing.T) {
	h := shelve(t)
	box := h.box("free", events.ByHTTP, events.Vote{Name: "Trébol"})
	before := box.Event(events.TypeAccepted, "screen")
	before.SetExtension("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	died := before.Clone()
	died.DataBase64 = true
	for name, value := range map[string]string{
		"knativekafkapartition": "3", "knativekafkaoffset": "9", "knativeerrordest": "http://tally", "knativeerrorcode": "422",
		"knativeerrordata": "bm8=", "reason": "event_malformed",
	} {
		died.SetExtension(name, value)
	}
	text, err := died.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	d := letterOf(t, events.TypeAccepted, box)
	d.Event = text
	h.journal.letters = append(h.journal.letters, d)

	w := new(wire)
	done, err := replay.Send(t.Context(), h.journal, w, replay.Choice{}, func() time.Time { return noon })
	if err != nil || done.Sent != 4 || done.Votes != 7 || done.Again+done.Skipped+len(done.Failed) != 0 || len(done.Cannot) != 2 || done.Fault(replay.Choice{}) != nil {
		t.Errorf("done is %+v, %v", done, err)
	}
	slices.SortFunc(done.Cannot, func(a, b replay.Fault) int { return strings.Compare(a.ID, b.ID) })
	if fmt.Sprint(done.Cannot) != `[{foreign an event of type "dev.knative.kafka.event" travels in no topic of ours} {raw it is not an event}]` {
		t.Errorf("cannot be sent are %v", done.Cannot)
	}
	if want := []string{"box-1", "box-2", "box-3", box.ID + "/accepted"}; !slices.Equal(w.ids(), want) {
		t.Fatalf("sent are %v, want %v", w.ids(), want)
	}
	for _, e := range w.sent {
		if e.ID() != before.ID() {
			continue
		}
		if fmt.Sprint(headersOf(e)) != fmt.Sprint(headersOf(before)) || string(e.Data()) != string(before.Data()) {
			t.Errorf("sent is\n%s\nwant\n%s", e, before)
		}
	}
	for _, d := range h.journal.letters {
		ours := d.Topic != ""
		if ours != (d.State == journal.Replayed) || ours && d.ID != "box-4" && !d.ReplayedAt.Equal(noon) {
			t.Errorf("letter is %s, %s", d.State, d.ReplayedAt)
		}
	}
	// Once more there is nothing to send but what cannot be.
	if done, err := replay.Send(t.Context(), h.journal, w, replay.Choice{}, time.Now); err != nil || done.Sent != 0 || len(done.Cannot) != 2 {
		t.Errorf("once more: %+v, %v", done, err)
	}
	// By its name, that is a fault.
	byName := replay.Choice{IDs: []string{"raw", "box-1"}}
	done, err = replay.Send(t.Context(), h.journal, w, byName, time.Now)
	if err != nil || done.Skipped != 1 || done.Fault(byName) == nil || !strings.Contains(done.Fault(byName).Error(), "letter raw cannot be sent") {
		t.Errorf("by name: %+v, %v", done, err)
	}
}

func headersOf(e event.Event) []string {
	var out []string
	for _, h := range events.KafkaHeaders(e) {
		out = append(out, h.Key+"="+string(h.Value))
	}
	slices.Sort(out)
	return out
}

// A choice by contest and cause is all that is sent.
func TestReplayOfAChoice(t *testing.T) {
	for _, test := range []struct {
		choice replay.Choice
		want   []string
	}{
		{replay.Choice{Contest: "free"}, []string{"box-1", "box-2"}},
		{replay.Choice{Cause: "no_answer"}, []string{"box-2"}},
		{replay.Choice{IDs: []string{"box-1", "box-3"}, Contest: "each"}, []string{"box-3"}},
	} {
		h, w := shelve(t), new(wire)
		done, err := replay.Send(t.Context(), h.journal, w, test.choice, time.Now)
		if err != nil || done.Sent != len(test.want) || !slices.Equal(w.ids(), test.want) {
			t.Errorf("%+v: sent are %v, %+v, %v", test.choice, w.ids(), done, err)
		}
	}
}

// A letter that dies again while it is being marked stays on the shelf: it is
// not taken for replayed, and not sent twice by one call.
func TestReplayOfWhatDiesAgain(t *testing.T) {
	h := shelve(t)
	w := &wire{then: func(e event.Event) {
		h.journal.mu.Lock()
		defer h.journal.mu.Unlock()
		for i := range h.journal.letters {
			if d := &h.journal.letters[i]; d.ID == e.ID() {
				d.Places = append(slices.Clone(d.Places), "0/99")
			}
		}
	}}
	done, err := replay.Send(t.Context(), h.journal, w, replay.Choice{}, time.Now)
	if err != nil || done.Sent != 3 || done.Again != 3 || len(w.sent) != 3 {
		t.Errorf("done is %+v, %v, sent %v", done, err, w.ids())
	}
	if d, _, _ := h.journal.Letter(t.Context(), "box-1"); d.State != journal.Shelved {
		t.Errorf("the letter is %s", d.State)
	}
}

// What Kafka does not take alone keeps no other letter back. Without Kafka, and
// without the shelf, replay ends with an error, and what was not marked is sent
// once more the next time.
func TestReplayFails(t *testing.T) {
	h := shelve(t)
	w := &wire{fails: map[string]error{"box-2": fmt.Errorf("%w: too large", kafka.ErrThisAlone)}}
	done, err := replay.Send(t.Context(), h.journal, w, replay.Choice{}, time.Now)
	if err != nil || done.Sent != 2 || len(done.Failed) != 1 || done.Failed[0].ID != "box-2" || done.Fault(replay.Choice{}) == nil {
		t.Errorf("one is not taken: %+v, %v", done, err)
	}
	h, w = shelve(t), &wire{away: errors.New("no brokers")}
	if done, err := replay.Send(t.Context(), h.journal, w, replay.Choice{}, time.Now); err == nil || !strings.Contains(err.Error(), "no brokers") || done.Sent > 0 {
		t.Errorf("without Kafka: %+v, %v", done, err)
	}
	h, w = shelve(t), new(wire)
	if done, err := replay.Send(t.Context(), killedShelf{h.journal}, w, replay.Choice{}, time.Now); !errors.Is(err, errKilled) || done.Sent == 0 || done.Sent != len(w.sent) {
		t.Errorf("killed: %+v, %v, %d were sent", done, err, len(w.sent))
	}
	before := len(w.sent)
	if done, err := replay.Send(t.Context(), h.journal, w, replay.Choice{}, time.Now); err != nil || done.Sent != 3 || len(w.sent) != before+3 {
		t.Errorf("again: %+v, %v", done, err)
	}
}

// What died of a contest that is final stays on the shelf, and is told; the
// others are sent.
func TestReplayOfFinalContest(t *testing.T) {
	h, w := shelve(t), &wire{}
	h.journal.final = map[string]bool{"free": true}
	done, err := replay.Send(t.Context(), h.journal, w, replay.Choice{}, time.Now)
	if err != nil || done.Sent != 1 || !slices.Equal(w.ids(), []string{"box-3"}) {
		t.Fatalf("%+v, %v: %v", done, err, w.ids())
	}
	told := 0
	for _, c := range done.Cannot {
		if c.Fault == "its contest is final" {
			told++
		}
	}
	if told != 2 {
		t.Errorf("told of %d letters, want 2: %+v", told, done.Cannot)
	}
}

var errKilled = errors.New("killed")

// killedShelf stands in for a replay that is killed before it marks what it sent.
type killedShelf struct{ *journalOf }

func (killedShelf) MarkReplayed(context.Context, journal.DeadLetter, time.Time) (bool, error) {
	return false, errKilled
}

// What replay is told wrongly it says before it reads anything.
func TestReplaySettings(t *testing.T) {
	environ := []string{"KAFKA_BROKER=127.0.0.1:1", "MONGO_URL=mongodb://127.0.0.1:1"}
	for _, args := range [][]string{{"-send"}, {"-send", "-all", "id"}, {"-all"}, {"-limit", "0"}, {"-limit", "10001"}, {"-what"}} {
		if result, err := runReplay(t.Context(), args, environ); err == nil || result != nil {
			t.Errorf("%v: %v, %v", args, result, err)
		}
	}
	if _, err := runReplay(t.Context(), nil, nil); err == nil || !strings.Contains(err.Error(), "MONGO_URL") {
		t.Errorf("without MongoDB: %v", err)
	}
}

// A dead announcement goes to votes.counted again, also of a contest that is final:
// its votes are counted, and the public log takes each once. Dead votes of such a
// contest stay on the shelf.
func TestReplayOfAnnouncements(t *testing.T) {
	h := newHouse(t)
	vote := events.Vote{Name: "La Tona"}
	h.bury(events.TypeCounted, h.box("free", events.ByGRPC, vote)).Votes = 0
	h.bury(events.TypeAccepted, h.box("free", events.ByGRPC, vote))
	h.journal.final = map[string]bool{"free": true}
	w := new(wire)
	done, err := replay.Send(t.Context(), h.journal, w, replay.Choice{}, time.Now)
	if err != nil || done.Sent != 1 || done.Votes != 0 || len(done.Cannot) != 1 || done.Cannot[0].ID != "box-2/accepted" {
		t.Errorf("%+v, %v", done, err)
	}
	if len(w.sent) != 1 || w.sent[0].ID() != "box-1/counted" || events.TopicOf(w.sent[0].Type()) != events.VotesCounted {
		t.Errorf("sent are %v", w.sent)
	}
}
