package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"marimba/events"
	"marimba/functions/internal/counts"
	"marimba/functions/internal/journal"
)

// newest is the newest votes, as Redis keeps them for the page that everybody
// looks at.
type newest interface {
	Newest(ctx context.Context, n int, contests ...events.Contest) ([]counts.Recent, error)
}

// searched is the log.
type searched interface {
	Page(ctx context.Context, f journal.Filter, after string, limit int) (rows []journal.Row, next string, err error)
	Rows(ctx context.Context, f journal.Filter) iter.Seq2[journal.Row, error]
	Vote(ctx context.Context, boxID string, index int) (journal.Row, bool, error)
}

// Bounds of a page and of an export, of which a reader must take each part
// within stallTimeout.
const (
	pageRows      = 20
	exportTimeout = 9 * time.Minute
	stallTimeout  = 30 * time.Second
	flushRows     = 500
)

// logPage is a page of the log, newest first.
type logPage struct {
	Rows []row `json:"rows"`
	// Next is the value of after for the page that follows; null if none does,
	// and on the page of the newest votes, which is not one of the log's.
	Next *string `json:"next"`
}

// searchLogs answers GET /logs. The newest votes come from Redis, all else from
// MongoDB. Rows are public but for id and voter's key; an export of all that a
// filter chooses needs the token.
func (r *results) searchLogs(w http.ResponseWriter, req *http.Request) error {
	full, err := r.access.given(req)
	if err != nil {
		return err
	}
	q := parameters(req)
	filter := r.filter(q)
	limit := q.number("limit", pageRows, 1, journal.MaxPage)
	format := oneOf(q, "format", "json", "ndjson", "csv")
	after := q.text("after")
	if err := q.refusal(); err != nil {
		return err
	}
	if filter.Contest != "" {
		if _, err := r.contest(filter.Contest); err != nil {
			return err
		}
	}
	if !full {
		filter.From, filter.To = minutes(filter.From, filter.To)
		if err := r.mayFilter(req.Context(), &filter); err != nil {
			return err
		}
	}
	r.standing(req.Context(), &filter)
	if format != "json" && !q.has("limit") {
		if !full {
			return events.Refuse(events.TokenRequired, "")
		}
		return r.export(w, req, filter, format)
	}
	ctx, cancel := context.WithTimeout(req.Context(), answerTimeout)
	defer cancel()
	page, err := r.logPage(ctx, filter, after, q.has("after"), limit, full)
	if err != nil {
		return err
	}
	if format == "json" {
		return write(w, req, keptBy(full), "", page)
	}
	w.Header().Set("Cache-Control", keptBy(full))
	return r.writeRows(ctx, w, format, full, func(yield func(row, error) bool) {
		for _, row := range page.Rows {
			if !yield(row, nil) {
				return
			}
		}
	})
}

func (r *results) filter(q *query) journal.Filter {
	band, no := events.CleanText("band", q.text("band"), events.MaxName)
	if no != nil {
		q.refuse("band", "1–"+strconv.Itoa(events.MaxName))
	}
	f := journal.Filter{
		Contest: q.text("contest"),
		Band:    band,
		Channel: oneOf(q, "channel", append([]events.Channel{""}, events.Channels...)...),
		State:   oneOf(q, "state", "", events.Counted, events.Duplicate, events.OverLimit, events.Refused, events.Annulled),
		From:    q.time("from"),
		To:      q.time("to"),
	}
	if !f.From.IsZero() && !f.To.IsZero() && !f.From.Before(f.To) {
		q.refuse("from", "< to")
	}
	return f
}

// minutes widens a span to whole minutes.
func minutes(from, to time.Time) (time.Time, time.Time) {
	from = from.Truncate(publicStep)
	if whole := to.Truncate(publicStep); !whole.Equal(to) {
		to = whole.Add(publicStep)
	}
	return from, to
}

// logPage returns a page. Without a filter and a place to go on from, it is of
// Redis: it is the one that is polled.
func (r *results) logPage(ctx context.Context, f journal.Filter, after string, inLog bool, limit int, full bool) (logPage, error) {
	if !inLog && !full && limit <= counts.MaxNewest && f.All() {
		return r.newestPage(ctx, f.Contest, limit)
	}
	done, err := r.search(ctx)
	if err != nil {
		return logPage{}, err
	}
	defer done()
	var found []journal.Row
	var next string
	if after, err = r.cursors.open(after); err == nil {
		found, next, err = r.journal.Page(ctx, f, after, limit)
	}
	if errors.Is(err, journal.ErrCursor) {
		return logPage{}, events.Refuse(events.ParameterMalformed, "after", "parameter", "after", "expected", "next")
	}
	if err != nil {
		return logPage{}, err
	}
	page := logPage{Rows: make([]row, len(found))}
	for i, from := range found {
		page.Rows[i] = r.shown(ctx, from, full)
	}
	if next = r.cursors.hide(next); next != "" {
		page.Next = &next
	}
	return page, nil
}

func (r *results) newestPage(ctx context.Context, contest string, limit int) (logPage, error) {
	var of []events.Contest
	for _, id := range r.contests.IDs() {
		if c, ok := r.contests.Contest(id); ok && (contest == "" || contest == id) {
			of = append(of, c)
		}
	}
	recent, err := r.counts.Newest(ctx, limit, of...)
	if err != nil {
		return logPage{}, err
	}
	page := logPage{Rows: make([]row, len(recent))}
	for i, v := range recent {
		page.Rows[i] = r.shown(ctx, journal.Row{
			Receipt: v.Receipt, Contest: v.Contest, Channel: v.Channel, Vote: v.Vote, State: v.State,
		}, false)
	}
	return page, nil
}

// export writes all rows of a filter, however many, a few boxes at a time.
func (r *results) export(w http.ResponseWriter, req *http.Request, f journal.Filter, format string) error {
	done, err := r.take(req.Context(), r.exports)
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithTimeout(req.Context(), exportTimeout)
	defer cancel()
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{}) // the server's bounds the request, not the reading of the answer
	w.Header().Set("Cache-Control", forNobody)
	w.Header().Set("Content-Disposition", `attachment; filename="votes.`+format+`"`)
	return r.writeRows(ctx, w, format, true, func(yield func(row, error) bool) {
		for from, err := range r.journal.Rows(ctx, f) {
			if !yield(r.shown(ctx, from, true), err) {
				return
			}
		}
	})
}

// writeRows writes rows as NDJSON or CSV. An error before the first row is
// returned; a later one breaks the answer off, so that nobody takes a part for
// the whole.
func (r *results) writeRows(ctx context.Context, w http.ResponseWriter, format string, full bool, rows iter.Seq2[row, error]) error {
	control := http.NewResponseController(w)
	writer := newRowWriter(w, format, full)
	n := 0
	for row, err := range rows {
		if err != nil && n == 0 {
			w.Header().Del("Content-Disposition")
			return err
		}
		if err != nil {
			slog.WarnContext(ctx, "export broken off", "rows", n, "error", err)
			panic(http.ErrAbortHandler)
		}
		if n%flushRows == 0 {
			_ = control.SetWriteDeadline(time.Now().Add(stallTimeout))
		}
		if n == 0 {
			writer.head(w.Header())
		}
		if writer.write(row) != nil {
			return nil // its reader went away
		}
		n++
	}
	if n == 0 {
		writer.head(w.Header())
	}
	_ = writer.flush() // its reader may have gone away
	return nil
}

type rowWriter interface {
	head(h http.Header)
	write(row) error
	flush() error
}

func newRowWriter(w io.Writer, format string, full bool) rowWriter {
	if format == "csv" {
		return &csvRows{csv.NewWriter(w), full}
	}
	return ndjsonRows{json.NewEncoder(w)}
}

type ndjsonRows struct{ *json.Encoder }

func (n ndjsonRows) head(h http.Header) { h.Set("Content-Type", "application/x-ndjson; charset=utf-8") }
func (n ndjsonRows) write(r row) error  { return n.Encode(r) }
func (n ndjsonRows) flush() error       { return nil }

type csvRows struct {
	*csv.Writer
	full bool
}

func (c *csvRows) head(h http.Header) {
	h.Set("Content-Type", "text/csv; charset=utf-8; header=present")
	columns := []string{"contest", "channel", "at", "name", "album", "year", "rank", "state", "reason", "field"}
	if c.full {
		columns = append(append([]string{"receipt"}, columns...), "id", "voter_key")
	}
	_ = c.Write(columns) // its error stays and is that of the next row
}

func (c *csvRows) write(r row) error {
	rank, err := r.Rank.MarshalJSON()
	if err != nil {
		return err
	}
	cells := []string{
		r.Contest, string(r.Channel), r.At.Format(time.RFC3339Nano), plain(r.Name), plain(r.Album),
		strconv.Itoa(int(r.Year)), string(rank), string(r.State), string(r.Reason), r.Field,
	}
	if c.full {
		cells = append(append([]string{r.Receipt}, cells...), r.ID, r.VoterKey)
	}
	return c.Write(cells)
}

func (c *csvRows) flush() error {
	c.Flush()
	return c.Error()
}

// plain keeps a spreadsheet from taking a name for a formula: one that begins
// like a formula gets an apostrophe in front.
func plain(text string) string {
	if text != "" && strings.ContainsRune("=+-@", rune(text[0])) {
		return "'" + text
	}
	return text
}
