// Package view is the reader's side of Marimba: it asks the function results for
// board, books and log, and shows them on a terminal.
package view

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"marimba/events"
)

// Bounds of an answer.
const (
	askTimeout = 15 * time.Second
	maxAnswer  = 64 << 20
)

// Results asks the function results at a base URL.
type Results struct {
	base, language, token string
	client                *http.Client
}

// Open returns the results at a base URL, in a language; token opens what is not
// public, and may be empty.
func Open(base, language, token string) (*Results, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("address of results: %q is not http://host:port", base)
	}
	return &Results{strings.TrimSuffix(base, "/"), language, token, &http.Client{}}, nil
}

// Board is the standing of a contest, as far as a terminal shows it.
type Board struct {
	Contest  string        `json:"contest"`
	Phase    events.Phase  `json:"phase"`
	Standing events.Metric `json:"standing"`
	Totals   struct {
		Votes int64 `json:"votes"`
		Bands int   `json:"bands"`
	} `json:"totals"`
	Bands []Band `json:"bands"`
}

// Band is a line of a board.
type Band struct {
	Place  int      `json:"place"`
	Name   string   `json:"name"`
	Votes  int64    `json:"votes"`
	Mean   *float64 `json:"mean"`
	Points *int64   `json:"points"`
	Sum    float64  `json:"sum"`
	Share  float64  `json:"share"`
	Albums []Album  `json:"albums"`
}

// Album is a band's album on a board.
type Album struct {
	Album string `json:"album"`
	Votes int64  `json:"votes"`
}

// Board returns a contest's board.
func (r *Results) Board(ctx context.Context, contest string) (Board, error) {
	var b Board
	return b, r.get(ctx, contestPath(contest, "board"), &b)
}

// Has returns an error unless there is a contest of that id.
func (r *Results) Has(ctx context.Context, contest string) error {
	var sheet struct{}
	return r.get(ctx, contestPath(contest, ""), &sheet)
}

// Balance is the books of a contest: how many votes ended how.
type Balance struct {
	Final    int64                  `json:"final"`
	States   map[events.State]int64 `json:"states"`
	Replaced int64                  `json:"replaced"`
	Pending  map[events.State]int64 `json:"pending"`
}

// Balance returns a contest's books.
func (r *Results) Balance(ctx context.Context, contest string) (Balance, error) {
	var b Balance
	return b, r.get(ctx, contestPath(contest, "balance"), &b)
}

// Since is what came into the books after an earlier look at them.
func (b Balance) Since(before Balance) Balance {
	out := Balance{
		Final: b.Final - before.Final, Replaced: b.Replaced - before.Replaced,
		States: make(map[events.State]int64, len(events.States)), Pending: b.Pending,
	}
	for _, state := range events.States {
		out.States[state] = b.States[state] - before.States[state]
	}
	return out
}

// Wait returns the balance once more than before by at least votes is in it and
// nothing is pending. It is asked again and again, until ctx ends.
func (r *Results) Wait(ctx context.Context, contest string, before Balance, votes int64) (Balance, error) {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		now, err := r.Balance(ctx, contest)
		since := now.Since(before)
		if err == nil && since.Final >= votes && len(since.Pending) == 0 {
			return since, nil
		}
		select {
		case <-ctx.Done():
			if err == nil {
				err = fmt.Errorf("%d of %d votes are in a final state", since.Final, votes)
			}
			return since, errors.Join(err, ctx.Err())
		case <-time.After(pause):
		}
	}
}

// LogRow is a vote of the log. ID is there with the token only.
type LogRow struct {
	Receipt string         `json:"receipt"`
	Contest string         `json:"contest"`
	Channel events.Channel `json:"channel"`
	At      time.Time      `json:"at"`
	Name    string         `json:"name"`
	Album   string         `json:"album"`
	Year    int32          `json:"year"`
	Rank    float64        `json:"rank"`
	State   events.State   `json:"state"`
	Reason  events.Code    `json:"reason"`
	ID      string         `json:"id"`
}

// Logs returns the rows of the log that a query of GET /logs chooses.
func (r *Results) Logs(ctx context.Context, query url.Values) ([]LogRow, error) {
	var page struct {
		Rows []LogRow `json:"rows"`
	}
	return page.Rows, r.get(ctx, "/logs?"+query.Encode(), &page)
}

// Export copies what GET /logs answers to a query as it comes.
func (r *Results) Export(ctx context.Context, query url.Values, out io.Writer) error {
	res, err := r.ask(ctx, "/logs?"+query.Encode())
	if err != nil {
		return err
	}
	defer res.Body.Close() //nolint:errcheck // it was only read
	if _, err := io.Copy(out, res.Body); err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	return nil
}

// Raw returns what is answered at a path, as it is.
func (r *Results) Raw(ctx context.Context, path string) (json.RawMessage, error) {
	var text json.RawMessage
	return text, r.get(ctx, path, &text)
}

// BoardPath is where a contest's board is.
func BoardPath(contest string) string { return contestPath(contest, "board") }

func contestPath(contest, what string) string {
	return strings.TrimSuffix("/v1/contests/"+url.PathEscape(contest)+"/"+what, "/")
}

func (r *Results) get(ctx context.Context, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	res, err := r.ask(ctx, path)
	if err != nil {
		return err
	}
	defer res.Body.Close() //nolint:errcheck // it was only read
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(into); err != nil {
		return fmt.Errorf("read answer of %s: %w", path, err)
	}
	return nil
}

// ask returns an answer of 200; any other is an error that says why.
func (r *Results) ask(ctx context.Context, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.base+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept-Language", r.language)
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	res, err := r.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask results: %w", err)
	}
	if res.StatusCode == http.StatusOK {
		return res, nil
	}
	defer res.Body.Close() //nolint:errcheck // it was only read
	var problem struct{ Code, Detail string }
	_ = json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(&problem) // the status tells enough
	return nil, fmt.Errorf("results: status %d %s %s", res.StatusCode, problem.Code, problem.Detail)
}
