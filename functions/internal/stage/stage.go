// Package stage makes a function that a KafkaSource feeds: it turns the POST of
// one CloudEvent into a call of a handler, and the handler's end into the
// status that tells the source what to do next.
package stage

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"marimba/events"
	"marimba/functions/internal/telemetry"
)

// Bounds of a stage. A box has at most 256 KiB; what is larger is not ours.
const (
	maxBody     = 1 << 20
	maxInFlight = 128
)

// Handler handles one event. It may be called again with the same event, and
// must then come to the same end. It returns
//   - nil when the event's work is done and kept: the source goes on;
//   - a *PoisonError when no repetition will help: the source dead-letters the
//     event at once, with the reason;
//   - what Wait makes when it will succeed later, and why is told elsewhere;
//   - any other error when it may succeed later: the source sends it again.
type Handler func(ctx context.Context, e event.Event) error

// PoisonError says that an event can never be handled.
type PoisonError struct {
	Reason events.Code
	Err    error
}

func (p *PoisonError) Error() string { return string(p.Reason) + ": " + p.Err.Error() }
func (p *PoisonError) Unwrap() error { return p.Err }

// Poison makes a PoisonError.
func Poison(reason events.Code, err error) error { return &PoisonError{reason, err} }

// waitError says that an event is to come again, and that nothing is wrong.
type waitError struct{ error }

func (w waitError) Unwrap() error { return w.error }

// Wait makes an error of one that needs nobody's attention: the source sends the
// event again, and nothing is logged but for debugging.
func Wait(err error) error { return waitError{err} }

// New returns the HTTP handler of a stage: POST / with one CloudEvent in binary
// or structured mode.
//
// Its answers follow what a KafkaSource retries (knative.dev/eventing,
// kncloudevents: 404, 408, 409, 429 and 5xx, and no other): 202 done; 400, 413 or
// 415 for what is not a CloudEvent of ours, 422 poison; 408 for a request that
// was cut off, 503 for all else that may pass. The header Kne-Reason becomes an
// extension of the dead letter.
func New(handle Handler) http.Handler {
	telemetry.Stage()
	s := &stage{handle: handle, room: make(chan struct{}, maxInFlight)}
	return http.HandlerFunc(s.serve)
}

type stage struct {
	handle Handler
	room   chan struct{}
}

func (s *stage) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/" {
		http.Error(w, "events are posted to /", http.StatusGone) // 404 would be retried
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "events are posted", http.StatusMethodNotAllowed)
		return
	}
	select {
	case s.room <- struct{}{}:
		defer func() { <-s.room }()
	default:
		telemetry.Handled(telemetry.Error)
		http.Error(w, "busy", http.StatusServiceUnavailable)
		return
	}
	e, status, err := read(w, r)
	if err != nil {
		reason := events.EventMalformed
		if status == http.StatusRequestTimeout {
			reason = ""
		}
		end(r.Context(), w, status, reason, "", err)
		return
	}
	telemetry.Note(r.Context(), "event", e.ID())
	err = s.handle(r.Context(), e)
	var poison *PoisonError
	var wait waitError
	switch {
	case err == nil:
		telemetry.Handled(telemetry.Pass)
		w.WriteHeader(http.StatusAccepted)
	case errors.As(err, &poison):
		end(r.Context(), w, http.StatusUnprocessableEntity, poison.Reason, e.ID(), err)
	case errors.As(err, &wait):
		telemetry.Handled(telemetry.Error)
		slog.DebugContext(r.Context(), "event is to come again", "event", e.ID(), "reason", err)
		http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
	default:
		end(r.Context(), w, http.StatusServiceUnavailable, "", e.ID(), err)
	}
}

// read returns the request's event, or the status that says why there is none.
// A request that was cut off is not the event's fault: 408 is retried.
func read(w http.ResponseWriter, r *http.Request) (event.Event, int, error) {
	var body bytes.Buffer
	body.Grow(int(min(max(r.ContentLength, 0), maxBody)) + bytes.MinRead)
	if _, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, maxBody)); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return event.Event{}, http.StatusRequestEntityTooLarge, err
		}
		return event.Event{}, http.StatusRequestTimeout, err
	}
	if _, nameless := r.Header["Ce-"]; nameless { // the SDK would panic
		return event.Event{}, http.StatusBadRequest, errors.New("an attribute has no name")
	}
	message := cehttp.NewMessage(r.Header, io.NopCloser(&body))
	switch message.ReadEncoding() {
	case binding.EncodingBinary, binding.EncodingStructured:
	default:
		return event.Event{}, http.StatusUnsupportedMediaType, errors.New("not a CloudEvent")
	}
	e, err := binding.ToEvent(r.Context(), message)
	if err != nil {
		return event.Event{}, http.StatusBadRequest, err
	}
	if err := e.Validate(); err != nil {
		return event.Event{}, http.StatusBadRequest, err
	}
	return *e, 0, nil
}

// end answers with an error and logs it once. The answer's text holds no more
// than the reason: it travels with the dead letter.
func end(ctx context.Context, w http.ResponseWriter, status int, reason events.Code, id string, err error) {
	level, outcome := slog.LevelWarn, telemetry.Error
	if reason != "" {
		level, outcome = slog.LevelError, telemetry.Poison
		w.Header().Set("Kne-Reason", string(reason))
	}
	telemetry.Handled(outcome)
	slog.Log(ctx, level, "event not handled", "event", id, "status", status, "error", err)
	http.Error(w, strings.TrimSpace(string(reason)+" "+http.StatusText(status)), status)
}
