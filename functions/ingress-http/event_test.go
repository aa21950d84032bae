package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"marimba/events"
	"marimba/events/votefile"
)

const (
	structured = "Content-Type: application/cloudevents+json"
	batched    = "Content-Type: application/cloudevents-batch+json; charset=utf-8"
	accepting  = "Accept: */*"
)

// envelope is an event in structured mode. Members are added to it, or replace
// its own.
func envelope(members ...string) string {
	all := map[string]json.RawMessage{
		"specversion": []byte(`"1.0"`), "id": []byte(`"e-1"`), "source": []byte(`"/test"`), "type": []byte(`"vote"`), "data": []byte(vote),
	}
	for _, member := range members {
		name, value, _ := strings.Cut(member, "=")
		if value == "" {
			delete(all, name)
		} else {
			all[name] = json.RawMessage(value)
		}
	}
	text, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// binary are the headers of an event in binary mode.
func binary(more ...string) []string {
	return append([]string{"Ce-Specversion: 1.0", "Ce-Id: e-1", "Ce-Source: /test", "Ce-Type: vote", accepting}, more...)
}

// What an event is cast as, in every mode.
func TestEvents(t *testing.T) {
	digest := votefile.Digest([]byte("/test\nan id of its own"))
	const cast = "default/event e-1 Alux|Conquista|1982|2"
	for _, c := range []struct {
		say, body string
		headers   []string
		want      []string
	}{
		{"binary", vote, binary(), []string{cast}},
		{"structured", envelope(), []string{structured, accepting}, []string{cast}},
		{"structured, in base64", envelope("data=", `data_base64="eyJuYW1lIjoiQSIsImFsYnVtIjoiYiIsInllYXIiOjE5ODIsInJhbmsiOjF9"`), []string{structured, accepting},
			[]string{"default/event e-1 A|b|1982|1"}},
		{"packed", packed(vote), binary("Content-Encoding: gzip"), []string{cast}},
		{"as kn sends it", `{"name":"Alux","album":13,"year":1982,"rank":2,"unknown":true}`,
			[]string{"Ce-Specversion: 1.0", "Ce-Id: 8d2bcd8c-3b07-4a8c-b4fd-ed0cf4d3ea20", "Ce-Source: kn-event/v1.16.0", "Ce-Type: dev.knative.cli.plugin.event.generic", "Ce-Time: 2026-05-01T12:00:00Z", accepting},
			[]string{"default/event 8d2bcd8c-3b07-4a8c-b4fd-ed0cf4d3ea20 Alux|13|1982|2"}},
		{"subject", vote, binary("Ce-Subject: rock"), []string{"rock/event e-1 Alux Nahual|Conquista|1982|2"}},
		{"extension", vote, binary("Ce-Contest: rock"), []string{"rock/event e-1 Alux Nahual|Conquista|1982|2"}},
		{"extension before subject", vote, binary("Ce-Contest: rock", "Ce-Subject: default"), []string{"rock/event e-1 Alux Nahual|Conquista|1982|2"}},
		{"contest of the vote", `{"contest":"rock","name":"Alux","album":"13","year":1982,"rank":1}`, binary(), []string{"rock/event e-1 Alux Nahual|13|1982|1"}},
		{"id of the vote", `{"id":"mine","name":"Alux","album":"13","year":1982,"rank":1}`, binary(), []string{"default/event mine Alux|13|1982|1"}},
		{"id that no vote can have", vote, binary("Ce-Id: an id of its own"), []string{"default/event " + digest + " Alux|Conquista|1982|2"}},
		{"data of a JSON kind", vote, binary("Content-Type: application/vnd.vote+json; charset=utf-8"), []string{cast}},
		{"no type of data", vote, binary("Content-Type: "), []string{cast}},
		{"an array", "[" + vote + ",{}," + vote + "]", binary("Ce-Id: an id of its own"),
			[]string{"default/event " + digest + "-1 Alux|Conquista|1982|2", "default/event " + digest + "-3 Alux|Conquista|1982|2"}},
		{"a batch", "[" + envelope() + "," + envelope(`id="e-2"`, `subject="rock"`) + "," + envelope(`id="an id of its own"`) + "]", []string{batched},
			[]string{cast, "default/event " + digest + " Alux|Conquista|1982|2", "rock/event e-2 Alux Nahual|Conquista|1982|2"}},
	} {
		h := newHouse()
		wants(t, c.say, h.post(t, "/", c.body, c.headers...), http.StatusAccepted, "", "")
		if got := h.twin.cast(); !slices.Equal(got, c.want) {
			t.Errorf("%s: cast %q, want %q", c.say, got, c.want)
		}
	}
}

// A Knative broker takes a body that is not a CloudEvent for a fault, and asks
// for none.
func TestEventsOfKnativeGetNoBody(t *testing.T) {
	for _, body := range []string{vote, "[" + vote + "]"} {
		h := newHouse()
		w := h.post(t, "/", body, append(binary(), "Accept: ")...)
		if w.Code != http.StatusAccepted || w.Body.Len() > 0 || len(h.twin.cast()) != 1 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
}

// Events that are no votes are refused with a status that nobody sends again.
func TestBadEvents(t *testing.T) {
	for _, c := range []struct {
		say, body string
		headers   []string
		status    int
		code      events.Code
		field     string
	}{
		{"no event", vote, nil, 415, events.MediaTypeUnsupported, ""},
		{"unknown version", vote, binary("Ce-Specversion: 9"), 415, events.MediaTypeUnsupported, ""},
		{"unknown format", envelope(), []string{"Content-Type: application/cloudevents+avro"}, 415, events.MediaTypeUnsupported, ""},
		{"no id", vote, binary("Ce-Id: "), 400, events.EventMalformed, ""},
		{"no source", envelope("source="), []string{structured}, 400, events.EventMalformed, ""},
		{"broken time", vote, binary("Ce-Time: yesterday"), 400, events.EventMalformed, ""},
		{"no JSON", "x", []string{structured}, 400, events.EventMalformed, ""},
		{"nothing", "", []string{structured}, 400, events.EventMalformed, ""},
		{"bomb", `{"specversion":"1.0","data":` + strings.Repeat("[", 100_000), []string{structured}, 400, events.EventMalformed, ""},
		{"no data", "", binary(), 400, events.BodyEmpty, ""},
		{"data of another kind", "<vote/>", binary("Content-Type: text/xml"), 415, events.MediaTypeUnsupported, ""},
		{"broken data", "{", binary(), 400, events.BodyMalformed, ""},
		{"no such contest", vote, binary("Ce-Subject: nowhere"), 422, events.ContestUnknown, "contest"},
		{"a subject that is no contest", vote, binary("Ce-Subject: votes/1"), 422, events.NameMalformed, "contest"},
		{"two contests", `{"contest":"default","name":"Alux","year":1982,"rank":1}`, binary("Ce-Subject: rock"), 422, events.ContestDiffers, "contest"},
		{"refused", `{"name":"Nobody","album":"x","year":1982,"rank":1}`, binary("Ce-Subject: rock"), 422, events.BandUnknown, "name"},
		{"our own", vote, binary("Ce-Type: " + events.TypeCast), 422, events.EventTypeUnknown, "type"},
		{"our own, accepted", vote, binary("Ce-Type: " + events.TypeAccepted), 422, events.EventTypeUnknown, "type"},
		{"too large", strings.Repeat(" ", maxBody+1), binary(), 413, events.BodyTooLarge, ""},
		{"no batch", "{}", []string{batched}, 400, events.EventMalformed, ""},
		{"empty batch", "[]", []string{batched}, 400, events.BodyEmpty, ""},
		{"batch that breaks off", "[", []string{batched}, 400, events.EventMalformed, ""},
		{"large batch", "[" + strings.Repeat("1,", maxRows) + "1]", []string{batched}, 413, events.TooManyRows, ""},
		{"batch of our own", "[" + envelope(`type="`+events.TypeCast+`"`) + "]", []string{batched}, 422, events.NoneAccepted, ""},
	} {
		h := newHouse()
		w := h.post(t, "/", c.body, c.headers...)
		wants(t, c.say, w, c.status, c.code, c.field)
		switch w.Code { // what a KafkaSource sends again (stage)
		case http.StatusNotFound, http.StatusConflict, http.StatusTooManyRequests:
			t.Errorf("%s: status %d is sent again", c.say, w.Code)
		}
		if got := h.twin.cast(); got != nil {
			t.Errorf("%s: cast %q", c.say, got)
		}
	}
}

// Of a batch, each event has its own fate, and is told by its number.
func TestBatchIsReported(t *testing.T) {
	parts := []string{
		envelope(), `{"specversion":"1.0"}`, "17", envelope(`data={"name":"A"}`), envelope(`data=[` + vote + `]`),
		envelope(`contest="nowhere"`), envelope(`id="e-9"`),
	}
	h := newHouse()
	r := wants(t, "batch", h.post(t, "/?receipts=1", "["+strings.Join(parts, ",")+"]", batched), http.StatusAccepted, "", "")
	var told []string
	for _, row := range r.Rows {
		told = append(told, fmt.Sprint(row.Row, " ", row.Code))
	}
	want := []string{"2 event_malformed", "3 event_malformed", "4 field_missing", "5 body_malformed", "6 contest_unknown"}
	if !slices.Equal(told, want) || r.Accepted != 2 || r.Refused != 5 || r.Status != "partial" {
		t.Errorf("%q, %+v", told, r)
	}
	if ids := []rowReceipt{{Row: 1, ID: "e-1", Receipt: "box-0.0"}, {Row: 7, ID: "e-9", Receipt: "box-0.1"}}; !slices.Equal(plain(r.Receipts), ids) {
		t.Errorf("receipts %+v", r.Receipts)
	}
	r = wants(t, "broken off", h.post(t, "/", "["+envelope()+",", batched), http.StatusAccepted, "", "")
	if r.Accepted != 1 || r.Fault == nil || r.Fault.Row != 2 || r.Fault.Code != events.EventMalformed {
		t.Errorf("%+v", r)
	}
}
