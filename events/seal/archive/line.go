package archive

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"

	"marimba/events"
	"marimba/events/seal"
)

// Mark is what an organiser says of a sealed vote. It is not in the commitment: the
// log shows that a vote was counted, never that it was taken back.
type Mark string

// The marks. A replaced vote is one that a later vote of the same voter took the
// place of; an annulled one is on the board no more by a ruling.
const (
	Counted  Mark = "counted"
	Replaced Mark = "replaced"
	Annulled Mark = "annulled"
)

var marks = []Mark{Counted, Replaced, Annulled}

// Line is what an archive tells of one leaf.
type Line struct {
	Salt    seal.Salt
	Opening seal.Opening
	Mark    Mark
}

// append writes a line: salt, channel, name, album, year, rank in hundredths and
// mark, with tabs between. The contest is that of the archive.
func (l *Line) append(out []byte) ([]byte, error) {
	begins := len(out)
	out = append(out, l.Salt.String()...)
	for _, text := range [...]string{string(l.Opening.Channel), l.Opening.Name, l.Opening.Album} {
		if !plain(text) {
			return nil, fmt.Errorf("%.60q cannot stand in a line", text)
		}
		out = append(append(out, '\t'), text...)
	}
	out = strconv.AppendInt(append(out, '\t'), int64(l.Opening.Year), 10)
	out = strconv.AppendInt(append(out, '\t'), int64(l.Opening.Rank), 10)
	out = append(append(append(out, '\t'), l.Mark...), '\n')
	if len(out)-begins > MaxLine {
		return nil, fmt.Errorf("a line of more than %d bytes", MaxLine)
	}
	return out, nil
}

// plain reports whether a text is one that no line can be broken with.
func plain(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' {
			return false
		}
	}
	return utf8.ValidString(text)
}

var errLine = errors.New("not of salt, channel, name, album, year, rank and state")

// parseLine reads what append wrote, without its line break, and nothing that is
// written otherwise.
func parseLine(text []byte, contest string, known *texts) (Line, error) {
	var fields [7][]byte
	rest := text
	for i := range fields {
		field, after, more := bytes.Cut(rest, []byte("\t"))
		if more != (i < len(fields)-1) {
			return Line{}, errLine
		}
		fields[i], rest = field, after
	}
	l := Line{Opening: seal.Opening{
		Contest: contest, Channel: events.Channel(known.of(fields[1])), Name: known.of(fields[2]), Album: known.of(fields[3]),
	}}
	var ok bool
	if l.Salt, ok = seal.ParseSalt(string(fields[0])); !ok {
		return Line{}, fmt.Errorf("%.40q is no salt", fields[0])
	}
	for _, field := range fields[1:4] {
		if !plain(string(field)) {
			return Line{}, errLine
		}
	}
	if l.Opening.Year, ok = number(fields[4], events.MaxYear); !ok {
		return Line{}, fmt.Errorf("%.40q is no year", fields[4])
	}
	if l.Opening.Rank, ok = number(fields[5], events.MaxRank); !ok {
		return Line{}, fmt.Errorf("%.40q is no rank in hundredths", fields[5])
	}
	at := slices.Index(marks, Mark(fields[6]))
	if at < 0 {
		return Line{}, fmt.Errorf("%.40q is no state", fields[6])
	}
	l.Mark = marks[at]
	return l, nil
}

// number reads a decimal number as it is written in one way only.
func number(text []byte, most int32) (int32, bool) {
	if len(text) == 0 || len(text) > 10 || text[0] == '0' && len(text) > 1 {
		return 0, false
	}
	n := int64(0)
	for _, digit := range text {
		if digit < '0' || digit > '9' {
			return 0, false
		}
		n = n*10 + int64(digit-'0')
	}
	return int32(min(n, int64(most)+1)), n <= int64(most)
}

// texts keeps each text once: a contest has few bands and many votes. What it
// keeps is bounded, and what is beyond it is kept by nobody.
type texts struct {
	known map[string]string
	bytes int
}

const maxKnown = 8 << 20 // bytes

func (t *texts) of(text []byte) string {
	if known, ok := t.known[string(text)]; ok {
		return known
	}
	own := string(text)
	if t.bytes += len(own) + 64; t.bytes <= maxKnown {
		t.known[own] = own
	}
	return own
}
