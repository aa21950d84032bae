package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"marimba/events"
	"marimba/functions/internal/problem"
	"marimba/functions/internal/publish"
)

// receipt is the answer for a vote that Kafka has.
type receipt struct {
	ID         string    `json:"id"`
	Status     string    `json:"status"` // "accepted"
	Contest    string    `json:"contest"`
	Receipt    string    `json:"receipt"`
	ReceivedAt time.Time `json:"received_at"`
	keepsake
}

func (h *ingress) receiptOf(o outcome) receipt {
	return receipt{
		ID: o.ID, Status: "accepted", Contest: o.contest, Receipt: o.Receipt.Receipt, ReceivedAt: o.At.UTC(), keepsake: o.keepsakeOf(h.secrets),
	}
}

// appendJSON appends the receipt as encoding/json writes it: it is the answer of nearly
// every request, and this takes some two fifths of the time.
func (r *receipt) appendJSON(to []byte) []byte {
	field := func(name, value string) {
		to = append(to, name...)
		to, _ = jsontext.AppendQuote(to, value) // what is no UTF-8 is replaced
	}
	field(`{"id":`, r.ID)
	field(`,"status":`, r.Status)
	field(`,"contest":`, r.Contest)
	field(`,"receipt":`, r.Receipt)
	to = append(to, `,"received_at":"`...)
	to = r.ReceivedAt.AppendFormat(to, time.RFC3339Nano)
	to = append(to, '"')
	if r.Secret != "" {
		field(`,"secret":`, r.Secret)
	}
	if r.Commitment != "" {
		field(`,"commitment":`, r.Commitment)
	}
	return append(to, '}')
}

// acceptOne answers that a vote is accepted.
func acceptOne(w http.ResponseWriter, r receipt) error {
	send(w, r.appendJSON(make([]byte, 0, mostReceipt)))
	return nil
}

// mostReceipt is the length of the JSON of nearly every receipt, at most.
const mostReceipt = 512

// reportTimeout bounds how long a client may take to read an answer that does
// not fit what the system keeps for it.
const reportTimeout = 20 * time.Second

// accept answers that votes are accepted.
func accept(w http.ResponseWriter, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	send(w, text)
	return nil
}

func send(w http.ResponseWriter, text []byte) {
	if len(text) > 4<<10 {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(reportTimeout)) // not every writer has one
	}
	w.Header()["Content-Type"] = inJSON
	w.WriteHeader(http.StatusAccepted)
	_, _ = w.Write(append(text, '\n')) // a client who went away needs no answer
}

// Values of headers that nearly every answer has. Nothing may change them.
var (
	inJSON    = []string{"application/json; charset=utf-8"}
	noSniff   = []string{"nosniff"}
	anyOrigin = []string{"*"} // any page may hold a ballot
)

// fault is a refusal, or what could not be done, with more to tell of it.
type fault struct {
	no      *events.Refusal
	err     error  // set if sending the same again may help
	status  int    // 0: that of the refusal's code
	contest string // "": that which the path names, if any
	told    bool   // telemetry knows of it
	members map[string]any
}

func (f *fault) Error() string {
	if f.err != nil {
		return f.err.Error()
	}
	return f.no.Error()
}

// faultOf says what is to be answered for an error.
func faultOf(err error) *fault {
	var f *fault
	var no *events.Refusal
	switch {
	case errors.As(err, &f):
	case errors.As(err, &no):
		f = &fault{no: no}
	default:
		f = &fault{err: err}
	}
	if f.no == nil {
		f.no = events.Refuse(events.Unavailable, "")
		if errors.Is(f.err, publish.ErrBusy) {
			f.no = events.Refuse(events.Busy, "")
		}
		if n, ok := f.members["accepted"]; ok {
			f.no.Params = map[string]string{"accepted": fmt.Sprint(n)}
		}
	}
	if f.status == 0 {
		f.status = problem.StatusOf(f.no.Code)
	}
	return f
}

// fail answers what could not be answered otherwise, also to a client who went
// away: nothing on the way to it may take silence for success.
func fail(w http.ResponseWriter, req *http.Request, err error) {
	f := prepare(w, req, err)
	problem.Write(w, req, f.status, f.no, f.members)
}

// prepare sets the headers of an answer that tells of a fault. What the caster
// told of is not told again.
func prepare(w http.ResponseWriter, req *http.Request, err error) *fault {
	f := faultOf(err)
	tell(req, f)
	w.Header().Set("Cache-Control", "no-store")
	if f.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
		w.Header().Set("Access-Control-Expose-Headers", "Retry-After")
	}
	if f.err != nil && !errors.Is(f.err, publish.ErrBusy) && !errors.Is(f.err, publish.ErrUnavailable) && req.Context().Err() == nil {
		slog.WarnContext(req.Context(), "no answer", "route", req.Pattern, "error", f.err)
	}
	return f
}
