package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"marimba/events"
	"marimba/functions/internal/publish"
)

const (
	form    = "Content-Type: application/x-www-form-urlencoded"
	browser = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
)

const formVote = "name=Alux&album=Conquista&year=1982&rank=2&id=f-1&voter="

// A form is one vote, answered as JSON where HTML is not preferred.
func TestForm(t *testing.T) {
	h := newHouse()
	r := wants(t, "form", h.post(t, rock, formVote, form+"; charset=UTF-8", "Accept: */*"), http.StatusAccepted, "", "")
	if got := h.twin.cast(); len(got) != 1 || got[0] != "rock/http f-1 Alux Nahual|Conquista|1982|2" || r.ID != "f-1" {
		t.Errorf("cast %q, answer %+v", got, r)
	}
	for say, c := range map[string]struct {
		body  string
		code  events.Code
		field string
	}{
		"unknown field":  {"colour=red", events.FieldUnknown, "colour"},
		"repeated field": {"name=a&name=b", events.FieldRepeated, "name"},
		"missing field":  {"album=x", events.FieldMissing, "name"},
		"other contest":  {"contest=default", events.ContestDiffers, "contest"},
		"broken UTF-8":   {"name=%ff", events.TextNotUTF8, "name"},
	} {
		wants(t, say, h.post(t, rock, c.body, form), http.StatusUnprocessableEntity, c.code, c.field)
	}
	wants(t, "broken", h.post(t, rock, "name=%zz", form), http.StatusBadRequest, events.BodyMalformed, "")
}

// A browser gets a page in its language, with the receipt or the refusal, and
// nothing in it is the sender's to write.
func TestFormPage(t *testing.T) {
	attack := `"><script>alert(1)</script>`
	for _, c := range []struct {
		say, body string
		headers   []string
		fail      error
		status    int
		has       []string
	}{
		{"accepted", formVote, nil, nil, 202, []string{`<html lang="es">`, "<h1>Voto recibido</h1>", "box-0.0"}},
		{"accepted, in English", formVote, []string{"Accept-Language: en"}, nil, 202, []string{`<html lang="en">`, "<h1>Vote received</h1>", "box-0.0"}},
		{"back", formVote, []string{"Referer: https://example.org/?a=1&b"}, nil, 202, []string{`<a href="https://example.org/?a=1&amp;b">Volver</a>`}},
		{"refused", "name=" + url.QueryEscape(attack) + "&album=x&year=1982&rank=1", nil, nil, 422, []string{"<h1>El voto no se recibió</h1>", `role="alert"`, "&lt;script&gt;"}},
		{"unknown field", url.QueryEscape(attack) + "=1", nil, nil, 422, []string{"&lt;script&gt;"}},
		{"not confirmed", formVote, nil, publish.ErrUnavailable, 503, []string{"<h1>El voto no se recibió</h1>", "intente de nuevo"}},
	} {
		h := newHouse()
		if c.fail != nil {
			h.twin.fail = func(int) error { return c.fail }
		}
		w := h.post(t, rock, c.body, append([]string{form, browser}, c.headers...)...)
		if w.Code != c.status || w.Header().Get("Content-Type") != "text/html; charset=utf-8" || !strings.HasPrefix(w.Header().Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: %d %v", c.say, w.Code, w.Header())
		}
		if (c.status == 503) != (w.Header().Get("Retry-After") != "") {
			t.Errorf("%s: Retry-After %q", c.say, w.Header().Get("Retry-After"))
		}
		text := w.Body.String()
		for _, has := range c.has {
			if !strings.Contains(text, has) {
				t.Errorf("%s: no %q in %s", c.say, has, text)
			}
		}
		if strings.Contains(text, "<script") {
			t.Errorf("%s: a script in %s", c.say, text)
		}
	}
	w := newHouse().post(t, rock, formVote, form, browser, "Referer: javascript:alert(1)")
	if strings.Contains(w.Body.String(), "javascript") {
		t.Errorf("leads back to a script: %s", w.Body)
	}
}

func TestPrefersHTML(t *testing.T) {
	for accept, want := range map[string]bool{
		"": false, "*/*": false, "application/json": false, "text/html": true, "application/json, text/html": false,
		"text/html;q=0.5, application/json": false, "application/json;q=0.5, Text/HTML": true, "text/html;q=0": false,
		"text/html;q=x": false, strings.TrimPrefix(browser, "Accept: "): true, ";;,,": false,
	} {
		if got := prefersHTML(accept); got != want {
			t.Errorf("%q: %v", accept, got)
		}
	}
}
