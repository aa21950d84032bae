package votefile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"marimba/events"
)

// lenient makes the decoder pass over what would end it, broken UTF-8 and
// repeated names: it is seen here, where it spoils one row only. Nesting is
// bounded by the decoder, at 10,000, and takes no stack.
var lenient = []jsontext.Options{jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)}

// reader reads votes from JSON.
type reader struct {
	jsontext.Decoder
	buf   bytes.Buffer
	sheet sheet
	key   []byte // room for a key with escapes
}

// readers keeps what a reader has of memory for the next.
var readers = sync.Pool{New: func() any { return new(reader) }}

// maxKept bounds what a reader at rest keeps.
const maxKept = 8 << 10

func open(data []byte) *reader {
	r := readers.Get().(*reader)
	r.use(data)
	return r
}

// use makes the reader read data next.
func (r *reader) use(data []byte) {
	r.buf = *bytes.NewBuffer(data)
	r.Reset(&r.buf, lenient...)
}

func (r *reader) close() {
	if cap(r.sheet.text) > maxKept || cap(r.key) > maxKept {
		return
	}
	r.buf = bytes.Buffer{} // let go of the data
	r.Reset(&r.buf)
	readers.Put(r)
}

// One reads one vote: a JSON object and nothing else.
func One(data []byte, strict bool) (events.Ballot, *events.Refusal) {
	data, no := text(data)
	if no != nil {
		return events.Ballot{}, no
	}
	r := open(data)
	defer r.close()
	b, no, err := r.whole(strict)
	if errors.Is(err, io.EOF) {
		return events.Ballot{}, events.Refuse(events.BodyEmpty, "")
	}
	if err != nil {
		return events.Ballot{}, events.Refuse(events.BodyMalformed, "", "reason", place(data, 0, err))
	}
	if no != nil && no.Code == events.RowMalformed { // the row is all there is
		no.Code = events.BodyMalformed
	}
	return b, no
}

var (
	errNoObject = errors.New("not a JSON object")
	errNoArray  = errors.New("neither a JSON array nor an object")
	errMore     = errors.New("something is behind the JSON value")
)

// whole reads an object and the end of the data.
func (r *reader) whole(strict bool) (events.Ballot, *events.Refusal, error) {
	b, no, err := r.vote(strict)
	if err != nil {
		return b, no, err
	}
	return b, no, r.end()
}

// end is nil if there is nothing left.
func (r *reader) end() error {
	_, err := r.ReadToken()
	if err == nil {
		return errMore
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// vote reads an object. A refusal is about the vote, and the reader stands
// behind it; after an error, which is about JSON's grammar, it stands nowhere.
func (r *reader) vote(strict bool) (b events.Ballot, no *events.Refusal, err error) {
	switch kind := r.PeekKind(); kind {
	case '{':
	case jsontext.KindInvalid:
		_, err := r.ReadToken()
		return b, nil, err
	default:
		if err := r.SkipValue(); err != nil {
			return b, nil, err
		}
		return b, malformed(errNoObject.Error()), nil
	}
	if _, err := r.ReadToken(); err != nil {
		return b, nil, err
	}
	r.sheet.clear()
	for r.PeekKind() != '}' {
		key, err := r.ReadValue()
		if err != nil {
			return b, nil, err
		}
		fault, err := r.member(key, strict)
		if err != nil {
			return b, nil, err
		}
		if no == nil {
			no = fault
		}
	}
	if _, err := r.ReadToken(); err != nil {
		return b, nil, err
	}
	if no != nil {
		return b, no, nil
	}
	return r.sheet.ballot(), nil, nil
}

// member reads the value of a key.
func (r *reader) member(key jsontext.Value, strict bool) (*events.Refusal, error) {
	name := key[1 : len(key)-1]
	if bytes.IndexByte(name, '\\') >= 0 {
		r.key, _ = jsontext.AppendUnquote(r.key[:0], key) // a key that is not UTF-8 is not known
		name = r.key
	}
	f := fieldOf(name)
	if f == unknown {
		var no *events.Refusal
		if strict {
			no = unknownField(name)
		}
		return no, r.SkipValue()
	}
	if no := r.sheet.begin(f); no != nil {
		return no, r.SkipValue()
	}
	return r.value(f, strict)
}

// value reads the value of a field.
func (r *reader) value(f field, strict bool) (*events.Refusal, error) {
	from := len(r.sheet.text)
	kind := r.PeekKind()
	switch {
	case kind == '"':
		raw, err := r.ReadValue()
		if err != nil {
			return nil, err
		}
		if r.sheet.text, err = jsontext.AppendUnquote(r.sheet.text, raw); err != nil {
			return events.Refuse(events.TextNotUTF8, f.String()), nil
		}
		r.sheet.set(f, from)
		return nil, nil
	case kind == '0' && (f.isNumber() || !strict), (kind == 't' || kind == 'f') && !f.isNumber() && !strict:
		raw, err := r.ReadValue()
		r.sheet.text = append(r.sheet.text, raw...)
		r.sheet.set(f, from)
		return nil, err
	case kind == 'n':
		return nil, r.SkipValue()
	}
	expected := "string"
	if f.isNumber() {
		expected = "string | number"
	}
	return events.Refuse(events.FieldType, f.String(), "expected", expected), r.SkipValue()
}

// json gives the rows of an array, or of one object.
func (r *rows) json() *events.Refusal {
	in := open(r.data)
	defer in.close()
	fail := func(err error) *events.Refusal {
		if errors.Is(err, io.EOF) {
			return nil // an empty file
		}
		return events.Refuse(events.BodyMalformed, "", "reason", place(r.data, 0, err))
	}
	switch in.PeekKind() {
	case '{':
		b, no, err := in.whole(r.strict)
		if err != nil {
			return fail(err)
		}
		r.give(b, no)
		return nil
	case '[', jsontext.KindInvalid:
		if _, err := in.ReadToken(); err != nil {
			return fail(err)
		}
	default:
		return fail(errNoArray)
	}
	for in.PeekKind() != ']' {
		b, no, err := in.vote(r.strict)
		if err != nil {
			return fail(err)
		}
		if !r.give(b, no) {
			return nil
		}
	}
	if _, err := in.ReadToken(); err != nil {
		return fail(err)
	}
	if err := in.end(); err != nil {
		return fail(err)
	}
	return nil
}

// lines gives the rows of JSON lines.
func (r *rows) lines() *events.Refusal {
	in := open(nil)
	defer in.close()
	for rest, number := r.data, 1; len(rest) > 0; number++ {
		text, size := firstLine(rest)
		rest = rest[size:]
		if len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		in.use(text)
		b, no, err := in.whole(r.strict)
		if err != nil {
			no = malformed(place(text, number-1, err))
		}
		if !r.give(b, no) {
			return nil
		}
	}
	return nil
}

// place says what is wrong and where: the line, counted from one behind before,
// and the byte in it.
func place(data []byte, before int, err error) string {
	var syntax *jsontext.SyntacticError
	if !errors.As(err, &syntax) {
		return err.Error()
	}
	at := data[:min(max(syntax.ByteOffset, 0), int64(len(data)))]
	line := before + 1 + bytes.Count(at, []byte("\n"))
	column := len(at) - bytes.LastIndexByte(at, '\n')
	return fmt.Sprintf("line %d, byte %d: %v", line, column, syntax.Err)
}
