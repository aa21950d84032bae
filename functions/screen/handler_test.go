package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"marimba/config"
	"marimba/events"
	"marimba/functions/internal/stage"
)

// outbox keeps what is sent.
type outbox struct {
	sent [][]event.Event // by call
	away error
}

func (o *outbox) Send(_ context.Context, evs ...event.Event) error {
	if o.away != nil {
		return o.away
	}
	o.sent = append(o.sent, evs)
	return nil
}

type roll []events.Contest

func (r roll) Contest(id string) (events.Contest, bool) {
	i := slices.IndexFunc(r, func(c events.Contest) bool { return c.ID == id })
	if i < 0 {
		return events.Contest{}, false
	}
	return r[i], true
}

func (r roll) IDs() []string {
	var ids []string
	for _, c := range r {
		ids = append(ids, c.ID)
	}
	return ids
}

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// rock is a contest with rules of each kind.
var rock = events.Contest{
	ID: "rock", RankMode: events.Position, RankMax: 1000, YearMin: 1970, AlbumRequired: true, ClosesAt: noon.Add(time.Hour),
	Bands: []events.Band{{Name: "Malacates Trébol Shop", Aliases: []string{"Malacates"}, Albums: []events.Album{{Title: "Paquetecuetes"}}}},
}

func newOutbox() (*outbox, *screen) {
	o := new(outbox)
	return o, newScreen(roll{rock}, o)
}

func good() events.Vote {
	return events.Vote{ID: "a", Name: "malacates", Album: "PAQUETECUETES", Year: 2006, Rank: 300, At: noon}
}

// cast is a box of votes as an ingress casts it.
func cast(contest string, votes ...events.Vote) event.Event {
	for i := range votes {
		votes[i].Index = i
		votes[i].ID = fmt.Sprint("vote-", i)
	}
	return events.Box{ID: "0196ccd5-7d3b-7000-8000-000000000001", Contest: contest, Channel: events.ByGRPC, Votes: votes}.
		Event(events.TypeCast, "ingress-grpc")
}

// box reads an event that was sent, and checks that it is of a type and of the
// box that was cast.
func box(t *testing.T, e event.Event, kind string, of event.Event) events.Box {
	t.Helper()
	got, err := events.BoxOf(e)
	if err != nil {
		t.Fatal(err)
	}
	was, err := events.BoxOf(of)
	if err != nil {
		t.Fatal(err)
	}
	if e.Type() != kind || e.Source() != "/marimba/screen" || got.ID != was.ID || got.Contest != was.Contest || got.Channel != was.Channel {
		t.Errorf("sent is\n%s", e)
	}
	return got
}

// A vote that the contest admits passes, in the roster's spelling and otherwise
// as it was.
func TestVotePasses(t *testing.T) {
	o, s := newOutbox()
	v := good()
	v.VoterKey, v.CastAt = []byte("key"), noon.Add(-time.Minute)
	in := cast("rock", v)
	if err := s.handle(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if len(o.sent) != 1 || len(o.sent[0]) != 1 {
		t.Fatalf("sent are %v", o.sent)
	}
	want := v
	want.ID, want.Name, want.Album = "vote-0", "Malacates Trébol Shop", "Paquetecuetes"
	if got := box(t, o.sent[0][0], events.TypeAccepted, in).Votes; !reflect.DeepEqual(got, []events.Vote{want}) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// A vote that the contest does not admit is refused with the reason and the
// field, and otherwise as it was.
func TestVoteIsRefused(t *testing.T) {
	for code, change := range map[events.Code]func(*events.Vote){
		events.BandUnknown:    func(v *events.Vote) { v.Name = "La Tona" },
		events.AlbumUnknown:   func(v *events.Vote) { v.Album = "Sub" },
		events.AlbumMissing:   func(v *events.Vote) { v.Album = "" },
		events.YearOutOfRange: func(v *events.Vote) { v.Year = 1969 },
		events.RankOutOfRange: func(v *events.Vote) { v.Rank = 1001 },
		events.TooLate:        func(v *events.Vote) { v.At = noon.Add(time.Hour) },
	} {
		o, s := newOutbox()
		v := good()
		change(&v)
		in := cast("rock", v)
		if err := s.handle(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		if len(o.sent) != 1 || len(o.sent[0]) != 1 {
			t.Fatalf("%s: sent are %v", code, o.sent)
		}
		got := box(t, o.sent[0][0], events.TypeRefused, in).Votes[0]
		if got.Reason != code || (got.Field == "") != (code == events.TooLate) {
			t.Errorf("%s: reason is %s of %q", code, got.Reason, got.Field)
		}
		got.Reason, got.Field, v.ID = "", "", "vote-0"
		if !reflect.DeepEqual(got, v) {
			t.Errorf("%s: got %+v, want %+v", code, got, v)
		}
	}
}

// A mixed box becomes two, sent in one call, which together have each vote once,
// at the place that its receipt names.
func TestMixedBoxBecomesTwo(t *testing.T) {
	o, s := newOutbox()
	no := good()
	no.Name = "La Tona"
	in := cast("rock", good(), no, good(), no, no, good())
	if err := s.handle(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if len(o.sent) != 1 || len(o.sent[0]) != 2 {
		t.Fatalf("sent are %v", o.sent)
	}
	places := func(b events.Box) string {
		var at []string
		for _, v := range b.Votes {
			at = append(at, fmt.Sprint(v.Index, v.ID))
		}
		return strings.Join(at, " ")
	}
	accepted := box(t, o.sent[0][0], events.TypeAccepted, in)
	refused := box(t, o.sent[0][1], events.TypeRefused, in)
	if got := places(accepted); got != "0vote-0 2vote-2 5vote-5" {
		t.Errorf("accepted are %s", got)
	}
	if got := places(refused); got != "1vote-1 3vote-3 4vote-4" {
		t.Errorf("refused are %s", got)
	}
	if o.sent[0][0].ID() == o.sent[0][1].ID() {
		t.Errorf("both events have the id %s", o.sent[0][0].ID())
	}
}

// The same box makes the very same events each time, whenever it comes and
// whichever process judges it: who reads them can tell them for the same.
func TestRedeliveryMakesTheSameEvents(t *testing.T) {
	no := good()
	no.Rank = 5000
	in := cast("rock", good(), no, good())
	var first []event.Event
	for range 5 {
		o, s := newOutbox() // a process of its own
		if err := s.handle(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = o.sent[0]
			continue
		}
		for i, e := range o.sent[0] {
			if !bytes.Equal(e.Data(), first[i].Data()) || e.String() != first[i].String() {
				t.Errorf("got\n%s\nfirst\n%s", e, first[i])
			}
		}
	}
}

// Votes of a contest that there is not are refused, one and all: they were
// answered with success, and end in a state.
func TestContestIsUnknown(t *testing.T) {
	o, s := newOutbox()
	in := cast("jazz", good(), good())
	if err := s.handle(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	got := box(t, o.sent[0][0], events.TypeRefused, in)
	if len(o.sent[0]) != 1 || len(got.Votes) != 2 || got.Votes[1].Reason != events.ContestUnknown || got.Votes[1].Field != "contest" {
		t.Errorf("sent are %v", o.sent)
	}
}

// What is no box of ours is poison: to send it again would not help.
func TestPoison(t *testing.T) {
	foreign := cast("rock", good())
	foreign.SetType("dev.knative.kafka.event")
	broken := cast("rock", good())
	broken.DataEncoded = broken.DataEncoded[:20]
	another := cast("rock", good())
	another.SetID("another")
	empty := cast("rock", good())
	empty.DataEncoded = nil
	for say, e := range map[string]event.Event{"foreign": foreign, "broken": broken, "id of another": another, "empty": empty} {
		o, s := newOutbox()
		err := s.handle(t.Context(), e)
		var poison *stage.PoisonError
		if !errors.As(err, &poison) || poison.Reason != events.EventMalformed || len(o.sent) > 0 {
			t.Errorf("%s: got %v, sent %v", say, err, o.sent)
		}
	}
}

// While Kafka does not confirm, the box is not done, and is not poison either.
func TestSendFails(t *testing.T) {
	o, s := newOutbox()
	o.away = errors.New("away")
	err := s.handle(t.Context(), cast("rock", good()))
	var poison *stage.PoisonError
	if !errors.Is(err, o.away) || errors.As(err, &poison) {
		t.Errorf("got %v", err)
	}
	o.away = nil
	if err := s.handle(t.Context(), cast("rock", good())); err != nil || len(o.sent) != 1 {
		t.Errorf("when it is back: %v, sent %v", err, o.sent)
	}
}

// The largest box, in which all are refused, still is a box.
func TestLargestBoxIsJudged(t *testing.T) {
	o, s := newOutbox()
	no := good()
	no.Name = "La Tona"
	in := cast("rock", slices.Repeat([]events.Vote{no}, events.MaxBoxVotes)...)
	if err := s.handle(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if got := box(t, o.sent[0][0], events.TypeRefused, in); len(got.Votes) != events.MaxBoxVotes {
		t.Errorf("%d votes are left", len(got.Votes))
	}
}

// All that is missing is told, and what is enough is taken.
func TestSettings(t *testing.T) {
	if _, err := load(nil); err == nil || !strings.Contains(err.Error(), "KAFKA_BROKER") {
		t.Errorf("got %v", err)
	}
	cfg, err := load([]string{"KAFKA_BROKER=127.0.0.1:9092", "PORT=9"})
	if err != nil || cfg.Port != 9 || cfg.Broker != "127.0.0.1:9092" {
		t.Errorf("got %+v, %v", cfg, err)
	}
}

// What a box of 500 votes costs screen.
func BenchmarkHandle(b *testing.B) {
	contests, err := config.Contests{}.Load()
	if err != nil {
		b.Fatal(err)
	}
	s := newScreen(contests, new(nowhere))
	v := good()
	in := cast("rock-gt", slices.Repeat([]events.Vote{v}, events.MaxBoxVotes)...)
	b.ReportAllocs()
	for b.Loop() {
		if err := s.handle(b.Context(), in); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/events.MaxBoxVotes, "ns/vote")
}

// nowhere takes what is sent and forgets it.
type nowhere struct{}

func (nowhere) Send(context.Context, ...event.Event) error { return nil }

// Boxes beyond those at work wait for room, and go back to the source if none comes
// in time.
func TestWaitsForRoom(t *testing.T) {
	o, s := newOutbox()
	for range maxAtWork {
		s.room <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.handle(ctx, cast("rock", good())); !errors.Is(err, context.Canceled) || len(o.sent) != 0 {
		t.Fatalf("without room: %v, %d sent", err, len(o.sent))
	}
	<-s.room
	if err := s.handle(t.Context(), cast("rock", good())); err != nil || len(o.sent) != 1 {
		t.Fatalf("with room: %v, %d sent", err, len(o.sent))
	}
	if len(s.room) != maxAtWork-1 {
		t.Errorf("a place was not given back: %d are taken", len(s.room))
	}
}
