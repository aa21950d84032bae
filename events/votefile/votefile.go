// Package votefile reads the ballots of a vote file: a JSON array, JSON lines
// (NDJSON) or CSV with a header line.
//
// Ballots come out as their sender wrote them: what a ballot holds is for
// events.Reading to judge, and this package says only what cannot be read at
// all. A file is read row by row; one bad row does not spoil the others.
//
// Fields are known by their names in the table of the vote, whatever their
// case, and by these others: artist and band for name, ranked for rank, castAt
// for cast_at. A field that is there twice, also by another of its names, makes
// a bad row. A field that is null or empty is not there.
package votefile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"iter"
	"strconv"
	"strings"

	"marimba/events"
)

// Format is the form of a vote file.
type Format string

// The formats.
const (
	JSON   Format = "json"   // an array of objects, or one object
	NDJSON Format = "ndjson" // an object on each line
	CSV    Format = "csv"    // a line of names, then a vote on each
)

// FormatOfType returns the format of a media type, and whether it is one of
// ours. Parameters of the type do not count.
func FormatOfType(mediaType string) (Format, bool) {
	mediaType, _, _ = strings.Cut(mediaType, ";")
	switch strings.ToLower(strings.TrimSpace(mediaType)) {
	case "application/json":
		return JSON, true
	case "application/x-ndjson", "application/ndjson", "application/jsonl":
		return NDJSON, true
	case "text/csv":
		return CSV, true
	}
	return "", false
}

// FormatOfName returns the format of a file by the end of its name, and whether
// it is one of ours.
func FormatOfName(name string) (Format, bool) {
	name = strings.ToLower(name)
	for end, f := range map[string]Format{".json": JSON, ".ndjson": NDJSON, ".jsonl": NDJSON, ".csv": CSV} {
		if strings.HasSuffix(name, end) {
			return f, true
		}
	}
	return "", false
}

// Row is one row of a file.
type Row struct {
	Number int // from 1; a CSV file's header and empty lines do not count
	Ballot events.Ballot
	No     *events.Refusal // set if the row cannot be read; then it has no ballot
}

// Options say how a file is read.
type Options struct {
	// Strict refuses what the sender may have meant otherwise: fields that are not
	// known, and numbers where a text belongs. Without it the former are passed
	// over, and the latter are taken as they are written.
	Strict bool
	// MaxRows bounds the rows of a file; 0 does not. A file that has more is
	// refused before its first row is given.
	MaxRows int
}

// Rows gives the rows of a file in their order. An error is a *events.Refusal
// of the file as a whole, comes last, and has the number of the row that could
// not be given; the rows before it are good. It comes for a file without rows,
// with too many, that is not UTF-8, whose header is not one, or whose JSON array
// is broken: what is behind the fault of an array cannot be told apart. The
// parameter "reason" says the place.
func Rows(data []byte, f Format, o Options) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		data, no := text(data)
		if no == nil && o.MaxRows > 0 && hasMore(data, f, o.MaxRows) {
			no = events.Refuse(events.TooManyRows, "", "max", strconv.Itoa(o.MaxRows))
		}
		if no != nil {
			yield(Row{Number: 1}, no)
			return
		}
		r := rows{data: data, strict: o.Strict, yield: yield}
		no = r.read(f)
		if no == nil && r.n == 0 {
			no = events.Refuse(events.BodyEmpty, "")
		}
		if no != nil {
			yield(Row{Number: r.n + 1}, no)
		}
	}
}

// hasMore reports whether a file has more than most rows. Only one that may is
// read for it.
func hasMore(data []byte, f Format, most int) bool {
	between := []byte{'\n'}
	if f == JSON {
		between = []byte{','}
	}
	if bytes.Count(data, between) < most {
		return false
	}
	r := rows{data: data}
	r.yield = func(Row, error) bool { return r.n <= most }
	r.read(f)
	return r.n > most
}

// rows hands rows to whoever reads a file.
type rows struct {
	data   []byte
	strict bool
	yield  func(Row, error) bool
	n      int // rows given
}

// read gives the rows until there are no more, nobody wants more, or the file
// cannot be read on.
func (r *rows) read(f Format) *events.Refusal {
	switch f {
	case JSON:
		return r.json()
	case NDJSON:
		return r.lines()
	case CSV:
		return r.csv()
	}
	panic("votefile: unknown format " + string(f)) // a programmer's fault
}

// give gives the next row and reports whether another is wanted.
func (r *rows) give(b events.Ballot, no *events.Refusal) bool {
	r.n++
	if no != nil {
		b = events.Ballot{}
	}
	return r.yield(Row{Number: r.n, Ballot: b, No: no}, nil)
}

// text returns a file without its byte order mark. UTF-16 says what it is by
// its mark, and is not taken.
func text(data []byte) ([]byte, *events.Refusal) {
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return nil, events.Refuse(events.BodyNotUTF8, "")
	}
	return bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), nil
}

// Digest names a file by what it holds, in 40 characters.
func Digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:20])
}

// RowID is the id of a row that has none: the same file gives the same ids, so
// that sending it again counts nothing twice.
func RowID(digest string, row int) string { return digest + "-" + strconv.Itoa(row) }

// malformed is a row that cannot be told apart into fields.
func malformed(reason string) *events.Refusal {
	return events.Refuse(events.RowMalformed, "", "reason", reason)
}
