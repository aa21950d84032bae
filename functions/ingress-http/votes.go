package main

import (
	"bytes"
	"context"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"marimba/events"
	"marimba/events/votefile"
	"marimba/functions/internal/desk"
	"marimba/functions/internal/publish"
)

// formType is what a plain HTML form sends.
const formType = "application/x-www-form-urlencoded"

// taken lists the media types of votes.
var taken = []string{"application/json", "application/x-ndjson", "text/csv", formType}

// hand is how a request hands in its ballots.
type hand struct {
	taker   taker
	contest string // that of the request; "": each ballot names its own, or none
	id      string // of a single ballot that has none
	file    string // digest that the ids of other ballots are made of
	strict  bool
	bare    bool // an answer of success has no body
}

// name sets a ballot's contest and id where it has none.
func (h *hand) name(b *events.Ballot, id string) *events.Refusal {
	switch {
	case h.contest == "" || b.Contest == h.contest:
	case b.Contest == "":
		b.Contest = h.contest
	default:
		return events.Refuse(events.ContestDiffers, "contest", "contest", shorten(b.Contest), "expected", h.contest)
	}
	if b.ID == "" {
		b.ID = id
	}
	return nil
}

// castVotes takes one vote or many for the contest that the path names.
func (h *ingress) castVotes(w http.ResponseWriter, req *http.Request) error {
	contest := req.PathValue("contest")
	if no := h.desk.Has(shorten(contest)); no != nil {
		return no
	}
	media, no := mediaType(req)
	format, known := votefile.FormatOfType(media)
	if no == nil && !known && media != formType {
		no = events.Refuse(events.MediaTypeUnsupported, "", "type", media)
	}
	if no != nil {
		w.Header().Set("Accept", strings.Join(taken, ", "))
		return &fault{no: no, members: map[string]any{"taken": taken}}
	}
	id, no := idempotencyKey(req)
	if no != nil {
		return no
	}
	body, err := h.read(w, req)
	if err != nil {
		return err
	}
	defer body.done()
	in := &hand{taker: h.byHTTP, contest: contest, id: id, strict: true}
	if media == formType {
		return h.castForm(w, req, in, body)
	}
	return h.cast(w, req, in, format, body)
}

// castOlder takes votes as the older routes have them: for the default contest
// or the one that ?contest= names, whatever other fields there are, and as JSON
// if the content type does not say NDJSON or CSV.
func (h *ingress) castOlder(w http.ResponseWriter, req *http.Request) error {
	return h.castOld(w, req, h.byWasm)
}

// castByGRPC is castOlder, with ingress-grpc in between.
func (h *ingress) castByGRPC(w http.ResponseWriter, req *http.Request) error {
	return h.castOld(w, req, front{h.votes, req.Header.Get("Accept-Language"), h.limit})
}

func (h *ingress) castOld(w http.ResponseWriter, req *http.Request, t taker) error {
	in := &hand{taker: t}
	if req.URL.RawQuery != "" {
		contest, no := parameter(req, "contest")
		if no != nil {
			return no
		}
		if in.contest = contest; contest != "" {
			if no := h.desk.Has(shorten(contest)); no != nil {
				return no
			}
		}
	}
	var no *events.Refusal
	if in.id, no = idempotencyKey(req); no != nil {
		return no
	}
	format := votefile.JSON
	if f, known := votefile.FormatOfType(req.Header.Get("Content-Type")); known {
		format = f
	}
	body, err := h.read(w, req)
	if err != nil {
		return err
	}
	defer body.done()
	return h.cast(w, req, in, format, body)
}

// cast takes what a body holds: one JSON object is one vote, and all else a
// file. Of one vote the body is not kept while it waits for Kafka.
func (h *ingress) cast(w http.ResponseWriter, req *http.Request, in *hand, format votefile.Format, body *body) error {
	data := body.Bytes()
	if format == votefile.JSON && !isArray(data) {
		b, no := desk.Read(data, in.strict)
		body.done()
		if no != nil {
			return no
		}
		return h.castOne(w, req, in, b)
	}
	if in.file = in.id; in.file == "" {
		in.file = votefile.Digest(data)
	} else {
		in.file = votefile.Digest([]byte(in.file))
	}
	return h.castMany(w, req, in, votefile.Rows(data, format, votefile.Options{Strict: in.strict, MaxRows: maxRows}))
}

// isArray reports whether JSON begins as an array does.
func isArray(data []byte) bool {
	data = bytes.TrimLeft(bytes.TrimPrefix(data, []byte("\ufeff")), " \t\r\n")
	return len(data) > 0 && data[0] == '['
}

// castOne takes one ballot and answers with its receipt.
func (h *ingress) castOne(w http.ResponseWriter, req *http.Request, in *hand, b events.Ballot) error {
	o, err := in.one(req.Context(), b)
	if err != nil {
		return err
	}
	if in.bare {
		w.WriteHeader(http.StatusAccepted)
		return nil
	}
	return acceptOne(w, h.receiptOf(o))
}

// one takes one ballot. If Kafka did not confirm it, the fault tells its id:
// with that it can be sent again.
func (h *hand) one(ctx context.Context, b events.Ballot) (outcome, error) {
	if no := h.name(&b, h.id); no != nil {
		return outcome{}, no
	}
	out, err := h.taker.take(ctx, new(events.Reading), []events.Ballot{b})
	switch {
	case err != nil:
		f := &fault{err: err}
		if out[0].ID != "" {
			f.members = map[string]any{"id": out[0].ID}
		}
		return outcome{}, f
	case out[0].no != nil:
		return outcome{}, &fault{no: out[0].no, contest: contestOf(b), told: out[0].elsewhere}
	case !out[0].taken():
		return outcome{}, publish.ErrUnavailable
	}
	return out[0], nil
}

// mediaType returns the media type of a body. Text in another charset than UTF-8
// is of no type that is taken.
func mediaType(req *http.Request) (string, *events.Refusal) {
	header := req.Header.Get("Content-Type")
	if header == "application/json" { // nearly always
		return header, nil
	}
	media, params, err := mime.ParseMediaType(header)
	charset := strings.ToLower(params["charset"])
	if err != nil || charset != "" && charset != "utf-8" && charset != "utf8" && charset != "us-ascii" {
		return "", events.Refuse(events.MediaTypeUnsupported, "", "type", shorten(header))
	}
	return shorten(media), nil
}

// idempotencyKey returns the id that the header of that name has, with or
// without the quotes of a structured field (RFC 8941).
func idempotencyKey(req *http.Request) (string, *events.Refusal) {
	const header = "Idempotency-Key"
	key := strings.TrimSpace(req.Header.Get(header))
	if n := len(key); n > 1 && key[0] == '"' && key[n-1] == '"' {
		key = key[1 : n-1]
	}
	if key != "" && !events.IsID(key) {
		return "", events.Refuse(events.IDMalformed, header, "max", maxIDText)
	}
	return key, nil
}

// parameter returns a parameter of the query; "" if it is not there.
func parameter(req *http.Request, name string) (string, *events.Refusal) {
	values, err := url.ParseQuery(req.URL.RawQuery)
	if err != nil {
		return "", events.Refuse(events.ParameterMalformed, "query", "parameter", "query", "expected", "key=value&…")
	}
	if given := values[name]; len(given) > 1 {
		return "", events.Refuse(events.ParameterMalformed, name, "parameter", name, "expected", "one value")
	}
	return values.Get(name), nil
}
