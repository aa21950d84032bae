// Package problem tells people and clients why something was refused: a message
// in their language, and over HTTP an answer of problem details (RFC 9457) with
// the stable code beside it.
package problem

import (
	"encoding/json"
	"maps"
	"net/http"

	"marimba/events"
)

// MediaType of problem details.
const MediaType = "application/problem+json"

// typeOf makes the URI that names a kind of problem (RFC 9457, section 3.1.1).
// It is a name and not an address (RFC 4151): nothing needs to be fetched.
func typeOf(code events.Code) string { return "tag:marimba.gt,2026:" + string(code) }

// Write answers a request with a problem, in the language that it asks for. The
// members are type, title, status, detail, code and, where there are any, field
// and params; more are added to them.
func Write(w http.ResponseWriter, r *http.Request, status int, no *events.Refusal, more map[string]any) {
	speaker := In(r.Header.Get("Accept-Language"))
	members := map[string]any{
		"type":   typeOf(no.Code),
		"title":  speaker.title(status),
		"status": status,
		"detail": speaker.Text(no),
		"code":   no.Code,
	}
	if no.Field != "" {
		members["field"] = no.Field
	}
	if len(no.Params) > 0 {
		members["params"] = no.Params
	}
	maps.Copy(members, more)
	h := w.Header()
	h.Set("Content-Type", MediaType)
	h.Set("Content-Language", speaker.Language())
	h.Add("Vary", "Accept-Language")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(members) // a client who went away needs no answer
}

// StatusOf returns the HTTP status of a refusal. A ballot that is not admitted is
// 422. Of the statuses that a Knative source sends again there are two only: 503
// for what passes, and 404 for what is not here, or not yet.
func StatusOf(code events.Code) int {
	switch code {
	case events.BodyEmpty, events.BodyMalformed, events.BodyNotUTF8, events.EventMalformed, events.ParameterMalformed:
		return http.StatusBadRequest
	case events.BodyTooSlow:
		return http.StatusRequestTimeout
	case events.BodyTooLarge, events.TooManyRows:
		return http.StatusRequestEntityTooLarge
	case events.MediaTypeUnsupported, events.EncodingUnsupported:
		return http.StatusUnsupportedMediaType
	case events.TokenRequired:
		return http.StatusUnauthorized
	case events.SecretWrong:
		return http.StatusForbidden
	case events.RouteUnknown, events.VoteUnknown, events.LetterUnknown, events.ContestUnknown, events.NotFinal, events.NotSealed, events.ContestChanged:
		return http.StatusNotFound
	case events.MethodNotAllowed:
		return http.StatusMethodNotAllowed
	case events.Busy, events.Unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusUnprocessableEntity
}
