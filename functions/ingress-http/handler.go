package main

import (
	"context"
	_ "embed"
	"net/http"
	"slices"
	"strings"
	"time"

	"marimba/events"
	"marimba/events/seal"
	"marimba/functions/internal/desk"
	"marimba/functions/internal/publish"
	marimbav1 "marimba/proto/marimba/v1"
)

// Bounds of what goes on at once. A request whose body is small takes a place in
// the room, and one whose body turns out to be large another; together they keep
// the process below its memory, whatever is sent.
const (
	maxInFlight  = 2_000
	largeAtOnce  = 4
	placeTimeout = 2 * time.Second // how long a large body waits for its place
)

// castTimeout bounds the casting of one request. With the time that a body may
// take to arrive it stays below the minute that Knative gives a request.
const castTimeout = 25 * time.Second

type caster interface {
	Cast(ctx context.Context, contest string, channel events.Channel, votes []events.Vote) ([]publish.Receipt, error)
}

// ingress takes votes.
type ingress struct {
	desk                    *desk.Desk
	byHTTP, byWasm, byEvent taker
	votes                   marimbav1.VotesClient // of ingress-grpc
	secrets                 *seal.Secrets
	room                    chan struct{} // one entry for each request that hands in votes
	large                   chan struct{} // one entry for each body that is large
	patience                time.Duration // of one that waits to be
	limit                   time.Duration // for casting
	results                 string        // URL, for links to receipts; empty: none
}

func newIngress(d *desk.Desk, c caster, votes marimbav1.VotesClient, secrets *seal.Secrets) *ingress {
	return &ingress{
		desk:     d,
		byHTTP:   direct{d, c, events.ByHTTP},
		byWasm:   direct{d, c, events.ByWasm},
		byEvent:  direct{d, c, events.ByEvent},
		votes:    votes,
		secrets:  secrets,
		room:     make(chan struct{}, maxInFlight),
		large:    make(chan struct{}, largeAtOnce),
		patience: placeTimeout,
		limit:    castTimeout,
	}
}

// route is a pattern of http.ServeMux and what answers it.
type route struct {
	pattern string
	answer  answer
}

// answer answers a request, or returns a refusal or what went wrong before
// anything was written.
type answer func(w http.ResponseWriter, req *http.Request) error

// table has every route. Those below /v1 and at / are for use; the others are of
// the system that this one succeeds, and keep its clients working.
func (h *ingress) table() []route {
	return []route{
		{"POST /v1/contests/{contest}/votes", h.seated(h.castVotes)},
		{"OPTIONS /v1/contests/{contest}/votes", preflight},
		{"POST /{$}", h.seated(h.castEvents)},
		{"POST /rust", h.seated(h.castOlder)},
		{"POST /wasm", h.seated(h.castOlder)},
		{"POST /insert", h.seated(h.castOlder)},
		{"POST /insert/rust", h.seated(h.castOlder)},
		{"POST /insert/wasm", h.seated(h.castOlder)},
		{"POST /grpc", h.seated(h.castByGRPC)},
		{"POST /insert/grpc", h.seated(h.castByGRPC)},
		{"GET /openapi.yaml", showDescription},
		{"GET /{$}", showWay},
	}
}

func (h *ingress) routes() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, answer answer) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, req *http.Request) {
			header := w.Header()
			header["X-Content-Type-Options"] = noSniff
			header["Access-Control-Allow-Origin"] = anyOrigin
			if err := answer(w, req); err != nil {
				fail(w, req, err)
			}
		})
	}
	allowed := make(map[string][]string)
	for _, route := range h.table() {
		handle(route.pattern, route.answer)
		method, path, _ := strings.Cut(route.pattern, " ")
		allowed[path] = append(allowed[path], method)
	}
	for path, methods := range allowed {
		if slices.Contains(methods, http.MethodGet) {
			methods = append(methods, http.MethodHead)
		}
		slices.Sort(methods)
		handle(path, notSo(strings.Join(methods, ", ")))
	}
	handle("/", notHere)
	return mux
}

// seated gives a request a place in the room while it is answered.
func (h *ingress) seated(a answer) answer {
	return func(w http.ResponseWriter, req *http.Request) error {
		select {
		case h.room <- struct{}{}:
			defer func() { <-h.room }()
			return a(w, req)
		default:
			return publish.ErrBusy
		}
	}
}

// preflight lets a page of any origin post votes (CORS). What needs no
// credentials needs no list of origins.
func preflight(w http.ResponseWriter, _ *http.Request) error {
	header := w.Header()
	header.Set("Access-Control-Allow-Methods", http.MethodPost)
	header.Set("Access-Control-Allow-Headers", "Content-Type, Content-Encoding, Idempotency-Key, Accept-Language")
	header.Set("Access-Control-Max-Age", "86400")
	w.WriteHeader(http.StatusNoContent)
	return nil
}

//go:embed openapi.yaml
var description []byte

func showDescription(w http.ResponseWriter, _ *http.Request) error {
	header := w.Header()
	header.Set("Content-Type", "application/yaml; charset=utf-8")
	header.Set("Cache-Control", "public, max-age=60")
	_, _ = w.Write(description)
	return nil
}

// showWay sends whoever looks around to the description.
func showWay(w http.ResponseWriter, req *http.Request) error {
	http.Redirect(w, req, "/openapi.yaml", http.StatusSeeOther)
	return nil
}

func notSo(allow string) answer {
	return func(w http.ResponseWriter, req *http.Request) error {
		w.Header().Set("Allow", allow)
		return events.Refuse(events.MethodNotAllowed, "", "method", req.Method, "allow", allow)
	}
}

func notHere(http.ResponseWriter, *http.Request) error { return events.Refuse(events.RouteUnknown, "") }
