package main

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"strconv"

	"marimba/events"
	"marimba/events/seal"
	"marimba/events/votefile"
	"marimba/functions/internal/problem"
	"marimba/functions/internal/publish"
	"marimba/functions/internal/telemetry"
)

// Bounds of many votes in one request. They are cast in slices, so that only a
// slice of them is in memory as votes.
const (
	maxRows   = 10_000
	maxListed = 1_000 // refused rows that an answer lists
	slice     = 2_000
)

var maxIDText = strconv.Itoa(events.MaxID)

// report says what became of many ballots.
type report struct {
	Contest     string       `json:"contest,omitempty"`
	Status      string       `json:"status"` // "accepted"; "partial" if some were not
	Accepted    int          `json:"accepted"`
	Refused     int          `json:"refused"`
	Warnings    int          `json:"warnings"` // ballots that were read with a grain of salt
	Rows        []rowFault   `json:"rows,omitempty"`
	RowsOmitted int          `json:"rows_omitted,omitempty"`
	Fault       *rowFault    `json:"fault,omitempty"` // what ended the file early
	Receipts    []rowReceipt `json:"receipts,omitempty"`

	secrets *seal.Secrets // nil: receipts are not wanted
	no      *events.Refusal
}

// rowFault says why a row was refused.
type rowFault struct {
	Row    int         `json:"row"`
	Code   events.Code `json:"code"`
	Field  string      `json:"field,omitempty"`
	Detail string      `json:"detail"`

	no *events.Refusal
}

// rowReceipt is a row's receipt.
type rowReceipt struct {
	Row     int    `json:"row"`
	ID      string `json:"id"`
	Receipt string `json:"receipt"`
	keepsake
}

// castMany takes the ballots of a file and answers with a report. Some may be
// accepted and others not; if none is, that is a problem.
func (h *ingress) castMany(w http.ResponseWriter, req *http.Request, in *hand, rows iter.Seq2[votefile.Row, error]) error {
	var r report
	if req.URL.RawQuery != "" {
		wanted, no := parameter(req, "receipts")
		if no == nil && wanted != "" && wanted != "0" && wanted != "1" {
			no = events.Refuse(events.ParameterMalformed, "receipts", "parameter", "receipts", "expected", "0, 1")
		}
		if no != nil {
			return no
		}
		if wanted == "1" {
			r.secrets = h.secrets
		}
	}
	r.Contest = in.contest
	ctx, cancel := context.WithTimeout(req.Context(), h.limit)
	defer cancel()
	err := r.cast(ctx, in, rows)
	if err == nil && r.Accepted > 0 {
		if in.bare {
			w.WriteHeader(http.StatusAccepted)
			return nil
		}
		r.word(req)
		return accept(w, r)
	}
	return r.fault(req, err)
}

// fault is the fault of a report that does not end well.
func (r *report) fault(req *http.Request, err error) error {
	if err == nil && r.Refused == 0 {
		return &fault{no: r.no, told: true}
	}
	r.word(req)
	f := &fault{err: err, told: err == nil, members: map[string]any{"accepted": r.Accepted, "refused": r.Refused, "warnings": r.Warnings}}
	if err == nil {
		f.no = events.Refuse(events.NoneAccepted, "", "refused", strconv.Itoa(r.Refused))
	}
	if r.Contest != "" {
		f.members["contest"] = r.Contest
	}
	if r.Rows != nil {
		f.members["rows"] = r.Rows
	}
	if r.RowsOmitted > 0 {
		f.members["rows_omitted"] = r.RowsOmitted
	}
	if r.Fault != nil {
		f.members["fault"] = r.Fault
	}
	return f
}

// word sets the texts of a report, in the language that the request asks for.
func (r *report) word(req *http.Request) {
	r.Status = "accepted"
	if r.Refused > 0 || r.no != nil {
		r.Status = "partial"
	}
	if r.Refused == 0 && r.no == nil {
		return
	}
	speaker := problem.In(req.Header.Get("Accept-Language"))
	set := func(f *rowFault) { f.Code, f.Field, f.Detail = f.no.Code, f.no.Field, speaker.Text(f.no) }
	for i := range r.Rows {
		set(&r.Rows[i])
	}
	if r.Fault != nil {
		set(r.Fault)
	}
}

// cast takes the rows, slice by slice. After an error no more are taken.
func (r *report) cast(ctx context.Context, in *hand, rows iter.Seq2[votefile.Row, error]) error {
	reading := &events.Reading{Ordinals: true}
	defer func() { r.Warnings = reading.Warnings }()
	var part []votefile.Row
	for row, err := range rows {
		if err != nil {
			if !errors.As(err, &r.no) {
				return err
			}
			r.Fault = &rowFault{Row: row.Number, no: r.no}
			telemetry.Refused(r.Contest, r.no.Code)
			break
		}
		if row.No == nil {
			id := ""
			if in.file != "" {
				id = votefile.RowID(in.file, row.Number)
			}
			row.No = in.name(&row.Ballot, id)
		}
		if part = append(part, row); len(part) == slice {
			if err := r.take(ctx, in.taker, reading, part); err != nil {
				return err
			}
			part = part[:0]
		}
	}
	return r.take(ctx, in.taker, reading, part)
}

// take takes a slice of rows, and notes what became of each.
func (r *report) take(ctx context.Context, t taker, reading *events.Reading, part []votefile.Row) error {
	ballots := make([]events.Ballot, 0, len(part))
	for _, row := range part {
		if row.No == nil {
			ballots = append(ballots, row.Ballot)
		}
	}
	var out []outcome
	var failed error
	if len(ballots) > 0 {
		out, failed = t.take(ctx, reading, ballots)
	}
	next := 0
	for _, row := range part {
		o := outcome{no: row.No}
		if row.No == nil {
			o = out[next]
			next++
		}
		switch {
		case o.no != nil:
			r.refuse(row.Number, o.no)
			if !o.elsewhere {
				telemetry.Refused(contestOf(row.Ballot), o.no.Code)
			}
		case o.taken():
			r.Accepted++
			if r.secrets != nil {
				r.Receipts = append(r.Receipts, rowReceipt{row.Number, o.ID, o.Receipt.Receipt, o.keepsakeOf(r.secrets)})
			}
		case failed == nil:
			failed = publish.ErrUnavailable
		}
	}
	return failed
}

func (r *report) refuse(row int, no *events.Refusal) {
	r.Refused++
	if len(r.Rows) == maxListed {
		r.RowsOmitted++
		return
	}
	r.Rows = append(r.Rows, rowFault{Row: row, no: no})
}
