package main

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"marimba/events"
	"marimba/functions/internal/journal"
)

// eventText is a cast box as a dead letter holds it.
func eventText(t *testing.T, id string) []byte {
	t.Helper()
	e := events.Box{ID: id, Contest: "rock", Channel: events.ByHTTP, Votes: []events.Vote{{ID: "v", Name: "Trébol", At: noon}}}.
		Event(events.TypeCast, "ingress-http")
	e.SetExtension("reason", "event_malformed")
	text, err := e.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// bury shelves letters of one vote each.
func (h *house) bury(t *testing.T, ids ...string) {
	t.Helper()
	for _, id := range ids {
		h.mongo.dead = append(h.mongo.dead, journal.DeadLetter{
			ID: id, Type: events.TypeCast, Topic: events.VotesCast, Contest: "rock", Channel: events.ByHTTP, Votes: 1, Cause: "status",
			State: journal.Shelved, At: noon, Event: eventText(t, id),
		})
	}
}

// What an organiser names is sent as it was before it died, and marked; asked for
// once more, it is not sent again.
func TestReplayDead(t *testing.T) {
	h := newHouse(t.Context())
	h.bury(t, "a", "b", "c")
	h.mongo.dead = append(h.mongo.dead, journal.DeadLetter{ID: "raw", State: journal.Shelved, At: noon, Raw: []byte("x")})
	const named = `{"ids": ["a", "c", "raw"]}`
	answer := h.post(t, "/v1/dead/replay", named, bearer)
	done := read[replayedAnswer](t, answer)
	if done.Sent != 2 || done.Votes != 2 || len(done.Cannot) != 1 || done.Cannot[0].ID != "raw" || !done.Whole || answer.Header().Get("Cache-Control") != forNobody {
		t.Errorf("answer is %s", answer.Body)
	}
	sent := make(map[string]bool)
	for _, e := range h.kafka.sent {
		sent[e.ID()] = e.Extensions()["reason"] == nil
	}
	if len(h.kafka.sent) != 2 || !sent["a"] || !sent["c"] {
		t.Errorf("sent are %v", h.kafka.sent)
	}
	left := read[struct{ Letters []deadLetter }](t, h.get(t, "/v1/dead", bearer))
	if len(left.Letters) != 2 || left.Letters[0].ID != "b" || !left.Letters[0].Sendable || left.Letters[1].Sendable {
		t.Errorf("on the shelf are %+v", left.Letters)
	}
	if done := read[replayedAnswer](t, h.post(t, "/v1/dead/replay", named, bearer)); done.Sent != 0 || done.Skipped != 2 || len(h.kafka.sent) != 2 {
		t.Errorf("once more: %+v", done)
	}
}

// A replay that Kafka breaks off says so, and what it sent; without Kafka nothing is
// sent and nothing marked.
func TestReplayIsBrokenOff(t *testing.T) {
	h := newHouse(t.Context())
	h.bury(t, "a", "b", "c")
	h.kafka.fails = 1
	done := read[replayedAnswer](t, h.post(t, "/v1/dead/replay", `{"ids": ["a", "b", "c"]}`, bearer))
	if done.Sent != 1 || done.Whole {
		t.Errorf("answer is %+v", done)
	}
	h.kafka.away = errAway
	refused(t, h.post(t, "/v1/dead/replay", `{"ids": ["a", "b", "c"]}`, bearer), 503, events.Unavailable)
	if list := read[struct{ Letters []deadLetter }](t, h.get(t, "/v1/dead", bearer)); len(list.Letters) != 2 {
		t.Errorf("on the shelf are %+v", list.Letters)
	}
}

// Nothing is sent for who has no token or asks for what cannot be read, and what
// died of a final contest stays.
func TestReplayIsRefused(t *testing.T) {
	h := newHouse(t.Context())
	h.bury(t, "a")
	post := func(body string, headers ...string) *httptest.ResponseRecorder {
		return h.post(t, "/v1/dead/replay", body, headers...)
	}
	const good = `{"ids": ["a"]}`
	refused(t, post(good), 401, events.TokenRequired)
	refused(t, post(good, "Authorization: Bearer wrong"), 401, events.TokenRequired)
	refused(t, post(good, bearer, "Content-Type: text/plain"), 415, events.MediaTypeUnsupported)
	refused(t, post("{", bearer), 400, events.BodyMalformed)
	refused(t, post("", bearer), 400, events.BodyMalformed)
	refused(t, post(`{"ids": "a"}`, bearer), 400, events.BodyMalformed)
	refused(t, post(`{"ids": []}`, bearer), 422, events.FieldMissing)
	refused(t, post(`{"ids": [`+strings.Repeat(`"a",`, maxReplay)+`"a"]}`, bearer), 422, events.FieldType)
	refused(t, post(`{"ids": ["`+strings.Repeat("a", maxReplayBody)+`"]}`, bearer), 413, events.BodyTooLarge)
	refused(t, post(`{"ids": ["a", "nowhere"]}`, bearer), 404, events.LetterUnknown)
	h.patience = time.Millisecond
	h.replays <- struct{}{} // another runs
	refused(t, post(good, bearer), 503, events.Busy)
	<-h.replays
	h.mongo.state("rock", declared(t))
	done := read[replayedAnswer](t, post(good, bearer))
	if done.Sent != 0 || fmt.Sprint(done.Cannot) != "[{a its contest is final}]" {
		t.Errorf("of a final contest: %+v", done)
	}
	if len(h.kafka.sent) != 0 {
		t.Errorf("sent are %v", h.kafka.sent)
	}
}
