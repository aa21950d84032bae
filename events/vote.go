package events

import (
	"strconv"
	"strings"
	"time"
)

// Ballot is a vote as its sender wrote it: every field is text, nothing is
// checked. Read turns it into a Vote.
type Ballot struct {
	Name, Album, Year, Rank string
	ID, Contest, Voter      string
	CastAt                  string // RFC 3339, optional
}

// Vote is a vote that is well formed. Whether the contest admits it is for the
// contest's rules to say.
type Vote struct {
	// ID is the sender's idempotency key: 1–64 of [A-Za-z0-9._:-]. A second
	// vote of the same id, contest and voter is a duplicate.
	ID    string
	Name  string // the band
	Album string // may be empty where the contest does not ask for it
	Year  int32
	// Rank is in hundredths: 950 is 9.5. It is a chart position in some
	// contests and a score in others; the contest says which.
	Rank int32
	// VoterKey is HMAC-SHA256(contest key, voter), or empty. The voter as
	// given never leaves the ingress.
	VoterKey []byte
	// At is the server's time of receipt, to the millisecond. It decides
	// whether a vote came before the contest closed.
	At time.Time
	// CastAt is the time that the sender states; zero if it states none. It
	// decides nothing.
	CastAt time.Time
	// Index is the vote's place in the box it was cast in. With the box's id it
	// is the vote's receipt.
	Index int
	// Reason is why screen refused the vote, and is empty in all other boxes.
	Reason Code
	// Field is the field that Reason concerns.
	Field string
}

// DefaultContest takes the votes that name no contest.
const DefaultContest = "default"

// Bounds of a well-formed vote; a contest's own bounds lie within.
const (
	MaxRank = 1_000_000_00 // hundredths
	MaxYear = 9999
)

// Reading is how a ballot is read.
type Reading struct {
	// Ordinals admits ranks such as "1st" or "2º", as vote files have them. Each
	// that is met is counted in Warnings.
	Ordinals bool
	Warnings int
}

// Read returns the vote that a ballot holds, or why it holds none. The first
// fault in the order of the fields is the one that is told. The vote's ID and
// Contest stay empty if the ballot has none; At, VoterKey and Index are the
// ingress's to set.
func (r *Reading) Read(b Ballot) (Vote, *Refusal) {
	var v Vote
	var no *Refusal
	if v.Name, no = CleanText("name", b.Name, MaxName); no != nil {
		return Vote{}, no
	}
	if v.Name == "" {
		return Vote{}, Refuse(FieldMissing, "name")
	}
	if v.Album, no = CleanText("album", b.Album, MaxAlbum); no != nil {
		return Vote{}, no
	}
	if v.Year, no = readYear(b.Year); no != nil {
		return Vote{}, no
	}
	rank := b.Rank
	if r.Ordinals {
		if plain, ok := cutOrdinal(rank); ok {
			rank = plain
			r.Warnings++
		}
	}
	if v.Rank, no = readRank(rank); no != nil {
		return Vote{}, no
	}
	if b.ID != "" && !IsID(b.ID) {
		return Vote{}, Refuse(IDMalformed, "id", "max", strconv.Itoa(MaxID))
	}
	v.ID = b.ID
	if b.Contest != "" && !IsContestID(b.Contest) {
		return Vote{}, Refuse(NameMalformed, "contest")
	}
	if _, no = CleanText("voter", b.Voter, MaxVoter); no != nil {
		return Vote{}, no
	}
	if b.CastAt != "" {
		t, err := time.Parse(time.RFC3339, b.CastAt)
		t = t.UTC() // its year too, so that a time that was taken is taken again
		if err != nil || t.Year() < 1970 || t.Year() > MaxYear {
			return Vote{}, Refuse(TimeMalformed, "cast_at")
		}
		v.CastAt = t.Truncate(time.Millisecond)
	}
	return v, nil
}

// readYear takes 1 to 9999 in decimal digits, leading zeros allowed.
func readYear(s string) (int32, *Refusal) {
	s = strings.TrimSpace(s)
	if s == "" {
		return 0, Refuse(FieldMissing, "year")
	}
	n, ok := digits(s, 10)
	if !ok || n < 1 || n > MaxYear {
		return 0, Refuse(YearMalformed, "year")
	}
	return int32(n), nil
}

// readRank takes a plain decimal of at most two places: "3", "03", "9.5".
func readRank(s string) (int32, *Refusal) {
	s = strings.TrimSpace(s)
	if s == "" {
		return 0, Refuse(FieldMissing, "rank")
	}
	whole, frac, point := strings.Cut(s, ".")
	n, ok := digits(whole, 10)
	if !ok || point && (frac == "" || len(frac) > 2) {
		return 0, Refuse(RankMalformed, "rank")
	}
	n *= 100
	if point {
		f, ok := digits(frac, 2)
		if !ok {
			return 0, Refuse(RankMalformed, "rank")
		}
		if len(frac) == 1 {
			f *= 10
		}
		n += f
	}
	if n > MaxRank {
		return 0, Refuse(RankMalformed, "rank")
	}
	return int32(n), nil
}

// digits reads 1 to most ASCII digits.
func digits(s string, most int) (int64, bool) {
	if s == "" || len(s) > most {
		return 0, false
	}
	var n int64
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int64(s[i]-'0')
	}
	return n, true
}

// cutOrdinal strips what English and Spanish write after an ordinal.
func cutOrdinal(s string) (string, bool) {
	s = strings.TrimSpace(s)
	for _, suffix := range [...]string{"st", "nd", "rd", "th", "º", "ª", "°", "o.", "a.", "er", "ro", "do", "to"} {
		if n := len(s) - len(suffix); n > 0 && strings.EqualFold(s[n:], suffix) {
			return s[:n], true
		}
	}
	return s, false
}

// FormatRank writes hundredths as the shortest decimal: 950 is "9.5".
func FormatRank(rank int32) string {
	s := strconv.FormatFloat(float64(rank)/100, 'f', 2, 64)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// IsID reports whether s may be a vote's id.
func IsID(s string) bool {
	if s == "" || len(s) > MaxID {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '.', c == '_', c == ':', c == '-':
		default:
			return false
		}
	}
	return true
}

// IsContestID reports whether s may be a contest's id: a DNS label (RFC 1123)
// in lower case.
func IsContestID(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-') {
			return false
		}
	}
	return true
}
