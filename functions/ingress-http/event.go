package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/go-json-experiment/json/jsontext"

	"marimba/events"
	"marimba/events/votefile"
	"marimba/functions/internal/desk"
)

// eventTypes are the media types of events. In binary mode an event has that of
// its data, and is known by its headers.
var eventTypes = []string{event.ApplicationCloudEventsJSON, event.ApplicationCloudEventsBatchJSON}

// castEvents takes votes as CloudEvents: one in binary or structured mode, or a
// batch.
//
// Its answers follow what a Knative source or trigger makes of them. It sends
// again what is answered 404, 408, 409, 429 or 5xx, so that a contest that is
// not known is 422 here. And it takes a body that is not a CloudEvent for a
// fault: who does not ask for a kind of answer with Accept, as Knative does not,
// gets success without a body.
func (h *ingress) castEvents(w http.ResponseWriter, req *http.Request) error {
	body, err := h.read(w, req)
	if err != nil {
		return err
	}
	defer body.done()
	message := cehttp.NewMessage(req.Header, io.NopCloser(bytes.NewReader(body.Bytes())))
	switch message.ReadEncoding() {
	case binding.EncodingUnknown:
		w.Header().Set("Accept", strings.Join(eventTypes, ", "))
		no := events.Refuse(events.MediaTypeUnsupported, "", "type", shorten(req.Header.Get("Content-Type")))
		return &fault{no: no, members: map[string]any{"taken": eventTypes}}
	case binding.EncodingBatch:
		return notAgain(h.castMany(w, req, &hand{taker: h.byEvent}, batch(body.Bytes())))
	}
	e, err := binding.ToEvent(req.Context(), message)
	if err == nil {
		err = e.Validate()
	}
	if err != nil {
		return notAnEvent(err)
	}
	in, no := open(*e)
	if no != nil {
		return no
	}
	in.taker = h.byEvent
	in.bare = req.Header.Get("Accept") == ""
	if !isArray(e.Data()) {
		b, no := desk.Read(e.Data(), false)
		body.done()
		if no != nil {
			return no
		}
		return notAgain(h.castOne(w, req, in, b))
	}
	return notAgain(h.castMany(w, req, in, votefile.Rows(e.Data(), votefile.JSON, votefile.Options{MaxRows: maxRows})))
}

// notAgain keeps a refusal from being sent again by a source.
func notAgain(err error) error {
	if err == nil {
		return nil
	}
	f := faultOf(err)
	if f.no.Code == events.ContestUnknown {
		f.status = http.StatusUnprocessableEntity
	}
	return f
}

func notAnEvent(err error) *events.Refusal {
	reason := strings.Join(strings.Fields(err.Error()), " ")
	return events.Refuse(events.EventMalformed, "", "reason", shorten(reason))
}

// open looks at the envelope of an event: which contest its votes are for, and
// what their ids are made of. Source and id together name an event; where its
// id alone can be a vote's, it is.
func open(e event.Event) (*hand, *events.Refusal) {
	if events.TopicOf(e.Type()) != "" { // boxes are ours to make
		return nil, events.Refuse(events.EventTypeUnknown, "type", "type", e.Type())
	}
	if media := e.DataContentType(); media != "" && !isJSON(media) {
		return nil, events.Refuse(events.MediaTypeUnsupported, "", "type", shorten(media))
	}
	in := &hand{contest: e.Subject(), id: e.ID(), file: votefile.Digest([]byte(e.Source() + "\n" + e.ID()))}
	if contest, ok := e.Extensions()["contest"]; ok {
		in.contest = fmt.Sprint(contest)
	}
	if in.contest != "" && !events.IsContestID(in.contest) {
		return nil, events.Refuse(events.NameMalformed, "contest")
	}
	if !events.IsID(in.id) {
		in.id = in.file
	}
	return in, nil
}

func isJSON(mediaType string) bool {
	media, _, err := mime.ParseMediaType(mediaType)
	return err == nil && (media == "application/json" || media == "text/json" || strings.HasSuffix(media, "+json"))
}

// batch gives the votes of a batch of events as rows, one for each event.
func batch(data []byte) iter.Seq2[votefile.Row, error] {
	return func(yield func(votefile.Row, error) bool) {
		n := 0
		give := func(raw jsontext.Value) bool {
			n++
			b, no := ballotOf(raw)
			return yield(votefile.Row{Number: n, Ballot: b, No: no}, nil)
		}
		count := 0
		if err := each(data, func(jsontext.Value) bool { count++; return count <= maxRows }); err == nil && count > maxRows {
			yield(votefile.Row{Number: 1}, events.Refuse(events.TooManyRows, "", "max", strconv.Itoa(maxRows)))
			return
		}
		if err := each(data, give); err != nil {
			yield(votefile.Row{Number: n + 1}, notAnEvent(err))
		} else if count == 0 {
			yield(votefile.Row{Number: 1}, events.Refuse(events.BodyEmpty, ""))
		}
	}
}

// each calls visit with each element of a JSON array until it says no.
func each(data []byte, visit func(jsontext.Value) bool) error {
	in := jsontext.NewDecoder(bytes.NewBuffer(data), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if kind := in.PeekKind(); kind != '[' && kind != jsontext.KindInvalid {
		return errors.New("not a JSON array")
	}
	if _, err := in.ReadToken(); err != nil {
		return err
	}
	for in.PeekKind() != ']' {
		raw, err := in.ReadValue()
		if err != nil {
			return err
		}
		if !visit(raw) {
			return nil
		}
	}
	return nil
}

// ballotOf reads the one vote of an event of a batch.
func ballotOf(raw jsontext.Value) (events.Ballot, *events.Refusal) {
	var e event.Event
	err := json.Unmarshal(raw, &e)
	if err == nil {
		err = e.Validate()
	}
	if err != nil {
		return events.Ballot{}, notAnEvent(err)
	}
	in, no := open(e)
	if no != nil {
		return events.Ballot{}, no
	}
	b, no := desk.Read(e.Data(), false)
	if no == nil {
		no = in.name(&b, in.id)
	}
	return b, no
}
