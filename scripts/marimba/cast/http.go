package cast

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"marimba/events"
)

// Bounds of an answer, and of the connections that wait for the next request.
const (
	maxAnswer = 4 << 20
	maxIdle   = 512
)

// HTTP opens the HTTP door at a base URL. Votes go there as NDJSON, many in one
// request; with event, as CloudEvents in binary mode, one in each, as
// `kn event send` makes them.
func HTTP(base, language string, event bool) (Door, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("address of the HTTP door: %q is not http://host:port", base)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 0, maxIdle
	d := httpDoor{strings.TrimSuffix(base, "/"), language, &http.Client{Transport: transport}}
	if event {
		return eventDoor{d}, nil
	}
	return d, nil
}

type httpDoor struct {
	base, language string
	client         *http.Client
}

func (d httpDoor) Close() error {
	d.client.CloseIdleConnections()
	return nil
}

// line is a vote as the HTTP door reads it.
type line struct {
	Name   string `json:"name"`
	Album  string `json:"album,omitempty"`
	Year   string `json:"year"`
	Rank   string `json:"rank"`
	ID     string `json:"id,omitempty"`
	Voter  string `json:"voter,omitempty"`
	CastAt string `json:"cast_at,omitempty"`
}

func lineOf(b events.Ballot) line {
	return line{b.Name, b.Album, b.Year, b.Rank, b.ID, b.Voter, b.CastAt}
}

// bulkAnswer is the report of a bulk, and a problem.
type bulkAnswer struct {
	Code   events.Code `json:"code"`
	Field  string      `json:"field"`
	Detail string      `json:"detail"`
	Rows   []struct {
		Row    int         `json:"row"`
		Code   events.Code `json:"code"`
		Field  string      `json:"field"`
		Detail string      `json:"detail"`
	} `json:"rows"`
}

func (d httpDoor) Cast(ctx context.Context, contest string, rows []Row) ([]Outcome, error) {
	var body bytes.Buffer
	lines := json.NewEncoder(&body)
	lines.SetEscapeHTML(false)
	for _, row := range rows {
		if err := lines.Encode(lineOf(row.Ballot)); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFinal, err)
		}
	}
	path := "/v1/contests/" + url.PathEscape(contest) + "/votes"
	status, answer, err := d.post(ctx, path, http.Header{"Content-Type": {"application/x-ndjson"}}, &body)
	if err != nil {
		return nil, err
	}
	if status != http.StatusAccepted && len(answer.Rows) == 0 {
		return nil, fmt.Errorf("%w: %s: %s", ErrFinal, answer.Code, answer.Detail)
	}
	outcomes := make([]Outcome, len(rows))
	for _, no := range answer.Rows {
		if no.Row < 1 || no.Row > len(rows) {
			return nil, fmt.Errorf("%w: an answer for row %d, which was not sent", ErrFinal, no.Row)
		}
		outcomes[no.Row-1] = Outcome{no.Code, no.Field, no.Detail}
	}
	return outcomes, nil
}

// post sends a request. The error is of what may be sent again; whatever else
// was answered is in the answer.
func (d httpDoor) post(ctx context.Context, path string, header http.Header, body io.Reader) (int, bulkAnswer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.base+path, body)
	if err != nil {
		return 0, bulkAnswer{}, fmt.Errorf("%w: %w", ErrFinal, err)
	}
	req.Header = header
	req.Header.Set("Accept-Language", d.language)
	res, err := d.client.Do(req)
	if err != nil {
		return 0, bulkAnswer{}, fmt.Errorf("cast by HTTP: %w", err)
	}
	defer res.Body.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return 0, bulkAnswer{}, fmt.Errorf("cast by HTTP: %w", err)
	}
	var answer bulkAnswer
	_ = json.Unmarshal(text, &answer) // an answer of somebody else's is told by its status
	if res.StatusCode >= 500 || res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusRequestTimeout {
		err := fmt.Errorf("cast by HTTP: status %d %s %s", res.StatusCode, answer.Code, answer.Detail)
		if seconds, wait := strconv.Atoi(res.Header.Get("Retry-After")); wait == nil && seconds > 0 {
			return 0, bulkAnswer{}, fmt.Errorf("%w: %w", err, backoff.RetryAfter(seconds))
		}
		return 0, bulkAnswer{}, err
	}
	if answer.Code == "" && res.StatusCode >= 300 {
		return 0, bulkAnswer{}, fmt.Errorf("%w: status %d", ErrFinal, res.StatusCode)
	}
	return res.StatusCode, answer, nil
}

// eventDoor sends each vote as a CloudEvent.
type eventDoor struct{ httpDoor }

func (d eventDoor) Cast(ctx context.Context, contest string, rows []Row) ([]Outcome, error) {
	outcomes := make([]Outcome, len(rows))
	for i, row := range rows {
		body, err := json.Marshal(lineOf(row.Ballot))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFinal, err)
		}
		header := http.Header{
			"Content-Type":   {"application/json"},
			"Ce-Specversion": {"1.0"},
			"Ce-Id":          {row.Ballot.ID},
			"Ce-Source":      {"/marimba/send"},
			"Ce-Type":        {"gt.marimba.vote"},
			"Ce-Subject":     {contest},
			"Ce-Time":        {time.Now().UTC().Format(time.RFC3339Nano)},
		}
		status, answer, err := d.post(ctx, "/", header, bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		if status >= 300 {
			outcomes[i] = Outcome{answer.Code, answer.Field, answer.Detail}
		}
	}
	return outcomes, nil
}
