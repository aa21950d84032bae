package problem

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"

	"marimba/events"
)

// write returns the answer to a request that asks for a language.
func write(t *testing.T, language string, status int, no *events.Refusal, more map[string]any) (*httptest.ResponseRecorder, map[string]any) {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.Header.Set("Accept-Language", language)
	Write(w, r, status, no, more)
	var members map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &members); err != nil {
		t.Fatalf("%q: %v", w.Body, err)
	}
	return w, members
}

// An answer is problem details (RFC 9457) in the language asked for, with our
// code, field and values beside its own members.
func TestAnswerIsAProblem(t *testing.T) {
	no := events.Refuse(events.RankOutOfRange, "rank", "min", "0", "max", "10")
	w, members := write(t, "es-GT", 422, no, map[string]any{"id": "a-1"})
	want := map[string]any{
		"type":   "tag:marimba.gt,2026:rank_out_of_range",
		"title":  "Voto no admitido",
		"status": 422.0,
		"detail": "El lugar o puntaje debe estar entre 0 y 10.",
		"code":   "rank_out_of_range",
		"field":  "rank",
		"params": map[string]any{"min": "0", "max": "10"},
		"id":     "a-1",
	}
	if !reflect.DeepEqual(members, want) {
		t.Errorf("got  %v\nwant %v", members, want)
	}
	h := w.Header()
	if w.Code != 422 || h.Get("Content-Type") != MediaType || h.Get("Content-Language") != "es" || h.Get("Vary") != "Accept-Language" {
		t.Errorf("answer is %d %v", w.Code, h)
	}

	w, members = write(t, "en", 400, events.Refuse(events.BodyEmpty, ""), nil)
	if members["title"] != "The request cannot be understood" || w.Header().Get("Content-Language") != "en" {
		t.Errorf("in English: %v %v", members, w.Header())
	}
	for _, name := range []string{"field", "params"} {
		if _, there := members[name]; there {
			t.Errorf("%s is there without need: %v", name, members)
		}
	}
}

// What was refused is not sent again by a source, which would be refused for
// ever. Only what may pass is: too much at once, a part that is away, and what
// is not here, or not yet.
func TestStatusIsNoneThatIsSentAgain(t *testing.T) {
	mayPass := map[events.Code]int{
		events.Busy: 503, events.Unavailable: 503, events.BodyTooSlow: 408,
		events.RouteUnknown: 404, events.VoteUnknown: 404, events.LetterUnknown: 404, events.ContestUnknown: 404, events.NotFinal: 404,
		events.NotSealed: 404, events.ContestChanged: 404,
	}
	for _, code := range codes(t) {
		status := StatusOf(code)
		if want, ok := mayPass[code]; ok {
			if status != want {
				t.Errorf("%s is %d, want %d", code, status, want)
			}
			continue
		}
		sentAgain := status == 404 || status == 408 || status == 409 || status == 429 || status >= 500
		if sentAgain || status < 400 {
			t.Errorf("%s is %d", code, status)
		}
	}
	for code, want := range map[events.Code]int{
		events.BodyMalformed: 400, events.BodyTooLarge: 413, events.MediaTypeUnsupported: 415,
		events.TokenRequired: 401, events.SecretWrong: 403, events.MethodNotAllowed: 405, events.BandUnknown: 422, events.NameMalformed: 422,
	} {
		if got := StatusOf(code); got != want {
			t.Errorf("%s is %d, want %d", code, got, want)
		}
	}
}
