package main

import (
	"bytes"
	"context"
	_ "embed"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"marimba/events"
	"marimba/functions/internal/problem"
)

// castForm takes the vote of a plain HTML form, as a browser without JavaScript
// sends it, and answers with a page where that is what the client prefers.
func (h *ingress) castForm(w http.ResponseWriter, req *http.Request, in *hand, body *body) error {
	o, err := in.form(req.Context(), body)
	w.Header().Add("Vary", "Accept")
	if prefersHTML(req.Header.Get("Accept")) {
		return h.showPage(w, req, o, err)
	}
	if err != nil {
		return err
	}
	return acceptOne(w, h.receiptOf(o))
}

func (h *hand) form(ctx context.Context, body *body) (outcome, error) {
	b, no := formBallot(body.Bytes())
	body.done()
	if no != nil {
		return outcome{}, no
	}
	return h.one(ctx, b)
}

// formBallot reads a form. Its fields have the names of the vote's.
func formBallot(data []byte) (events.Ballot, *events.Refusal) {
	var b events.Ballot
	values, err := url.ParseQuery(string(data))
	if err != nil {
		return b, events.Refuse(events.BodyMalformed, "", "reason", shorten(err.Error()))
	}
	into := map[string]*string{
		"name": &b.Name, "album": &b.Album, "year": &b.Year, "rank": &b.Rank,
		"id": &b.ID, "contest": &b.Contest, "voter": &b.Voter, "cast_at": &b.CastAt,
	}
	for name, given := range values {
		field := into[name]
		switch {
		case field == nil:
			return events.Ballot{}, events.Refuse(events.FieldUnknown, shorten(name))
		case len(given) > 1:
			return events.Ballot{}, events.Refuse(events.FieldRepeated, name)
		}
		*field = given[0]
	}
	return b, nil
}

// prefersHTML reports whether an Accept header (RFC 9110, section 12.5.1) puts
// HTML before JSON, as those of browsers do.
func prefersHTML(accept string) bool {
	html, json := -1.0, -1.0
	for entry := range strings.SplitSeq(accept, ",") {
		media, params, _ := strings.Cut(entry, ";")
		quality := 1.0
		for param := range strings.SplitSeq(params, ";") {
			if value, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(param)), "q="); ok {
				quality, _ = strconv.ParseFloat(value, 64)
			}
		}
		switch strings.ToLower(strings.TrimSpace(media)) {
		case "text/html":
			html = quality
		case "application/json", "application/problem+json":
			json = max(json, quality)
		}
	}
	return html > 0 && html > json
}

//go:embed page.html
var pageText string

var page = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("page").Parse(pageText)) // it is built in
})

// words are those of the page that are not a refusal's.
var words = map[string]map[string]string{
	"es": {
		"accepted": "Voto recibido", "refused": "El voto no se recibió", "receipt": "Comprobante", "secret": "Secreto",
		"keep": "Guárdelos: con el comprobante se puede ver qué pasó con el voto, y solo quien tiene el secreto puede ver por quién fue.", "back": "Volver", "look": "Ver qué pasó con el voto",
	},
	"en": {
		"accepted": "Vote received", "refused": "The vote was not received", "receipt": "Receipt", "secret": "Secret",
		"keep": "Keep both: with the receipt you can look up what became of the vote, and only who has the secret can see whom it was for.", "back": "Back", "look": "See what became of the vote",
	},
}

// showPage answers with a page: the receipt, or why there is none.
func (h *ingress) showPage(w http.ResponseWriter, req *http.Request, o outcome, failed error) error {
	speaker := problem.In(req.Header.Get("Accept-Language"))
	data := struct {
		Language, Receipt, Secret, Refusal, Back, Results string
		Words                                             map[string]string
	}{Language: speaker.Language(), Receipt: o.Receipt.Receipt, Results: h.results, Words: words[speaker.Language()]}
	status := http.StatusAccepted
	if failed != nil {
		f := prepare(w, req, failed)
		status, data.Refusal = f.status, speaker.Text(f.no)
	} else {
		data.Secret = o.keepsakeOf(h.secrets).Secret
	}
	if from, err := url.Parse(req.Referer()); err == nil && (from.Scheme == "https" || from.Scheme == "http") {
		data.Back = from.String()
	}
	var text bytes.Buffer
	if err := page().Execute(&text, data); err != nil {
		return err
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Language", data.Language)
	header.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'")
	header.Set("Referrer-Policy", "no-referrer")
	header.Add("Vary", "Accept-Language")
	w.WriteHeader(status)
	_, _ = w.Write(text.Bytes())
	return nil
}
