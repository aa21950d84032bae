package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"marimba/events"
	"marimba/functions/internal/publish"
)

const rock = "/v1/contests/rock/votes"

// What one vote is answered, and what of it is cast.
func TestOneVote(t *testing.T) {
	for _, c := range []struct {
		say, path, body string
		headers         []string
		cast            string
	}{
		{"plain", rock, vote, nil, "rock/http made-0-0 Alux Nahual|Conquista|1982|2"},
		{"with an id", rock, `{"id":"mine","name":"Alux Nahual","album":"Conquista","year":1982,"rank":"9.5"}`, nil,
			"rock/http mine Alux Nahual|Conquista|1982|9.5"},
		{"key", rock, vote, []string{"Idempotency-Key: k-1"}, "rock/http k-1 Alux Nahual|Conquista|1982|2"},
		{"key in quotes", rock, vote, []string{`Idempotency-Key: "k-1"`}, "rock/http k-1 Alux Nahual|Conquista|1982|2"},
		{"id before key", rock, `{"id":"mine","name":"Alux","album":"13","year":1982,"rank":"03"}`, []string{"Idempotency-Key: k-1"},
			"rock/http mine Alux Nahual|13|1982|3"},
		{"charset", rock, vote, []string{"Content-Type: Application/JSON; charset=UTF-8"}, "rock/http made-0-0 Alux Nahual|Conquista|1982|2"},
		{"byte order mark", rock, "\ufeff" + vote, nil, "rock/http made-0-0 Alux Nahual|Conquista|1982|2"},
		{"gzip", rock, packed(vote), []string{"Content-Encoding: gzip"}, "rock/http made-0-0 Alux Nahual|Conquista|1982|2"},
		{"identity", rock, vote, []string{"Content-Encoding: identity"}, "rock/http made-0-0 Alux Nahual|Conquista|1982|2"},
		{"contest said twice", rock, `{"contest":"rock","name":"Alux","album":"Conquista","year":"1982","rank":2}`, nil,
			"rock/http made-0-0 Alux Nahual|Conquista|1982|2"},
		{"open contest", "/v1/contests/default/votes", `{"name":" Any  Band ","year":"1982","rank":2}`, nil, "default/http made-0-0 Any Band||1982|2"},
		{"older: rust", "/rust", vote, nil, "default/wasm made-0-0 Alux|Conquista|1982|2"},
		{"older: wasm", "/wasm", vote, nil, "default/wasm made-0-0 Alux|Conquista|1982|2"},
		{"older: insert", "/insert", vote, nil, "default/wasm made-0-0 Alux|Conquista|1982|2"},
		{"older: insert/rust", "/insert/rust?contest=rock", vote, nil, "rock/wasm made-0-0 Alux Nahual|Conquista|1982|2"},
		{"older: insert/wasm", "/insert/wasm?x=y", vote, nil, "default/wasm made-0-0 Alux|Conquista|1982|2"},
		{"older: unknown fields, other keys, numbers", "/rust", `{"Artist":13,"x":[1],"album":"b","year":1982,"Ranked":1}`, nil, "default/wasm made-0-0 13|b|1982|1"},
		{"older: contest of the vote", "/rust", `{"contest":"rock","name":"Alux","album":"13","year":1982,"rank":1}`, nil,
			"rock/wasm made-0-0 Alux Nahual|13|1982|1"},
		{"older: as curl sends it", "/insert", vote, []string{"Content-Type: application/x-www-form-urlencoded"}, "default/wasm made-0-0 Alux|Conquista|1982|2"},
		{"older: no type", "/insert", vote, []string{"Content-Type: "}, "default/wasm made-0-0 Alux|Conquista|1982|2"},
	} {
		h := newHouse()
		r := wants(t, c.say, h.post(t, c.path, c.body, c.headers...), http.StatusAccepted, "", "")
		if got := h.twin.cast(); !slices.Equal(got, []string{c.cast}) {
			t.Errorf("%s: cast %q, want %q", c.say, got, c.cast)
			continue
		}
		where, rest, _ := strings.Cut(c.cast, "/")
		id := strings.Fields(rest)[1]
		if r.Status != "accepted" || r.Contest != where || r.ID != id || r.Receipt != "box-0.0" || !r.ReceivedAt.Equal(noon) {
			t.Errorf("%s: answer %+v", c.say, r)
		}
	}
}

// Everything that is wrong with a request is told by status and code, and
// nothing of it is cast. Many of these are what attackers and broken clients
// send.
func TestBadRequests(t *testing.T) {
	for _, c := range []struct {
		say, path, body string
		headers         []string
		status          int
		code            events.Code
		field           string
	}{
		{"no contest", "/v1/contests/nowhere/votes", vote, nil, 404, events.ContestUnknown, "contest"},
		{"a contest that can be none", "/v1/contests/" + strings.Repeat("X", 5000) + "/votes", vote, nil, 404, events.ContestUnknown, "contest"},
		{"another contest", rock, `{"contest":"default","name":"A","year":1982,"rank":1}`, nil, 422, events.ContestDiffers, "contest"},
		{"no type", rock, vote, []string{"Content-Type: "}, 415, events.MediaTypeUnsupported, ""},
		{"other type", rock, vote, []string{"Content-Type: text/plain"}, 415, events.MediaTypeUnsupported, ""},
		{"broken type", rock, vote, []string{"Content-Type: application/json; charset"}, 415, events.MediaTypeUnsupported, ""},
		{"other charset", rock, vote, []string{"Content-Type: application/json; charset=utf-16"}, 415, events.MediaTypeUnsupported, ""},
		{"other encoding", rock, vote, []string{"Content-Encoding: br"}, 415, events.EncodingUnsupported, ""},
		{"encoded twice", rock, vote, []string{"Content-Encoding: gzip, gzip"}, 415, events.EncodingUnsupported, ""},
		{"not gzip", rock, vote, []string{"Content-Encoding: gzip"}, 400, events.BodyMalformed, ""},
		{"gzip cut off", rock, packed(vote)[:20], []string{"Content-Encoding: gzip"}, 400, events.BodyMalformed, ""},
		{"key with a space", rock, vote, []string{"Idempotency-Key: a b"}, 422, events.IDMalformed, "Idempotency-Key"},
		{"long key", rock, vote, []string{"Idempotency-Key: " + strings.Repeat("x", 65)}, 422, events.IDMalformed, "Idempotency-Key"},
		{"nothing", rock, "", nil, 400, events.BodyEmpty, ""},
		{"white space", rock, " \n", nil, 400, events.BodyEmpty, ""},
		{"empty array", rock, "[]", nil, 400, events.BodyEmpty, ""},
		{"text", rock, `"vote"`, nil, 400, events.BodyMalformed, ""},
		{"cut off", rock, vote[:20], nil, 400, events.BodyMalformed, ""},
		{"two votes", rock, vote + vote, nil, 400, events.BodyMalformed, ""},
		{"NaN", rock, `{"name":"Alux","album":"Conquista","year":"1982","rank":NaN}`, nil, 400, events.BodyMalformed, ""},
		{"UTF-16", rock, "\xff\xfe{\x00", nil, 400, events.BodyNotUTF8, ""},
		{"broken UTF-8", rock, "{\"name\":\"Alux\xff\"}", nil, 422, events.TextNotUTF8, "name"},
		{"half a character", rock, `{"name":"\ud800"}`, nil, 422, events.TextNotUTF8, "name"},
		{"a key twice", rock, `{"name":"Alux","name":"Alux"}`, nil, 422, events.FieldRepeated, "name"},
		{"a key twice, by another name", rock, `{"name":"Alux","artist":"Alux"}`, nil, 422, events.FieldRepeated, "name"},
		{"unknown key", rock, `{"name":"Alux","colour":"red"}`, nil, 422, events.FieldUnknown, "colour"},
		{"number for a name", rock, `{"name":13}`, nil, 422, events.FieldType, "name"},
		{"object for a name", rock, `{"name":{}}`, nil, 422, events.FieldType, "name"},
		{"exponent", rock, `{"name":"Alux","album":"Conquista","year":1982,"rank":1e1}`, nil, 422, events.RankMalformed, "rank"},
		{"huge number", rock, `{"name":"Alux","album":"Conquista","year":1982,"rank":` + strings.Repeat("9", 10_000) + `}`, nil, 422, events.RankMalformed, "rank"},
		{"negative", rock, `{"name":"Alux","album":"Conquista","year":1982,"rank":-1}`, nil, 422, events.RankMalformed, "rank"},
		{"ordinal in a single vote", rock, `{"name":"Alux","album":"Conquista","year":1982,"rank":"1st"}`, nil, 422, events.RankMalformed, "rank"},
		{"null bytes", rock, `{"name":"\u0000"}`, nil, 422, events.TextForbidden, "name"},
		{"bidirectional override", rock, `{"name":"a\u202eb"}`, nil, 422, events.TextForbidden, "name"},
		{"long name", rock, `{"name":"` + strings.Repeat("x", 10_000) + `"}`, nil, 422, events.TextTooLong, "name"},
		{"unknown band", rock, `{"name":"Nobody","album":"x","year":1982,"rank":1}`, nil, 422, events.BandUnknown, "name"},
		{"a vote that is too large", rock, `{"x":` + strings.Repeat("[", 100_000), nil, 413, events.BodyTooLarge, ""},
		{"bomb of arrays", rock, strings.Repeat("[", 100_000), nil, 400, events.BodyMalformed, ""},
		{"bomb of objects", rock, strings.Repeat(`{"a":`, 12_000), nil, 400, events.BodyMalformed, ""},
		{"bomb behind a key", "/rust", `{"x":` + strings.Repeat("[", 60_000), nil, 400, events.BodyMalformed, ""},
		{"gzip bomb", rock, packed(strings.Repeat(" ", maxBody+1)), []string{"Content-Encoding: gzip"}, 413, events.BodyTooLarge, ""},
		{"too large", rock, strings.Repeat(" ", maxBody+1), nil, 413, events.BodyTooLarge, ""},
		{"too many rows", rock, "[" + strings.Repeat(vote+",", 10_000) + vote + "]", nil, 413, events.TooManyRows, ""},
		{"too many lines", rock, strings.Repeat(vote+"\n", 10_001), []string{"Content-Type: application/x-ndjson"}, 413, events.TooManyRows, ""},
		{"too many lines of CSV", rock, "name,year,rank\n" + strings.Repeat("A,1982,1\n", 10_001), []string{"Content-Type: text/csv"}, 413, events.TooManyRows, ""},
		{"CSV without names", rock, "Alux,Conquista,1982,2\n", []string{"Content-Type: text/csv"}, 422, events.FieldUnknown, "Alux"},
		{"parameter twice", rock + "?receipts=1&receipts=0", "[" + vote + "]", nil, 400, events.ParameterMalformed, "receipts"},
		{"parameter of another kind", rock + "?receipts=yes", "[" + vote + "]", nil, 400, events.ParameterMalformed, "receipts"},
		{"broken query", rock + "?receipts=%zz", "[" + vote + "]", nil, 400, events.ParameterMalformed, "query"},
		{"older: no such contest", "/rust?contest=nowhere", vote, nil, 404, events.ContestUnknown, "contest"},
		{"older: no such contest in the vote", "/rust", `{"contest":"nowhere","name":"A","year":1982,"rank":1}`, nil, 404, events.ContestUnknown, "contest"},
		{"older: another contest", "/rust?contest=default", `{"contest":"rock","name":"A","year":1982,"rank":1}`, nil, 422, events.ContestDiffers, "contest"},
		{"older: two contests", "/rust?contest=default&contest=rock", vote, nil, 400, events.ParameterMalformed, "contest"},
		{"older: bad key", "/rust", vote, []string{"Idempotency-Key: ñ"}, 422, events.IDMalformed, "Idempotency-Key"},
		{"no route", "/v2/votes", vote, nil, 404, events.RouteUnknown, ""},
		{"no method", "/openapi.yaml", vote, nil, 405, events.MethodNotAllowed, ""},
	} {
		h := newHouse()
		w := h.post(t, c.path, c.body, c.headers...)
		wants(t, c.say, w, c.status, c.code, c.field)
		if w.Body.Len() > 4000 {
			t.Errorf("%s: the answer has %d bytes", c.say, w.Body.Len())
		}
		if got := h.twin.cast(); got != nil {
			t.Errorf("%s: cast %q", c.say, got)
		}
		if len(h.room) != 0 || len(h.large) != 0 {
			t.Errorf("%s: a place is not given back", c.say)
		}
	}
}

// What is taken is told to who sent something else.
func TestWhatIsTaken(t *testing.T) {
	h := newHouse()
	w := h.post(t, rock, vote, "Content-Type: text/xml")
	if r := read(t, w); !slices.Equal(r.Taken, taken) || w.Header().Get("Accept") != strings.Join(taken, ", ") {
		t.Errorf("taken %q, Accept %q", r.Taken, w.Header().Get("Accept"))
	}
	if w := h.post(t, rock, vote, "Content-Encoding: br"); w.Header().Get("Accept-Encoding") != "gzip, identity" {
		t.Errorf("Accept-Encoding %q", w.Header().Get("Accept-Encoding"))
	}
	for path, allow := range map[string]string{rock: "OPTIONS, POST", "/rust": "POST", "/": "GET, HEAD, POST"} {
		w := h.do(t, httptest.NewRequest(http.MethodDelete, path, nil))
		wants(t, path, w, http.StatusMethodNotAllowed, events.MethodNotAllowed, "")
		if got := w.Header().Get("Allow"); got != allow {
			t.Errorf("%s: Allow is %q", path, got)
		}
	}
}

// The voter becomes a key; the voter's name goes nowhere.
func TestVoterIsKeptAsAKey(t *testing.T) {
	h := newHouse()
	w := h.post(t, rock, `{"name":"Alux","album":"Conquista","year":"1982","rank":2,"voter":"Rosa Tzul"}`)
	wants(t, "vote", w, http.StatusAccepted, "", "")
	want, err := keys.Key("rock", "Rosa Tzul")
	if got := h.twin.boxes[0].votes[0].VoterKey; err != nil || !slices.Equal(got, want) {
		t.Errorf("key %x, want %x, %v", got, want, err)
	}
	if strings.Contains(w.Body.String(), "Rosa") {
		t.Errorf("the answer tells the voter: %s", w.Body)
	}
}

// A vote that Kafka does not confirm is answered 503 with the id that makes
// sending it again safe.
func TestVoteNotConfirmed(t *testing.T) {
	for _, c := range []struct {
		err  error
		code events.Code
	}{{publish.ErrUnavailable, events.Unavailable}, {publish.ErrBusy, events.Busy}, {errors.New("other"), events.Unavailable}} {
		h := newHouse()
		h.twin.fail = func(int) error { return c.err }
		r := wants(t, c.err.Error(), h.post(t, rock, vote), http.StatusServiceUnavailable, c.code, "")
		if r.ID != "made-0-0" {
			t.Errorf("%v: id %q", c.err, r.ID)
		}
	}
}

// When all places are taken there is an answer at once.
func TestBusy(t *testing.T) {
	h := newHouse()
	h.ingress.room = make(chan struct{}) // no places
	h.handler = h.ingress.routes()
	wants(t, "full", h.post(t, rock, vote), http.StatusServiceUnavailable, events.Busy, "")
	if w := h.do(t, httptest.NewRequest(http.MethodGet, "/openapi.yaml", nil)); w.Code != http.StatusOK {
		t.Errorf("the description: %d", w.Code)
	}
}

// A client that goes away is waited for by nobody: its request ends, as no
// success, and its place is free again.
func TestClientGoesAway(t *testing.T) {
	for _, body := range []string{vote, "[" + vote + "]"} {
		h := newHouse()
		h.twin.hold, h.twin.begun = make(chan struct{}), make(chan struct{}, 1)
		ctx, leave := context.WithCancel(t.Context())
		done := make(chan *httptest.ResponseRecorder)
		go func() {
			done <- h.do(t, httptest.NewRequest(http.MethodPost, rock, strings.NewReader(body)).WithContext(ctx))
		}()
		<-h.twin.begun
		leave()
		wants(t, "gone", <-done, http.StatusServiceUnavailable, events.Unavailable, "")
		if len(h.room) != 0 {
			t.Error("the place is taken still")
		}
	}
}

// Pages of any origin may post votes.
func TestOtherOrigins(t *testing.T) {
	h := newHouse()
	w := h.do(t, httptest.NewRequest(http.MethodOptions, rock, nil), "Origin: https://example.org", "Access-Control-Request-Method: POST",
		"Access-Control-Request-Headers: content-type, idempotency-key")
	header := w.Header()
	if w.Code != http.StatusNoContent || header.Get("Access-Control-Allow-Origin") != "*" || header.Get("Access-Control-Allow-Methods") != "POST" {
		t.Errorf("preflight: %d %v", w.Code, header)
	}
	for _, name := range []string{"Content-Type", "Idempotency-Key", "Accept-Language"} {
		if !strings.Contains(header.Get("Access-Control-Allow-Headers"), name) {
			t.Errorf("%s is not allowed", name)
		}
	}
	for _, body := range []string{vote, "{"} {
		if got := h.post(t, rock, body).Header().Get("Access-Control-Allow-Origin"); got != "*" {
			t.Errorf("%s: origin %q", body, got)
		}
	}
}

// Refusals are in the language that is asked for.
func TestLanguages(t *testing.T) {
	for language, want := range map[string]string{
		"": "«colour»", "es-GT": "«colour»", "en;q=0.8, fr": "“colour”",
	} {
		w := newHouse().post(t, rock, `{"colour":1}`, "Accept-Language: "+language)
		if r := read(t, w); !strings.Contains(r.Detail, want) {
			t.Errorf("%q: %s", language, r.Detail)
		}
	}
}

func TestWay(t *testing.T) {
	w := newHouse().do(t, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/openapi.yaml" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}
