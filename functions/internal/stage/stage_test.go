package stage

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/cloudevents/sdk-go/v2/event"

	"marimba/events"
)

// cast is an event as screen is sent it.
func cast() event.Event {
	return events.Box{ID: "box-1", Contest: "rock", Channel: events.ByHTTP, Votes: []events.Vote{{ID: "a", Name: "Trébol"}}}.
		Event(events.TypeCast, "ingress-http")
}

// binary is a request in binary mode, as a KafkaSource makes it.
func binary(e event.Event) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(e.Data()))
	for name, value := range map[string]string{
		"Ce-Specversion": e.SpecVersion(), "Ce-Id": e.ID(), "Ce-Source": e.Source(), "Ce-Type": e.Type(), "Ce-Subject": e.Subject(),
		"Ce-Time": e.Time().Format("2006-01-02T15:04:05.999Z07:00"), "Ce-Partitionkey": e.Extensions()["partitionkey"].(string),
		"Ce-Knativekafkaoffset": "7", "Content-Type": e.DataContentType(),
	} {
		r.Header.Set(name, value)
	}
	return r
}

func structured(text string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(text))
	r.Header.Set("Content-Type", "application/cloudevents+json; charset=utf-8")
	return r
}

// sentAgain reports whether a KafkaSource sends an event again that got a
// status, by the table of knative.dev/eventing.
func sentAgain(status int) bool {
	return status == 404 || status == 408 || status == 409 || status == 429 || status >= 500
}

// answer has a stage answer a request, and returns the event that it was called
// with, if it was.
func answer(r *http.Request, end error) (*httptest.ResponseRecorder, *event.Event) {
	var got *event.Event
	w := httptest.NewRecorder()
	New(func(_ context.Context, e event.Event) error { got = &e; return end }).ServeHTTP(w, r)
	return w, got
}

// An event reaches the handler as it was sent, in either mode, with what the
// source says about it.
func TestEventReachesTheHandler(t *testing.T) {
	want := cast()
	asJSON, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	for mode, r := range map[string]*http.Request{"binary": binary(want), "structured": structured(string(asJSON))} {
		w, got := answer(r, nil)
		if w.Code != http.StatusAccepted || got == nil {
			t.Fatalf("%s: %d %s", mode, w.Code, w.Body)
		}
		if w.Body.Len() != 0 || w.Header().Get("Kne-Reason") != "" {
			t.Errorf("%s: answer is %q %v", mode, w.Body, w.Header())
		}
		if mode == "binary" && got.Extensions()["knativekafkaoffset"] != "7" {
			t.Errorf("extensions are %v", got.Extensions())
		}
		box, err := events.BoxOf(*got)
		if err != nil || box.Votes[0].Name != "Trébol" || got.ID() != want.ID() || got.Subject() != want.Subject() || !got.Time().Equal(want.Time()) {
			t.Errorf("%s: got\n%s\nwant\n%s (%v)", mode, got, want, err)
		}
	}
}

// What the handler ends with says what the source does next: go on, send again,
// or bury at once with the reason.
func TestEndOfTheHandlerIsTheStatus(t *testing.T) {
	for _, c := range []struct {
		say    string
		end    error
		status int
		reason string
	}{
		{"done", nil, 202, ""},
		{"passes", errors.New("kafka is away"), 503, ""},
		{"gone", context.Canceled, 503, ""},
		{"poison", Poison(events.EventMalformed, events.ErrBox), 422, "event_malformed"},
		{"poison on the way", fmt.Errorf("judge: %w", Poison(events.ContestUnknown, errors.New("no such"))), 422, "contest_unknown"},
	} {
		w, _ := answer(binary(cast()), c.end)
		if w.Code != c.status || w.Header().Get("Kne-Reason") != c.reason {
			t.Errorf("%s: %d with reason %q", c.say, w.Code, w.Header().Get("Kne-Reason"))
		}
		if c.end != nil && sentAgain(w.Code) != (c.reason == "") {
			t.Errorf("%s: %d is sent again: %v", c.say, w.Code, sentAgain(w.Code))
		}
		if strings.Contains(w.Body.String(), "away") || strings.Contains(w.Body.String(), "such") {
			t.Errorf("%s: the answer tells what is for the log: %s", c.say, w.Body)
		}
	}
	if err := Poison(events.EventMalformed, events.ErrBox); !errors.Is(err, events.ErrBox) {
		t.Errorf("%v does not tell its cause", err)
	}
}

// What is not one CloudEvent is refused for ever, with a reason; the handler
// never sees it.
func TestWhatIsNotAnEventIsRefused(t *testing.T) {
	change := func(change func(*http.Request)) *http.Request {
		r := binary(cast())
		change(r)
		return r
	}
	head := func(name, value string) *http.Request {
		return change(func(r *http.Request) {
			r.Header.Del(name)
			if value != "" {
				r.Header.Set(name, value)
			}
		})
	}
	plain := structured(`{}`)
	plain.Header.Set("Content-Type", "application/json")
	batch := structured(`[{"specversion":"1.0","id":"a","source":"/s","type":"t"}]`)
	batch.Header.Set("Content-Type", "application/cloudevents-batch+json")
	big := binary(cast())
	big.Body, big.ContentLength = io.NopCloser(bytes.NewReader(make([]byte, maxBody+1))), maxBody+1
	unsized := binary(cast())
	unsized.Body, unsized.ContentLength = io.NopCloser(bytes.NewReader(make([]byte, 8*maxBody))), -1
	for say, c := range map[string]struct {
		request *http.Request
		status  int
	}{
		"no event":               {plain, 415},
		"many events":            {batch, 415},
		"no version":             {head("Ce-Specversion", ""), 415},
		"version to come":        {head("Ce-Specversion", "9.0"), 415},
		"no id":                  {head("Ce-Id", ""), 400},
		"no source":              {head("Ce-Source", ""), 400},
		"no type":                {head("Ce-Type", ""), 400},
		"time in words":          {head("Ce-Time", "ayer"), 400},
		"attribute without name": {change(func(r *http.Request) { r.Header["Ce-"] = []string{"x"} }), 400},
		"attribute misnamed":     {head("Ce-A_b", "x"), 400},
		"no JSON":                {structured(`{"specversion":"1.0","id":`), 400},
		"JSON, no event":         {structured(`{"specversion":"1.0"}`), 400},
		"JSON of another kind":   {structured(`[1]`), 400},
		"bomb":                   {structured(strings.Repeat(`{"a":`, 100_000)), 400},
		"too large":              {big, 413},
		"too large, unsized":     {unsized, 413},
	} {
		w, got := answer(c.request, nil)
		if w.Code != c.status || got != nil || w.Header().Get("Kne-Reason") != "event_malformed" || sentAgain(w.Code) {
			t.Errorf("%s: %d with reason %q, want %d; handled: %v", say, w.Code, w.Header().Get("Kne-Reason"), c.status, got != nil)
		}
	}
	for say, r := range map[string]*http.Request{
		"elsewhere": httptest.NewRequest(http.MethodPost, "/events", nil), "read": httptest.NewRequest(http.MethodGet, "/", nil),
	} {
		if w, got := answer(r, nil); w.Code != 410 && w.Code != 405 || got != nil {
			t.Errorf("%s: %d", say, w.Code)
		}
	}
}

// torn is a body that breaks off.
type torn struct{ io.Reader }

func (torn) Close() error { return nil }

func (t torn) Read(p []byte) (int, error) {
	n, err := t.Reader.Read(p)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// A body that breaks off says nothing of the event: it is sent again, in either
// mode.
func TestCutOffBodyIsSentAgain(t *testing.T) {
	whole := cast()
	for mode, r := range map[string]*http.Request{"binary": binary(whole), "structured": structured("")} {
		r.Body = torn{bytes.NewReader(whole.Data()[:5])}
		w, got := answer(r, nil)
		if w.Code != http.StatusRequestTimeout || !sentAgain(w.Code) || got != nil || w.Header().Get("Kne-Reason") != "" {
			t.Errorf("%s: %d, handled: %v", mode, w.Code, got != nil)
		}
	}
}

// No more events are at work than may; who comes too many is told to come again.
func TestEventsAtWorkAreBounded(t *testing.T) {
	entered, hold := make(chan struct{}), make(chan struct{})
	h := New(func(context.Context, event.Event) error { entered <- struct{}{}; <-hold; return nil })
	var group sync.WaitGroup
	for range maxInFlight {
		group.Go(func() {
			w := httptest.NewRecorder()
			if h.ServeHTTP(w, binary(cast())); w.Code != 202 {
				t.Errorf("at work: %d", w.Code)
			}
		})
	}
	for range maxInFlight {
		<-entered
	}
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, binary(cast())); w.Code != http.StatusServiceUnavailable || !sentAgain(w.Code) {
		t.Errorf("one too many: %d", w.Code)
	}
	close(hold)
	group.Wait()
	w = httptest.NewRecorder()
	go func() { <-entered }()
	if h.ServeHTTP(w, binary(cast())); w.Code != 202 {
		t.Errorf("with room again: %d", w.Code)
	}
}

// A sender that breaks off over the network is told to send again, and takes no
// room from those that come after it.
func TestHalfAnEventLeavesRoom(t *testing.T) {
	s := &stage{room: make(chan struct{}, 1), handle: func(context.Context, event.Event) error { return nil }}
	server := httptest.NewServer(http.HandlerFunc(s.serve))
	defer server.Close()
	for range 5 {
		half, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(half, "POST / HTTP/1.1\r\nHost: x\r\nCe-Specversion: 1.0\r\nContent-Length: 100\r\n\r\nhalf")
		_ = half.(*net.TCPConn).CloseWrite()
		got, err := http.ReadResponse(bufio.NewReader(half), nil)
		if err != nil {
			t.Fatal(err)
		}
		half.Close()
		if got.StatusCode != http.StatusRequestTimeout {
			t.Errorf("half an event is answered %d", got.StatusCode)
		}
	}
	if status, err := send(server, binary(cast())); err != nil || status != 202 {
		t.Errorf("who came after: %d, %v", status, err)
	}
}

// A sender that goes away while its event is at work ends the work, and takes no
// room from those that come after it.
func TestGoneSenderLeavesRoom(t *testing.T) {
	entered, ended := make(chan struct{}), make(chan error)
	s := &stage{room: make(chan struct{}, 1), handle: func(ctx context.Context, e event.Event) error {
		if e.Subject() == "jazz" {
			return nil
		}
		entered <- struct{}{}
		<-ctx.Done()
		ended <- ctx.Err()
		return ctx.Err()
	}}
	server := httptest.NewServer(http.HandlerFunc(s.serve))
	defer server.Close()
	for range 5 {
		ctx, leave := context.WithCancel(t.Context())
		go func() {
			<-entered
			leave()
		}()
		if _, err := send(server, binary(cast()).WithContext(ctx)); err == nil {
			t.Error("who left was answered")
		}
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the handler is not told: %v", err)
		}
		s.room <- struct{}{} // waits until the one that left is out
		<-s.room
	}
	after := binary(cast())
	after.Header.Set("Ce-Subject", "jazz")
	if status, err := send(server, after); err != nil || status != 202 {
		t.Errorf("who came after: %d, %v", status, err)
	}
}

// send makes a request of a server's.
func send(server *httptest.Server, r *http.Request) (int, error) {
	out, err := http.NewRequestWithContext(r.Context(), r.Method, server.URL, r.Body)
	if err != nil {
		return 0, err
	}
	out.Header = r.Header
	answer, err := server.Client().Do(out)
	if err != nil {
		return 0, err
	}
	return answer.StatusCode, answer.Body.Close()
}

// Whatever is posted, the answer is one of those that are promised, and the
// handler sees events only.
func FuzzStage(f *testing.F) {
	f.Add("1.0", "a", "/s", "t", "", "x", "application/json", []byte("{}"))
	f.Add("", "", "", "", "", "", "application/cloudevents+json", []byte(`{"specversion":"1.0","id":"a","source":"/s","type":"t","data":{}}`))
	f.Add("0.3", "a", "/s", "t", "2026-05-01T10:00:00Z", "Ce-", "application/cloudevents-batch+json", []byte("[]"))
	f.Add("1.0", "a", "%", "t", "x", "Ce-Data", "text/plain; charset=\xff", []byte{0})
	f.Fuzz(func(t *testing.T, version, id, source, kind, at, more, media string, body []byte) {
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		for name, value := range map[string]string{
			"Ce-Specversion": version, "Ce-Id": id, "Ce-Source": source, "Ce-Type": kind, "Ce-Time": at, "Content-Type": media,
		} {
			if value != "" {
				r.Header[name] = []string{value}
			}
		}
		r.Header[http.CanonicalHeaderKey(more)] = []string{"more"}
		w, got := answer(r, nil)
		switch w.Code {
		case 202:
			if got == nil || got.Validate() != nil {
				t.Errorf("handled is %v", got)
			}
		case 400, 413, 415:
			if got != nil || w.Header().Get("Kne-Reason") == "" {
				t.Errorf("%d, handled: %v", w.Code, got != nil)
			}
		default:
			t.Errorf("answer is %d", w.Code)
		}
	})
}
