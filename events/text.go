package events

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Longest texts that are taken, in characters (Unicode code points, counted
// after normalization).
const (
	MaxName  = 120
	MaxAlbum = 160
	MaxVoter = 128
	MaxID    = 64
)

// CleanText returns a name or title as it is kept: in Unicode's normal form C,
// trimmed, with each inner run of white space as one space. The result is
// empty if s holds white space only.
//
// It refuses what cannot be shown safely: broken UTF-8, control characters,
// bidirectional overrides and isolates (U+202A–202E, U+2066–2069), and more
// than max characters.
func CleanText(field, s string, max int) (string, *Refusal) {
	if isPlain(s, max) {
		return s, nil
	}
	if !utf8.ValidString(s) {
		return "", Refuse(TextNotUTF8, field)
	}
	// Composition never lengthens a text more than threefold in code points, and
	// a text far over the limit need not be normalized to know that it is.
	if len(s) > 16*max {
		return "", Refuse(TextTooLong, field, "max", strconv.Itoa(max))
	}
	s = norm.NFC.String(strings.Join(strings.Fields(s), " "))
	n := 0
	for _, r := range s {
		n++
		if unicode.IsControl(r) || isBidiControl(r) {
			return "", Refuse(TextForbidden, field, "character", codePoint(r))
		}
	}
	if n > max {
		return "", Refuse(TextTooLong, field, "max", strconv.Itoa(max))
	}
	return s, nil
}

// isPlain reports whether s is ASCII that is already as it would be kept,
// which nearly all votes are.
func isPlain(s string, max int) bool {
	if len(s) > max {
		return false
	}
	space := true
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c < ' ' || c >= 0x7f || (c == ' ' && space) {
			return false
		}
		space = c == ' '
	}
	return s == "" || !space
}

func isBidiControl(r rune) bool {
	return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

func codePoint(r rune) string {
	s := strings.ToUpper(strconv.FormatInt(int64(r), 16))
	return "U+" + strings.Repeat("0", max(0, 4-len(s))) + s
}

// Fold returns the form in which two spellings of one band or album are equal:
// without case, accents or differences in white space. "Bohemia  suburbana"
// and "BOHEMIA SUBURBANA" fold alike, and so do "Trébol" and "Trebol".
func Fold(s string) string {
	if folded, ok := foldASCII(s); ok {
		return folded
	}
	var b strings.Builder
	b.Grow(len(s))
	for _, r := range norm.NFKD.String(s) {
		if unicode.Is(unicode.Mn, r) {
			continue
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// foldASCII folds a text that is plain ASCII with single inner spaces, without
// an allocation if it is in lower case already.
func foldASCII(s string) (string, bool) {
	if !isPlain(s, len(s)) {
		return "", false
	}
	return strings.ToLower(s), true
}
