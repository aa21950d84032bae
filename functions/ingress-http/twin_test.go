package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"marimba/events"
	"marimba/events/seal"
	"marimba/functions/internal/desk"
	"marimba/functions/internal/publish"
	"marimba/functions/internal/voter"
)

var noon = time.Date(2026, 5, 1, 18, 0, 0, 123e6, time.UTC)

// contestsOf are the contests of a test.
type contestsOf map[string]events.Contest

func (c contestsOf) Contest(id string) (events.Contest, bool) { found, ok := c[id]; return found, ok }

func (c contestsOf) IDs() []string {
	var ids []string
	for id := range c {
		ids = append(ids, id)
	}
	return ids
}

// contests are one that takes all and one that takes little.
var contests = contestsOf{
	"default": {ID: "default", OpenRoster: true, RankMax: events.MaxRank, YearMin: 1900},
	"rock": {ID: "rock", AlbumRequired: true, RankMax: 1000, YearMin: 1970, Bands: []events.Band{
		{Name: "Alux Nahual", Aliases: []string{"Alux"}, Albums: []events.Album{{Title: "Conquista"}, {Title: "13"}}},
	}},
}

var secrets = seal.NewSecrets([]byte("another secret"))

var keys = voter.Keys{Secret: "a secret"}

// box is what was cast at once.
type box struct {
	contest string
	channel events.Channel
	votes   []events.Vote
}

// twin is a caster that keeps what it is given, and fails when told to.
type twin struct {
	mu    sync.Mutex
	boxes []box
	fail  func(n int) error // for the nth call, from 0; nil: never
	calls int
	hold  chan struct{} // if set, calls wait for it or their context
	begun chan struct{} // if set, gets an entry as a call begins
}

func (c *twin) Cast(ctx context.Context, contest string, channel events.Channel, votes []events.Vote) ([]publish.Receipt, error) {
	c.mu.Lock()
	n := c.calls
	c.calls++
	c.mu.Unlock()
	for i := range votes {
		if votes[i].ID == "" {
			votes[i].ID = fmt.Sprintf("made-%d-%d", n, i)
		}
	}
	if c.begun != nil {
		c.begun <- struct{}{}
	}
	if c.hold != nil {
		select {
		case <-c.hold:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", publish.ErrUnavailable, ctx.Err())
		}
	}
	if c.fail != nil {
		if err := c.fail(n); err != nil {
			return nil, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.boxes = append(c.boxes, box{contest, channel, append([]events.Vote(nil), votes...)})
	receipts := make([]publish.Receipt, len(votes))
	for i, v := range votes {
		receipts[i] = publish.Receipt{ID: v.ID, Receipt: events.Receipt(fmt.Sprintf("box-%d", n), i), At: noon}
	}
	return receipts, nil
}

// cast returns the votes that were cast, as "contest/channel id name|album|year|rank".
func (c *twin) cast() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for _, b := range c.boxes {
		for _, v := range b.votes {
			out = append(out, fmt.Sprintf("%s/%s %s %s|%s|%d|%s", b.contest, b.channel, v.ID, v.Name, v.Album, v.Year, events.FormatRank(v.Rank)))
		}
	}
	return out
}

// house is a handler with its twin.
type house struct {
	*ingress
	twin    *twin
	handler http.Handler
}

func newHouse() *house {
	twin := new(twin)
	in := newIngress(desk.New(contests, keys), twin, nil, secrets)
	return &house{in, twin, in.routes()}
}

// post posts a body. Headers are "Name: value"; without one for the content type
// it is JSON.
func (h *house) post(t testing.TB, path, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	return h.do(t, httptest.NewRequest(http.MethodPost, path, strings.NewReader(body)), headers...)
}

func (h *house) do(t testing.TB, req *http.Request, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	if req.Method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		if value == "" {
			req.Header.Del(name)
		} else {
			req.Header.Set(name, value)
		}
	}
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, req)
	return w
}

// reply is any JSON answer of ours: a receipt, a report or a problem.
type reply struct {
	Status     any       `json:"status"` // a word, or a problem's number
	ID         string    `json:"id"`
	Contest    string    `json:"contest"`
	Receipt    string    `json:"receipt"`
	ReceivedAt time.Time `json:"received_at"`
	keepsake
	Accepted    int          `json:"accepted"`
	Refused     int          `json:"refused"`
	Warnings    int          `json:"warnings"`
	Rows        []rowFault   `json:"rows"`
	RowsOmitted int          `json:"rows_omitted"`
	Fault       *rowFault    `json:"fault"`
	Receipts    []rowReceipt `json:"receipts"`
	Code        events.Code  `json:"code"`
	Field       string       `json:"field"`
	Detail      string       `json:"detail"`
	Taken       []string     `json:"taken"`
}

func read(t testing.TB, w *httptest.ResponseRecorder) reply {
	t.Helper()
	var r reply
	if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil {
		t.Fatalf("answer %d %q: %v", w.Code, w.Body, err)
	}
	return r
}

// wants holds an answer to a status and a code; "" is success.
func wants(t testing.TB, say string, w *httptest.ResponseRecorder, status int, code events.Code, field string) reply {
	t.Helper()
	r := read(t, w)
	if w.Code != status || r.Code != code || code != "" && r.Field != field {
		t.Errorf("%s: got %d %s, want %d %s %s", say, w.Code, w.Body, status, code, field)
	}
	media := "application/json; charset=utf-8"
	if status >= 300 {
		media = "application/problem+json"
		if retry := w.Header().Get("Retry-After"); (retry != "") != (status == http.StatusServiceUnavailable) {
			t.Errorf("%s: Retry-After is %q", say, retry)
		}
	}
	if got := w.Header().Get("Content-Type"); got != media {
		t.Errorf("%s: content type %s", say, got)
	}
	return r
}

// endless is a body that never ends.
type endless struct{ text string }

func (e endless) Read(p []byte) (int, error) {
	n := 0
	for n+len(e.text) <= len(p) {
		n += copy(p[n:], e.text)
	}
	if n == 0 {
		n = copy(p, e.text)
	}
	return n, nil
}

var _ io.Reader = endless{}

const vote = `{"name":"Alux","album":"Conquista","year":"1982","rank":2}`
