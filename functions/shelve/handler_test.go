package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"marimba/events"
	"marimba/functions/internal/journal"
)

// memory keeps what is shelved.
type memory struct {
	letters []journal.DeadLetter
	err     error
}

func (m *memory) Shelve(_ context.Context, d journal.DeadLetter) error {
	if m.err == nil {
		m.letters = append(m.letters, d)
	}
	return m.err
}

var now = time.Date(2026, 11, 24, 21, 0, 0, 0, time.UTC)

func newTest() (*shelf, *memory) {
	m := &memory{}
	s := newShelf(m)
	s.now = func() time.Time { return now }
	return s, m
}

// request posts an event as a source does.
func request(t testing.TB, e event.Event) *http.Request {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	if err := cehttp.WriteRequest(t.Context(), binding.ToMessage(&e), r); err != nil {
		t.Fatal(err)
	}
	return r
}

// post returns the status that a request is answered with, and the one letter
// that came of it.
func post(t testing.TB, r *http.Request) (int, journal.DeadLetter) {
	t.Helper()
	s, m := newTest()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if len(m.letters) != 1 {
		t.Fatalf("answered %d, and %d letters were shelved", w.Code, len(m.letters))
	}
	return w.Code, m.letters[0]
}

// dead makes the event that a source dead-letters.
func dead() event.Event {
	box := events.Box{ID: "box-1", Contest: "final", Channel: events.ByGRPC, Votes: []events.Vote{
		{ID: "1", Name: "La Tona", Year: 2001, At: now}, {ID: "2", Name: "El Clubo", Year: 2002, At: now, Index: 1},
	}}
	e := box.Event(events.TypeAccepted, "screen")
	e.SetExtension("knativeerrordest", "http://tally.marimba.svc.cluster.local")
	e.SetExtension("knativeerrorcode", "422")
	e.SetExtension("knativeerrordata", base64.StdEncoding.EncodeToString([]byte("event_malformed Unprocessable Entity\n")))
	e.SetExtension("reason", "event_malformed")
	e.SetExtension("knativekafkapartition", "3")
	e.SetExtension("knativekafkaoffset", "1234")
	return e
}

// A dead box is shelved with its cause, its place and its votes, and can be read
// back from the letter as it was.
func TestDeadBox(t *testing.T) {
	status, got := post(t, request(t, dead()))
	if status != http.StatusAccepted {
		t.Errorf("status %d", status)
	}
	var e event.Event
	if err := e.UnmarshalJSON(got.Event); err != nil {
		t.Fatal(err)
	}
	box, err := events.BoxOf(e)
	want, _ := events.BoxOf(dead())
	if err != nil || !reflect.DeepEqual(box, want) {
		t.Errorf("box is %+v, %v\nwant %+v", box, err, want)
	}
	if e.Source() != "/marimba/screen" || e.Subject() != "final" || e.Extensions()["partitionkey"] != "box-1" {
		t.Errorf("event is %v", e)
	}
	got.Event = nil
	if want := (journal.DeadLetter{
		ID: "box-1/accepted", Type: events.TypeAccepted, Contest: "final", Channel: events.ByGRPC, Votes: 2,
		Topic: events.VotesAccepted, Cause: "event_malformed", Status: "422",
		Destination: "http://tally.marimba.svc.cluster.local", Answer: "event_malformed Unprocessable Entity",
		Places: []string{"3/1234"}, At: now, State: journal.Shelved,
	}); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// What is given up on behind the count is kept like all else, to be sent to the same
// topic again; but none of its votes is dead with it, for they are counted.
func TestDeadAnnouncement(t *testing.T) {
	box, _ := events.BoxOf(dead())
	e := box.Event(events.TypeCounted, "tally")
	e.SetExtension("knativeerrorcode", "503")
	status, got := post(t, request(t, e))
	if status != http.StatusAccepted || got.ID != "box-1/counted" || got.Votes != 0 || got.Topic != events.VotesCounted || got.Contest != "final" || got.Cause != causeStatus {
		t.Errorf("status %d, letter %+v", status, got)
	}
	var kept event.Event
	if err := kept.UnmarshalJSON(got.Event); err != nil {
		t.Fatal(err)
	}
	if again, err := events.BoxOf(kept); err != nil || !reflect.DeepEqual(again, box) {
		t.Errorf("the letter holds %+v, %v", again, err)
	}
}

// Where no function gave a reason, the cause says what is known.
func TestCause(t *testing.T) {
	e := dead()
	e.SetExtension("reason", nil)
	if _, got := post(t, request(t, e)); got.Cause != causeStatus {
		t.Errorf("with a status: %q", got.Cause)
	}
	e.SetExtension("knativeerrorcode", nil)
	if _, got := post(t, request(t, e)); got.Cause != causeNoAnswer {
		t.Errorf("without: %q", got.Cause)
	}
}

// Whatever is posted is shelved, whole, and never refused: refused events would
// come again for ever.
func TestTakesAnything(t *testing.T) {
	foreign := event.New()
	foreign.SetID("partition:0/offset:7")
	foreign.SetSource("/apis/v1/namespaces/marimba/kafkasources/screen#votes.cast")
	foreign.SetType("dev.knative.kafka.event")
	foreign.DataEncoded = []byte{0xff, 0xfe, 0}

	broken := dead()
	broken.DataEncoded = []byte("not protobuf \xff")

	notJSON := foreign
	notJSON.SetDataContentType("application/json")
	notJSON.DataEncoded = []byte(`{"a":`)

	raw := func(body string, headers ...string) *http.Request {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		for i := 0; i+1 < len(headers); i += 2 {
			r.Header[http.CanonicalHeaderKey(headers[i])] = []string{headers[i+1]}
		}
		return r
	}
	for name, test := range map[string]struct {
		request *http.Request
		data    []byte // of the event that is shelved; nil: it is shelved raw
	}{
		"a record that is no CloudEvent": {request(t, foreign), foreign.DataEncoded},
		"a box that is none":             {request(t, broken), broken.DataEncoded},
		"data that is not its type":      {request(t, notJSON), notJSON.DataEncoded},
		"nothing":                        {raw(""), nil},
		"bytes":                          {raw("\xff\x00", "Content-Type", "application/octet-stream"), nil},
		"an event without type":          {raw("x", "ce-specversion", "1.0", "ce-id", "1", "ce-source", "/s"), nil},
		"an unknown version":             {raw("x", "ce-specversion", "9", "ce-id", "1", "ce-source", "/s", "ce-type", "t"), nil},
		"a time that is none":            {raw("x", "ce-specversion", "1.0", "ce-id", "1", "ce-source", "/s", "ce-type", "t", "ce-time", "soon"), nil},
		"broken JSON":                    {raw(`{"specversion":`, "Content-Type", "application/cloudevents+json"), nil},
		"a batch":                        {raw(`[]`, "Content-Type", "application/cloudevents-batch+json"), nil},
		"broken UTF-8":                   {raw("x", "ce-specversion", "1.0", "ce-id", "a\xff", "ce-source", "/s", "ce-type", "t\xff", "ce-reason", "\xff"), []byte("x")},
		"more than may be":               {raw(strings.Repeat("x", maxBody+10), "ce-specversion", "1.0", "ce-id", "1", "ce-source", "/s", "ce-type", "t"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			status, got := post(t, test.request)
			if status != http.StatusAccepted {
				t.Errorf("status %d", status)
			}
			storable(t, got)
			if test.data == nil {
				if got.Raw == nil || got.Event != nil || got.Cause != causeUnreadable {
					t.Errorf("got %+v, want it raw", got)
				}
				return
			}
			var e event.Event
			if err := e.UnmarshalJSON(got.Event); err != nil || !bytes.Equal(e.Data(), test.data) {
				t.Errorf("event's data is %q, %v, want %q", e.Data(), err, test.data)
			}
		})
	}
}

// storable holds a letter against what MongoDB takes: valid, short texts, and a
// document of less than 16 MB.
func storable(t testing.TB, d journal.DeadLetter) {
	t.Helper()
	texts := append([]string{d.ID, d.Type, d.Contest, string(d.Channel), d.Cause, d.Status, d.Destination, d.Answer}, d.Places...)
	for _, s := range texts {
		if !utf8.ValidString(s) || len(s) > 2*maxText {
			t.Errorf("text %q cannot be stored", s)
		}
	}
	if d.ID == "" || d.State != journal.Shelved || len(d.Event)+len(d.Raw) > 10<<20 || (d.Event == nil) == (d.Raw == nil) {
		t.Errorf("letter %+v cannot be stored", d)
	}
}

// The same dead letter has the same id however often it comes, and others have
// others.
func TestIDs(t *testing.T) {
	foreign := event.New()
	foreign.SetID("1")
	foreign.SetSource("/s")
	foreign.SetType("t")
	seen := make(map[string]bool)
	for range 2 {
		_, a := post(t, request(t, dead()))
		_, b := post(t, request(t, foreign))
		_, c := post(t, httptest.NewRequest(http.MethodPost, "/", strings.NewReader("c")))
		_, d := post(t, httptest.NewRequest(http.MethodPost, "/", strings.NewReader("d")))
		for _, letter := range []journal.DeadLetter{a, b, c, d} {
			seen[letter.ID] = true
		}
	}
	if len(seen) != 4 {
		t.Errorf("ids: %v", seen)
	}
}

type cutBody struct{}

func (cutBody) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// What may pass is answered with what a source retries, and nothing is shelved.
func TestComesAgain(t *testing.T) {
	s, m := newTest()
	m.err = errors.New("away")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, request(t, dead()))
	if w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), "away") {
		t.Errorf("journal away: %d %s", w.Code, w.Body)
	}
	m.err = nil
	w = httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", cutBody{}))
	if w.Code != http.StatusRequestTimeout {
		t.Errorf("cut off: %d", w.Code)
	}
	w = httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", w.Code)
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	for range maxInFlight {
		s.room <- struct{}{}
	}
	s.ServeHTTP(httptest.NewRecorder(), request(t, dead()).WithContext(gone))
	if len(m.letters) != 0 {
		t.Errorf("%d letters were shelved", len(m.letters))
	}
}

// Any request makes a letter that can be stored.
func FuzzLetter(f *testing.F) {
	f.Add([]byte("data"), "1.0", "id", "/source", "type", "text/plain", "reason")
	f.Add([]byte(`{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{}}`), "", "", "", "", "application/cloudevents+json", "")
	f.Add([]byte{0xff}, "1.0", "\xff", "%", "gt.marimba.votes.cast.v1", "application/json", "\x00")
	f.Fuzz(func(t *testing.T, body []byte, version, id, source, kind, media, reason string) {
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		for name, value := range map[string]string{
			"ce-specversion": version, "ce-id": id, "ce-source": source, "ce-type": kind, "content-type": media, "ce-reason": reason,
		} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		status, got := post(t, r)
		if status != http.StatusAccepted {
			t.Errorf("status %d", status)
		}
		storable(t, got)
	})
}
