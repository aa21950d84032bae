package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cloudevents/sdk-go/v2/event"

	"marimba/events"
	"marimba/events/seal"
	"marimba/functions/internal/stage"
	"marimba/functions/internal/tlog"
)

const secret = "receipt secret for tests"

// counted is a box as tally announces it.
func counted(n, votes int) events.Box {
	box := events.Box{ID: fmt.Sprintf("0199c4d2-7d3e-7abc-8def-%012d", n), Contest: "feria", Channel: events.ByGRPC}
	for i := range votes {
		box.Votes = append(box.Votes, events.Vote{
			ID: fmt.Sprint(n, ".", i), Name: fmt.Sprint("Bohemia Suburbana ", (n+i)%20), Album: "Sombras en el jardín", Year: 1993, Rank: int32(100 * (i % 10)), Index: i,
		})
	}
	return box
}

func eventOf(b events.Box) event.Event { return b.Event(events.TypeCounted, "tally") }

// memory is a book that keeps what it is given.
type memory struct {
	boxes []tlog.Box
	err   error
}

func (m *memory) Seal(_ context.Context, b tlog.Box) error {
	if m.err == nil {
		m.boxes = append(m.boxes, b)
	}
	return m.err
}

// Each vote's commitment is to the vote as it counted, hidden by the salt of its
// receipt's secret, which its voter was told.
func TestVotesAreCommittedTo(t *testing.T) {
	book := new(memory)
	n := notary{seal.NewSecrets([]byte(secret)), book}
	box := counted(1, 3)
	box.Votes[2].Index = 499
	if err := n.handle(t.Context(), eventOf(box)); err != nil {
		t.Fatal(err)
	}
	if len(book.boxes) != 1 || book.boxes[0].ID != box.ID || book.boxes[0].Contest != "feria" || len(book.boxes[0].Votes) != 3 {
		t.Fatalf("sealed is %+v", book.boxes)
	}
	for i, v := range box.Votes {
		told := seal.NewSecrets([]byte(secret)).Of("feria", events.Receipt(box.ID, v.Index))
		want := seal.Opening{Contest: "feria", Channel: events.ByGRPC, Name: v.Name, Album: v.Album, Year: 1993, Rank: v.Rank}.Commit(told.Salt())
		if got := book.boxes[0].Votes[i]; got.Index != v.Index || got.Entry != want {
			t.Errorf("vote %d is sealed as %+v", v.Index, got)
		}
	}
}

// What tally would never announce is poison: it is not sent again, and nothing is
// sealed.
func TestWhatIsNotCountedIsPoison(t *testing.T) {
	change := func(change func(*events.Box)) event.Event {
		b := counted(1, 2)
		change(&b)
		return eventOf(b)
	}
	broken := eventOf(counted(1, 1))
	broken.DataEncoded = broken.DataEncoded[:7]
	stranger := eventOf(counted(1, 1))
	stranger.SetID("other/counted")
	for say, e := range map[string]event.Event{
		"accepted":          counted(1, 1).Event(events.TypeAccepted, "screen"),
		"refused":           change(func(b *events.Box) { b.Votes[1].Reason = events.TooLate }),
		"twice":             change(func(b *events.Box) { b.Votes[1].Index = 0 }),
		"line in a name":    change(func(b *events.Box) { b.Votes[0].Name = "a\nb" }),
		"line in an album":  change(func(b *events.Box) { b.Votes[0].Album = "a\nb" }),
		"line in a channel": change(func(b *events.Box) { b.Channel = "a\nb" }),
		"broken":            broken,
		"of another box":    stranger,
	} {
		book := new(memory)
		err := notary{seal.NewSecrets([]byte(secret)), book}.handle(t.Context(), e)
		var poison *stage.PoisonError
		if !errors.As(err, &poison) || poison.Reason != events.EventMalformed || len(book.boxes) > 0 {
			t.Errorf("%s: %v, sealed is %v", say, err, book.boxes)
		}
	}
}

// What the book cannot do now is sent again.
func TestTroubleIsSentAgain(t *testing.T) {
	for _, trouble := range []error{tlog.ErrBusy, errors.New("MongoDB is away")} {
		n := notary{seal.NewSecrets([]byte(secret)), &memory{err: trouble}}
		w := httptest.NewRecorder()
		stage.New(n.handle).ServeHTTP(w, post(t, "http://notary/", eventOf(counted(1, 1))))
		if w.Code != http.StatusServiceUnavailable {
			t.Errorf("%v: %d", trouble, w.Code)
		}
	}
}

// post is an event as a KafkaSource sends it.
func post(t testing.TB, url string, e event.Event) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(string(e.Data())))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"Ce-Specversion": e.SpecVersion(), "Ce-Id": e.ID(), "Ce-Source": e.Source(), "Ce-Type": e.Type(), "Ce-Subject": e.Subject(),
		"Content-Type": e.DataContentType(),
	} {
		r.Header.Set(name, value)
	}
	return r
}
