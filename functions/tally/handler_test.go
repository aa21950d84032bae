package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/redis/go-redis/v9"

	"marimba/events"
	"marimba/functions/internal/counts"
	"marimba/functions/internal/counts/countstest"
	"marimba/functions/internal/journal"
	"marimba/functions/internal/journal/journaltest"
	"marimba/functions/internal/mend"
	"marimba/functions/internal/stage"
)

type roll map[string]events.Contest

func (r roll) Contest(id string) (events.Contest, bool) { c, ok := r[id]; return c, ok }

// uncharted draws nothing.
type uncharted struct{}

func (uncharted) changed(events.Contest) {}

var errKilled = errors.New("killed")

// killed stands in for a process that is killed: of the steps before and behind
// each call, in the order in which they come, it does not survive the one at.
type killed struct {
	tally
	at, step int
}

func (k *killed) dies() bool {
	k.step++
	return k.step == k.at
}

func (k *killed) Count(ctx context.Context, c events.Contest, e counts.Entry) (counts.Answer, error) {
	if k.dies() {
		return counts.Answer{}, errKilled
	}
	a, err := k.counts.Count(ctx, c, e)
	if k.dies() {
		return counts.Answer{}, errKilled
	}
	return a, err
}

func (k *killed) Append(ctx context.Context, e journal.Entry) (string, error) {
	if k.dies() {
		return "", errKilled
	}
	attempt, err := k.journal.Append(ctx, e)
	if k.dies() {
		return "", errKilled
	}
	return attempt, err
}

func (k *killed) Stands(ctx context.Context, contest, id, attempt string) (bool, error) {
	return k.journal.Stands(ctx, contest, id, attempt)
}

func (k *killed) Replace(ctx context.Context, e journal.Entry, void string) (string, error) {
	return k.journal.Replace(ctx, e, void)
}

func (k *killed) Held(ctx context.Context, id string) (journal.Entry, error) {
	return k.journal.Held(ctx, id)
}

func (k *killed) Send(ctx context.Context, evs ...event.Event) error {
	if k.dies() {
		return errKilled
	}
	err := k.send.Send(ctx, evs...)
	if k.dies() {
		return errKilled
	}
	return err
}

func (k *killed) Settle(ctx context.Context, c events.Contest, e counts.Entry, a counts.Answer, logged string) error {
	if k.dies() {
		return errKilled
	}
	err := k.counts.Settle(ctx, c, e, a, logged)
	if k.dies() {
		return errKilled
	}
	return err
}

// books is everything that is left of a contest's votes.
type books struct {
	tally   counts.Histogram
	figures counts.Figures
	pending map[events.State]int64
	seconds []counts.Second
	newest  []counts.Recent
	log     map[string][]events.State
	told    map[string]int // receipts that were announced
}

type fixture struct {
	tally
	store *counts.Store
	log   *journaltest.Log
	crier *crier
}

var contest = events.Contest{ID: "final", Shards: 3, Limit: events.Limit{Mode: events.PerContest, N: 1}}

func newFixture(t *testing.T) fixture {
	t.Helper()
	server := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), Protocol: 2})
	t.Cleanup(func() { _ = client.Close() })
	store := counts.New(client)
	log := journaltest.New()
	mending := mend.NewKeeper(t.Context(), mend.New(store, log))
	if err := countstest.Begin(t.Context(), store, contest); err != nil {
		t.Fatal(err)
	}
	crier := newCrier()
	return fixture{newTally(roll{contest.ID: contest}, store, log, mending, crier, uncharted{}), store, log, crier}
}

func (f fixture) books(t *testing.T) books {
	t.Helper()
	var b books
	var err error
	must := func() {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	b.tally, err = f.store.Tally(t.Context(), contest)
	must()
	b.figures, err = f.store.Figures(t.Context(), contest)
	must()
	b.pending, err = f.store.Pending(t.Context(), contest)
	must()
	b.seconds, err = f.store.Seconds(t.Context(), contest, received.Add(-time.Minute), received.Add(time.Minute))
	must()
	b.newest, err = f.store.Newest(t.Context(), counts.MaxNewest, contest)
	must()
	b.log = make(map[string][]events.State)
	for _, e := range f.log.All("") {
		b.log[e.ID] = e.States
	}
	b.told = f.crier.receipts(t)
	return b
}

var received = time.Now().UTC().Truncate(time.Millisecond)

// judged makes the two boxes that screen makes of one.
func judged(id string) []event.Event {
	at := received
	vote := func(i int, name string, voter string, why events.Code) events.Vote {
		return events.Vote{ID: fmt.Sprintf("%s-%d", id, i), Name: name, Album: "Album", Year: 2001, Rank: 300,
			VoterKey: []byte(voter), At: at, Index: i, Reason: why}
	}
	accepted := events.Box{ID: id, Contest: contest.ID, Channel: events.ByGRPC, Votes: []events.Vote{
		vote(0, "La Tona", "voter one", ""), vote(1, "El Clubo", "voter one", ""), vote(3, "La Tona", "voter two", ""),
		vote(4, "La Tona", "", ""), vote(4, "La Tona", "", ""),
	}}
	refused := events.Box{ID: id, Contest: contest.ID, Channel: events.ByGRPC, Votes: []events.Vote{
		vote(2, "Nobody", "voter one", events.BandUnknown),
	}}
	return []event.Event{
		accepted.Event(events.TypeAccepted, "screen"),
		refused.Event(events.TypeRefused, "screen"),
	}
}

// Wherever a delivery is killed, once or twice, the deliveries that follow leave
// the same books as one that is not, and so does one that comes when all is done.
func TestKilledAnywhere(t *testing.T) {
	const most = 8                                                                   // before and behind each of four calls
	steps := map[string]int{events.TypeAccepted: most, events.TypeRefused: most - 2} // of refused votes nothing is announced
	clean := newFixture(t)
	for _, e := range judged("box") {
		if err := clean.handle(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	want := clean.books(t)
	wantStates := map[events.State]int64{events.Counted: 3, events.OverLimit: 1, events.Duplicate: 1, events.Refused: 1}
	if !reflect.DeepEqual(want.figures.Votes[events.ByGRPC], wantStates) || len(want.pending) != 0 {
		t.Fatalf("a clean pass leaves %+v", want)
	}
	if counted := countedIn(t, clean.log); len(counted) != 3 || !maps.Equal(want.told, counted) {
		t.Fatalf("announced are %v, counted %v", want.told, counted)
	}
	for first := range most {
		for second := range most + 1 {
			t.Run(fmt.Sprintf("%d-%d", first+1, second+1), func(t *testing.T) {
				f := newFixture(t)
				for _, e := range judged("box") {
					for _, at := range []int{first + 1, second + 1, 0, 0} { // 0 is never
						k := &killed{tally: f.tally, at: at}
						err := newTally(f.contests, k, k, f.mending, k, uncharted{}).handle(t.Context(), e)
						if at > 0 && at <= steps[e.Type()] != errors.Is(err, errKilled) || at == 0 && err != nil {
							t.Fatalf("killed at %d: %v", at, err)
						}
					}
				}
				if got := f.books(t); !reflect.DeepEqual(got, want) {
					t.Errorf("got  %+v\nwant %+v", got, want)
				}
			})
		}
	}
}

// Deliveries of the same events at the same time leave the same books as one.
func TestDeliveredAtOnce(t *testing.T) {
	clean, f := newFixture(t), newFixture(t)
	for _, e := range judged("box") {
		if err := clean.handle(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	var delivering sync.WaitGroup
	for _, e := range judged("box") {
		for range 2 * maxAtWork {
			delivering.Go(func() {
				if err := f.handle(t.Context(), e); err != nil {
					t.Error(err)
				}
			})
		}
	}
	delivering.Wait()
	// A delivery that counted after another had settled, and was settled by none
	// yet, is settled by the next one.
	for _, e := range judged("box") {
		if err := f.handle(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := f.books(t), clean.books(t); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// A box that waits for room does so no longer than its sender.
func TestWaitsForRoom(t *testing.T) {
	f := newFixture(t)
	for range maxAtWork {
		f.room <- struct{}{}
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	if err := f.handle(gone, judged("box")[0]); !errors.Is(err, context.Canceled) {
		t.Errorf("without room: %v", err)
	}
	<-f.room
	if err := f.handle(t.Context(), judged("box")[0]); err != nil {
		t.Errorf("with room: %v", err)
	}
}

// The same votes in another box are duplicates, and the books say so.
func TestVotesCastTwice(t *testing.T) {
	f := newFixture(t)
	box := events.Box{ID: "one", Contest: contest.ID, Channel: events.ByHTTP, Votes: []events.Vote{{ID: "1", Name: "La Tona", At: received}}}
	for _, id := range []string{"one", "two", "three"} {
		box.ID = id
		if err := f.handle(t.Context(), box.Event(events.TypeAccepted, "screen")); err != nil {
			t.Fatal(err)
		}
	}
	want := map[events.State]int64{events.Counted: 1, events.Duplicate: 2}
	if got := f.books(t).figures.Votes[events.ByHTTP]; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// The log notes where a source read the box, and when it was brought there; what a
// source does not say, or says at length, is not noted.
func TestLogNotesTheWay(t *testing.T) {
	f := newFixture(t)
	f.now = func() time.Time { return received.Add(1500 * time.Microsecond) }
	said := judged("said")[0]
	said.SetExtension("knativekafkapartition", "3")
	said.SetExtension("knativekafkaoffset", "1999")
	long := judged("long")[0]
	long.SetExtension("knativekafkapartition", "3")
	long.SetExtension("knativekafkaoffset", strings.Repeat("9", maxPlace))
	for _, e := range []event.Event{said, judged("unsaid")[0], long} {
		if err := f.handle(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	places := make(map[string]string)
	for _, e := range f.log.All("") {
		places[e.ID] = e.Place
		if !e.Logged.Equal(received.Add(time.Millisecond)) {
			t.Errorf("%s was logged at %s", e.ID, e.Logged)
		}
	}
	if want := map[string]string{"said/accepted": "3/1999", "unsaid/accepted": "", "long/accepted": ""}; !maps.Equal(places, want) {
		t.Errorf("places are %v, want %v", places, want)
	}
}

// What can never be a judged box is poison; what may become one is not.
func TestPoison(t *testing.T) {
	box := func(votes ...events.Vote) events.Box {
		return events.Box{ID: "box", Contest: contest.ID, Votes: votes}
	}
	good := events.Vote{ID: "1", Name: "La Tona", At: received}
	bad := events.Vote{ID: "1", Name: "La Tona", At: received, Reason: events.TooLate}
	control := events.Vote{ID: "1", Name: "La\x1fTona", At: received}
	broken := box(good).Event(events.TypeAccepted, "screen")
	broken.DataEncoded = []byte{0xff}
	unknown := box(good)
	unknown.Contest = "unknown"
	unknownRefused := box(bad)
	unknownRefused.Contest = "unknown"

	for name, test := range map[string]struct {
		event        event.Event
		fine, poison bool
	}{
		"accepted":                   {box(good).Event(events.TypeAccepted, "screen"), true, false},
		"refused":                    {box(bad).Event(events.TypeRefused, "screen"), true, false},
		"not judged":                 {box(good).Event(events.TypeCast, "ingress-http"), false, true},
		"bytes that are no box":      {broken, false, true},
		"refused among accepted":     {box(good, bad).Event(events.TypeAccepted, "screen"), false, true},
		"accepted among refused":     {box(bad, good).Event(events.TypeRefused, "screen"), false, true},
		"control character":          {box(control).Event(events.TypeAccepted, "screen"), false, true},
		"contest that may come":      {unknown.Event(events.TypeAccepted, "screen"), false, false},
		"refused of unknown contest": {unknownRefused.Event(events.TypeRefused, "screen"), true, false},
	} {
		t.Run(name, func(t *testing.T) {
			err := newFixture(t).handle(t.Context(), test.event)
			var poison *stage.PoisonError
			if (err == nil) != test.fine || errors.As(err, &poison) != test.poison {
				t.Errorf("got %v", err)
			}
		})
	}
}

// The first vote of a contest is counted at once. While a contest is held its
// boxes are to come again, and nothing is said about it.
func TestFirstVoteAndHold(t *testing.T) {
	var lines bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&lines, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	server := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), Protocol: 2})
	t.Cleanup(func() { _ = client.Close() })
	store, log := counts.New(client), journaltest.New()
	tally := newTally(roll{contest.ID: contest}, store, log, mend.NewKeeper(t.Context(), mend.New(store, log)), newCrier(), uncharted{})
	for _, e := range judged("first") {
		if err := tally.handle(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Hold(t.Context(), contest, time.Minute); err != nil {
		t.Fatal(err)
	}
	for _, e := range judged("second") {
		if err := tally.handle(t.Context(), e); !errors.Is(err, counts.ErrHeld) {
			t.Errorf("held: %v", err)
		}
	}
	if lines.Len() > 0 {
		t.Errorf("logged are\n%s", &lines)
	}
}
