package votefile

import (
	"strings"
	"unicode/utf8"

	"marimba/events"
)

// field is a field of a ballot.
type field int

const (
	fieldName field = iota
	fieldAlbum
	fieldYear
	fieldRank
	fieldID
	fieldContest
	fieldVoter
	fieldCastAt
	fields  // how many there are
	unknown = fields
)

var fieldNames = [fields]string{"name", "album", "year", "rank", "id", "contest", "voter", "cast_at"}

func (f field) String() string { return fieldNames[f] }

// isNumber reports whether JSON may write the field as a number.
func (f field) isNumber() bool { return f == fieldYear || f == fieldRank }

// maxKey is the length of the longest name of a field.
const maxKey = 7

// fieldOf returns the field that a key names, in any case.
func fieldOf(key []byte) field {
	if len(key) > maxKey {
		return unknown
	}
	var low [maxKey]byte
	for i, c := range key {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		low[i] = c
	}
	switch string(low[:len(key)]) {
	case "name", "artist", "band":
		return fieldName
	case "album":
		return fieldAlbum
	case "year":
		return fieldYear
	case "rank", "ranked":
		return fieldRank
	case "id":
		return fieldID
	case "contest":
		return fieldContest
	case "voter":
		return fieldVoter
	case "cast_at", "castat":
		return fieldCastAt
	}
	return unknown
}

// maxShown bounds what a refusal repeats of a key that is not known.
const maxShown = 40

// unknownField refuses a key, and shows as much of it as helps.
func unknownField(key []byte) *events.Refusal {
	if len(key) > maxShown {
		end := maxShown
		for end > 0 && !utf8.RuneStart(key[end]) {
			end--
		}
		key = append(key[:end:end], "…"...)
	}
	return events.Refuse(events.FieldUnknown, strings.ToValidUTF8(string(key), "\ufffd"))
}

// sheet gathers the fields of a ballot as one text, so that a ballot is one
// piece of memory.
type sheet struct {
	text []byte
	at   [fields]struct{ from, to int }
	seen [fields]bool
}

func (s *sheet) clear() { *s = sheet{text: s.text[:0]} }

// begin starts a field, or says that it has been there already.
func (s *sheet) begin(f field) *events.Refusal {
	if s.seen[f] {
		return events.Refuse(events.FieldRepeated, f.String())
	}
	s.seen[f] = true
	return nil
}

// set gives the field that was begun all of text behind from.
func (s *sheet) set(f field, from int) { s.at[f].from, s.at[f].to = from, len(s.text) }

func (s *sheet) ballot() events.Ballot {
	all := string(s.text)
	of := func(f field) string { return all[s.at[f].from:s.at[f].to] }
	return events.Ballot{
		Name: of(fieldName), Album: of(fieldAlbum), Year: of(fieldYear), Rank: of(fieldRank),
		ID: of(fieldID), Contest: of(fieldContest), Voter: of(fieldVoter), CastAt: of(fieldCastAt),
	}
}
