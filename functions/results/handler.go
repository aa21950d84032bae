package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"marimba/config"
	"marimba/events"
	"marimba/events/seal"
	"marimba/functions/internal/annul"
	"marimba/functions/internal/problem"
	"marimba/functions/internal/replay"
)

// Bounds of an answer. An export and a live stream have their own.
const (
	answerTimeout  = 10 * time.Second
	searchesAtOnce = 8
	exportsAtOnce  = 2
	replaysAtOnce  = 1
	placeTimeout   = 2 * time.Second // how long a request waits for one of these
)

type contests interface {
	Contest(id string) (events.Contest, bool)
	IDs() []string
	Text(id string) ([]byte, error)
}

// results answers questions about the votes.
type results struct {
	contests   contests
	counts     counted
	journal    logged
	finals     *finals
	boards     *boards
	lost       *lost
	feeds      *feeds // of boards
	tails      *feeds // of the newest votes
	flights    *flights
	sealed     sealed // the public log of counted votes
	secrets    *seal.Secrets
	cursors    cursors
	letters    replay.Sender
	shelved    *shelved
	annulments *annulments
	undoing    chan struct{}     // held while undone is looked at
	undone     map[string]undone // by contest
	access     access
	searches   chan struct{} // one entry for each search of the log that runs
	exports    chan struct{}
	archives   chan struct{}
	replays    chan struct{}
	patience   time.Duration // of a request that waits for a place in them
	now        func() time.Time
	door       string // URL of ingress-http, for the pages; empty: they take no votes
}

// counted is what Redis knows.
type counted interface {
	tallies
	figured
	history
	newest
	located
	living
}

// logged is what MongoDB knows.
type logged interface {
	searched
	buried
	stated
	opened
	lived
	annul.Kept
}

// streamed is what Kafka knows, and takes.
type streamed interface {
	queued
	replay.Sender
}

// keys are what opens that which is not public: with the token all of it, with the
// secret of a receipt, which is made of receipts, one vote.
type keys struct {
	token    config.Secret
	receipts config.Secret
}

// newResults returns a function's answers. Live streams end when ctx does.
func newResults(ctx context.Context, contests contests, counts counted, journal logged, kafka streamed, log sealed, mending mending, keys keys) *results {
	r := &results{
		contests: contests, counts: counts, journal: journal, letters: kafka,
		access:   newAccess(keys.token),
		sealed:   log,
		secrets:  seal.NewSecrets([]byte(keys.receipts.Reveal())),
		cursors:  newCursors(keys.receipts),
		searches: make(chan struct{}, searchesAtOnce),
		exports:  make(chan struct{}, exportsAtOnce),
		archives: make(chan struct{}, archivesAtOnce),
		replays:  make(chan struct{}, replaysAtOnce),
		patience: placeTimeout,
		now:      time.Now,
	}
	r.finals = newFinals(journal, r.clock)
	r.annulments = newAnnulments(journal, r.clock)
	r.undoing, r.undone = make(chan struct{}, 1), make(map[string]undone)
	r.lost = newLost(counts, journal, mending, r.clock)
	r.boards = newBoards(contests, counts, r.finals, r.annulments, journal, r.lost, r.clock)
	r.feeds = newFeeds(ctx, "board", frameEvery, r.boards.frame)
	r.tails = newFeeds(ctx, "tail of the log", tailEvery, r.tail)
	r.flights = newFlights(kafka, r.clock)
	r.shelved = newShelved(journal, r.clock)
	return r
}

func (r *results) clock() time.Time { return r.now() }

// route is a pattern of http.ServeMux and what answers it.
type route struct {
	pattern string
	answer  answer
	long    bool // bounds its own time
}

// answer answers a request, or returns a refusal or what went wrong before
// anything was written.
type answer func(w http.ResponseWriter, req *http.Request) error

func (r *results) table() []route {
	return []route{
		{"GET /v1/contests", r.listContests, false},
		{"GET /v1/contests/{contest}", r.showContest, false},
		{"GET /v1/contests/{contest}/board", r.showBoard, false},
		{"GET /v1/contests/{contest}/stream", r.streamBoard, true},
		{"GET /v1/contests/{contest}/history", r.showHistory, false},
		{"GET /v1/contests/{contest}/balance", r.showBalance, false},
		{"GET /v1/contests/{contest}/statement", r.showStatement, false},
		{"GET /v1/contests/{contest}/annulments", r.showAnnulments, false},
		{"GET /v1/contests/{contest}/archive", r.sendArchive, true},
		{"GET /v1/contests/{contest}/log/checkpoint", r.showCheckpoint, false},
		{"GET /v1/contests/{contest}/log/key", r.showLogKey, false},
		{"GET /v1/contests/{contest}/log/tile/{tile...}", r.showTile, false},
		{"GET /v1/contests/{contest}/log/consistency", r.showConsistency, false},
		{"GET /v1/contests/{contest}/votes/{id}", r.findVote, false},
		{"GET /v1/receipts/{receipt}", r.showReceipt, false},
		{"GET /v1/flight", r.showFlight, false},
		{"GET /v1/dead", r.listDead, false},
		{"POST /v1/dead/replay", r.replayDead, true},
		{"GET /logs", r.searchLogs, true},
		{"GET /logs/stream", r.streamLog, true},
		{"GET /openapi.yaml", r.showDescription, false},
		{"GET /{$}", r.showHome, false},
		{"GET /vota/{contest}", r.showBallot, false},
		{"GET /tablero/{contest}", r.showBoardPage, false},
		{"GET /bitacora", r.showLogPage, false},
		{"GET /bitacora/{receipt}", r.showLogPage, false},
		{"GET /libros", r.showBooksPage, false},
		{"GET /recibo", r.showReceiptPage, false},
		{"GET /recibo/{receipt}", r.showReceiptPage, false},
		{"GET /assets/{file}", r.showAsset, false},
		{"/", notHere, false},
	}
}

func (r *results) routes() http.Handler {
	mux := http.NewServeMux()
	for _, route := range r.table() {
		mux.HandleFunc(route.pattern, func(w http.ResponseWriter, req *http.Request) {
			h := w.Header()
			h.Set("X-Content-Type-Options", "nosniff")
			if req.Header.Get("Authorization") == "" {
				h.Set("Access-Control-Allow-Origin", "*") // what is public is public to every page
			}
			asked := req
			if !route.long {
				ctx, cancel := context.WithTimeout(req.Context(), answerTimeout)
				defer cancel()
				asked = req.WithContext(ctx)
			}
			if err := route.answer(w, asked); err != nil {
				fail(w, req, err)
			}
		})
	}
	return mux
}

// errBusy says that as much is going on as there may be.
var errBusy = errors.New("busy")

// fail answers what could not be answered.
func fail(w http.ResponseWriter, req *http.Request, err error) {
	var no *events.Refusal
	switch {
	case errors.As(err, &no):
	case errors.Is(err, errBusy):
		no = events.Refuse(events.Busy, "")
		w.Header().Set("Retry-After", "1")
	case req.Context().Err() != nil:
		return // nobody waits for it
	default:
		slog.WarnContext(req.Context(), "no answer", "route", req.Pattern, "error", err)
		no = events.Refuse(events.Unavailable, "")
		w.Header().Set("Retry-After", "2")
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Del("ETag")
	if no.Code == events.TokenRequired {
		h.Set("WWW-Authenticate", `Bearer realm="marimba"`)
	}
	problem.Write(w, req, problem.StatusOf(no.Code), no, nil)
}

func notHere(w http.ResponseWriter, req *http.Request) error {
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		return events.Refuse(events.MethodNotAllowed, "", "method", req.Method, "allow", "GET, HEAD")
	}
	return events.Refuse(events.RouteUnknown, "")
}

// contestOf returns the contest that a path names.
func (r *results) contestOf(req *http.Request) (events.Contest, error) {
	return r.contest(req.PathValue("contest"))
}

func (r *results) contest(id string) (events.Contest, error) {
	c, ok := r.contests.Contest(id)
	if !ok {
		return events.Contest{}, events.Refuse(events.ContestUnknown, "contest", "contest", id)
	}
	return c, nil
}

// write answers with JSON that may be kept for maxAge by whoever passes it on.
// A tag names what the answer shows; "" is taken from its text.
func write(w http.ResponseWriter, req *http.Request, maxAge string, tag string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if tag == "" {
		tag = digestOf(text)
	}
	writeTagged(w, req, maxAge, tag, "application/json; charset=utf-8", append(text, '\n'))
	return nil
}

// writeTagged answers with a text, unless who asks has what the tag names.
func writeTagged(w http.ResponseWriter, req *http.Request, maxAge, tag, media string, text []byte) {
	h := w.Header()
	h.Set("Cache-Control", maxAge)
	h.Set("ETag", `W/"`+tag+`"`)
	if sameTag(req, tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", media)
	_, _ = w.Write(text) // a reader who went away needs no answer
}

// Values of Cache-Control. What is polled is shared for a second; what opens
// with a token only is for nobody else.
const (
	forAMoment = "public, max-age=1"
	forAMinute = "public, max-age=60"
	forNobody  = "private, no-store"
)

// search takes one of the places for searches of the log, or says that all are
// taken. done gives it back.
func (r *results) search(ctx context.Context) (done func(), err error) {
	return r.take(ctx, r.searches)
}

func (r *results) take(ctx context.Context, places chan struct{}) (done func(), err error) {
	wait, cancel := context.WithTimeout(ctx, r.patience)
	defer cancel()
	select {
	case places <- struct{}{}:
		return func() { <-places }, nil
	case <-wait.Done():
		return nil, errBusy
	}
}
