package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"marimba/events"
	"marimba/functions/internal/journal"
	"marimba/functions/internal/telemetry"
)

// Bounds of a dead letter. Kafka's records are at most 1 MiB; what is cut off
// here never was one. Memory is bounded by both together; more letters than are
// in flight wait unread, and Knative's containerConcurrency bounds those.
const (
	maxBody     = 2 << 20
	maxText     = 1024 // bytes of what is kept of a text beside the event
	maxInFlight = 6
)

// Causes of our own, where no function gave one.
const (
	causeUnreadable = "unreadable" // not a CloudEvent
	causeStatus     = "status"     // a function answered with an error and no reason
	causeNoAnswer   = "no_answer"  // no function answered
)

type letters interface {
	Shelve(ctx context.Context, d journal.DeadLetter) error
}

// shelf keeps dead letters. It is the last to see an event: the source puts
// whatever it refuses back into the topic that it reads. So it takes anything
// that is posted, readable or not, and answers with an error only while the
// journal is away.
type shelf struct {
	journal letters
	room    chan struct{}
	now     func() time.Time
}

func newShelf(j letters) *shelf {
	return &shelf{journal: j, room: make(chan struct{}, maxInFlight), now: time.Now}
}

// MaxHeader is more than a Kafka record may hold: an event whose attributes were
// too long for any other function must not be too long for this one too.
func (s *shelf) MaxHeader() int { return maxBody }

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "events are posted", http.StatusMethodNotAllowed)
		return
	}
	select {
	case s.room <- struct{}{}:
		defer func() { <-s.room }()
	case <-r.Context().Done():
		return // nobody waits for it
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		http.Error(w, "the body was cut off", http.StatusRequestTimeout) // which is retried
		return
	}
	letter := s.letter(r, body)
	if err := s.journal.Shelve(r.Context(), letter); err != nil {
		slog.WarnContext(r.Context(), "dead letter not shelved", "letter", letter.ID, "error", err)
		http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
		return
	}
	telemetry.Shelved(letter.Cause, letter.Votes)
	slog.InfoContext(r.Context(), "dead letter shelved", "letter", letter.ID, "cause", letter.Cause, "status", letter.Status, "votes", letter.Votes)
	w.WriteHeader(http.StatusAccepted)
}

// letter makes a dead letter of a request that can always be stored: its texts
// are valid and short, and all else is bytes.
func (s *shelf) letter(r *http.Request, body []byte) journal.DeadLetter {
	e, err := read(r, body)
	if err != nil {
		return s.unreadable(r, body)
	}
	d := journal.DeadLetter{
		Type:        text(e.Type()),
		Topic:       events.TopicOf(e.Type()),
		Cause:       causeStatus,
		Status:      extension(e, "knativeerrorcode"),
		Destination: extension(e, "knativeerrordest"),
		Answer:      answer(e),
		At:          s.now().UTC(),
		State:       journal.Shelved,
	}
	if d.Status == "" {
		d.Cause = causeNoAnswer
	}
	if reason := extension(e, "reason"); reason != "" {
		d.Cause = reason
	}
	if place := extension(e, "knativekafkapartition") + "/" + extension(e, "knativekafkaoffset"); place != "/" {
		d.Places = []string{place}
	}
	if box, err := events.BoxOf(e); err == nil {
		d.ID = e.ID()
		d.Contest, d.Channel = box.Contest, events.Channel(text(string(box.Channel)))
		if e.Type() != events.TypeCounted { // else they are counted, and only their announcement is dead
			d.Votes = int64(len(box.Votes))
		}
	} else {
		d.ID = digest(e.Source(), e.ID(), e.Type(), string(e.Data()))
	}
	// In base64 the data is whole whatever it is, and whatever it says it is.
	e.DataBase64 = true
	if d.Event, err = e.MarshalJSON(); err != nil {
		return s.unreadable(r, body)
	}
	return d
}

// unreadable makes a dead letter of what is not an event.
func (s *shelf) unreadable(r *http.Request, body []byte) journal.DeadLetter {
	var raw bytes.Buffer
	_ = r.Header.Write(&raw) // to memory
	raw.WriteString("\r\n")
	raw.Write(body)
	d := journal.DeadLetter{
		Cause: causeUnreadable,
		At:    s.now().UTC(),
		State: journal.Shelved,
		Raw:   raw.Bytes(),
		ID:    digest(string(body)),
	}
	if partition := r.Header.Get("ce-knativekafkapartition"); partition != "" {
		place := text(partition + "/" + r.Header.Get("ce-knativekafkaoffset"))
		d.ID, d.Places = digest(place, string(body)), []string{place}
	}
	return d
}

func read(r *http.Request, body []byte) (event.Event, error) {
	again := r.WithContext(r.Context())
	again.Body = io.NopCloser(bytes.NewReader(body))
	message := cehttp.NewMessageFromHttpRequest(again)
	if message.ReadEncoding() == binding.EncodingUnknown {
		return event.Event{}, errors.New("not a CloudEvent")
	}
	e, err := binding.ToEvent(r.Context(), message)
	if err != nil {
		return event.Event{}, err
	}
	if len(body) == maxBody {
		return event.Event{}, errors.New("larger than an event of ours")
	}
	return *e, e.Validate()
}

// answer returns the beginning of what the function said that did not take it.
func answer(e event.Event) string {
	said := extension(e, "knativeerrordata")
	if raw, err := base64.StdEncoding.DecodeString(said); err == nil {
		said = string(raw)
	}
	return text(said)
}

// extension returns an extension as text; "" if there is none.
func extension(e event.Event, name string) string {
	value, ok := e.Extensions()[name]
	if !ok {
		return ""
	}
	return text(fmt.Sprint(value))
}

// text returns at most maxText bytes of valid UTF-8.
func text(s string) string {
	if len(s) > maxText {
		s = s[:maxText]
	}
	return strings.TrimSpace(strings.ToValidUTF8(s, "\uFFFD"))
}

// digest is a name of texts.
func digest(texts ...string) string {
	h := sha256.New()
	for _, t := range texts {
		fmt.Fprintf(h, "%d:%s", len(t), t)
	}
	return hex.EncodeToString(h.Sum(nil))
}
