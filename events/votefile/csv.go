package votefile

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"strings"

	"marimba/events"
)

// maxRecord bounds a record in bytes. A vote is never that long; what is comes
// of quotes that are not closed, and spoils its own line only.
const maxRecord = 16 << 10

var errLong = fmt.Errorf("more than %d bytes", maxRecord)

// csv gives the rows of a CSV file.
func (r *rows) csv() *events.Refusal {
	var h *header
	for rest, number := r.data, 1; len(rest) > 0; {
		text, size := firstLine(rest)
		ends := 1
		switch {
		case len(bytes.TrimSpace(text)) == 0:
		case h == nil:
			var no *events.Refusal
			if h, no = readHeader(text, r.strict); no != nil {
				return no
			}
		default:
			var b events.Ballot
			var no *events.Refusal
			b, no, size, ends = h.next(rest, number)
			if !r.give(b, no) {
				return nil
			}
		}
		rest, number = rest[size:], number+ends
	}
	return nil
}

// firstLine returns the first line of a text and its size with its end.
func firstLine(text []byte) (line []byte, size int) {
	if end := bytes.IndexByte(text, '\n'); end >= 0 {
		return text[:end], end + 1
	}
	return text, len(text)
}

// header says what the columns of a file hold.
type header struct {
	columns []field
	comma   byte
	in      *bufio.Reader
}

// readHeader reads the line of names. What is missing of it would be missing in
// every row, so it is told once. The separator is the one that there is more
// of.
func readHeader(text []byte, strict bool) (*header, *events.Refusal) {
	h := &header{comma: ',', in: bufio.NewReader(nil)}
	if bytes.Count(text, []byte{';'}) > bytes.Count(text, []byte{','}) {
		h.comma = ';'
	}
	names, err := h.split(text)
	if err != nil {
		return nil, events.Refuse(events.BodyMalformed, "", "reason", "the line of names: "+err.Error())
	}
	var seen [fields]bool
	for _, name := range names {
		name = strings.TrimSpace(name)
		f := fieldOf([]byte(name))
		switch {
		case f == unknown && strict:
			return nil, unknownField([]byte(name))
		case f == unknown:
		case seen[f]:
			return nil, events.Refuse(events.FieldRepeated, f.String())
		default:
			seen[f] = true
		}
		h.columns = append(h.columns, f)
	}
	for _, f := range []field{fieldName, fieldYear, fieldRank} {
		if !seen[f] {
			return nil, events.Refuse(events.FieldMissing, f.String())
		}
	}
	return h, nil
}

// next reads the record that rest begins with, in line number, and returns its
// size and how many lines it has. Where the quotes of a line are not even, the
// record may go on over its end; if that gives no row, the line is a bad one
// and the next line begins another.
func (h *header) next(rest []byte, number int) (b events.Ballot, no *events.Refusal, size, ends int) {
	text, size := firstLine(rest)
	open := bytes.Count(text, []byte{'"'})%2 != 0
	b, no = h.row(text, number)
	for whole, n := size, 1; open && whole < min(len(rest), maxRecord); n++ {
		more, s := firstLine(rest[whole:])
		open = bytes.Count(more, []byte{'"'})%2 == 0
		whole += s
		if open {
			continue
		}
		if long, bad := h.row(rest[:whole], number); bad == nil {
			return long, nil, whole, n + 1
		}
	}
	return b, no, size, 1
}

// row reads a record, which is in line number.
func (h *header) row(record []byte, number int) (b events.Ballot, no *events.Refusal) {
	values, err := h.split(record)
	if err != nil {
		return b, malformed(fmt.Sprintf("line %d: %v", number, err))
	}
	if len(values) != len(h.columns) {
		return b, malformed(fmt.Sprintf("line %d: %d values where the line of names has %d", number, len(values), len(h.columns)))
	}
	for i, f := range h.columns {
		switch f {
		case fieldName:
			b.Name = values[i]
		case fieldAlbum:
			b.Album = values[i]
		case fieldYear:
			b.Year = values[i]
		case fieldRank:
			b.Rank = values[i]
		case fieldID:
			b.ID = values[i]
		case fieldContest:
			b.Contest = values[i]
		case fieldVoter:
			b.Voter = values[i]
		case fieldCastAt:
			b.CastAt = values[i]
		}
	}
	return b, nil
}

// split returns the values of a record. One without quotes, as most are, is
// what is between its separators.
func (h *header) split(text []byte) ([]string, error) {
	if len(text) > maxRecord {
		return nil, errLong
	}
	if bytes.IndexByte(text, '"') < 0 {
		return strings.Split(string(bytes.TrimSuffix(text, []byte("\r"))), string(h.comma)), nil
	}
	h.in.Reset(bytes.NewReader(text))
	in := csv.NewReader(h.in)
	in.Comma = rune(h.comma)
	in.FieldsPerRecord = -1
	values, err := in.Read()
	var fault *csv.ParseError
	if errors.As(err, &fault) {
		return nil, fault.Err
	}
	return values, err
}
