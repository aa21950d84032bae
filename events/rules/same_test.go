package rules

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"marimba/events"
)

// The tests here hold the module against its twin in Go: the same refusal, or
// the same vote. They need the edition of Unicode that the module has.

func needSameUnicode(t testing.TB) {
	t.Helper()
	if norm.Version != edition || unicode.Version != edition {
		t.Skipf("the module has Unicode %s, this Go %s", edition, norm.Version)
	}
}

const edition = "15.0.0"

// say writes a refusal for comparing. Where JSON is broken, both say so, each in
// its own words.
func say(no *events.Refusal) string {
	if no == nil {
		return "none"
	}
	text := fmt.Sprintf("%s %q", no.Code, no.Field)
	for _, name := range slices.Sorted(maps.Keys(no.Params)) {
		if name != "reason" {
			text += fmt.Sprintf(" %s=%q", name, no.Params[name])
		}
	}
	return text
}

func sameReading(t testing.TB, data []byte, strict bool) {
	t.Helper()
	b, no, err := Read(data, strict)
	if err != nil {
		t.Fatalf("%q: %v", data, err)
	}
	v, ballot, twinNo := twinRead(data, strict)
	if say(no) != say(twinNo) {
		t.Fatalf("%+q: refusal is %s, the twin's is %s", data, say(no), say(twinNo))
	}
	if no != nil {
		return
	}
	got, no := new(events.Reading).Read(b)
	if no != nil {
		t.Fatalf("%+q: is read as %+v, which is refused: %v", data, b, no)
	}
	if !reflect.DeepEqual(got, v) || b.Voter != ballot.Voter || b.Contest != ballot.Contest || b.Name != v.Name || b.Album != v.Album {
		t.Fatalf("%+q: is read as\n%+v of\n%+v, by the twin as\n%+v of\n%+v", data, got, b, v, ballot)
	}
}

func sameJudging(t testing.TB, r *Rules, twin *twin, v events.Vote) {
	t.Helper()
	got, want := v, v
	no, err := r.Judge(&got)
	if err != nil {
		t.Fatalf("%+v: %v", v, err)
	}
	twinNo := twin.judge(&want)
	if say(no) != say(twinNo) || !reflect.DeepEqual(got, want) {
		t.Fatalf("%+q, %+q: judged as\n%+q, %+q, %s, by the twin as\n%+q, %+q, %s",
			v.Name, v.Album, got.Name, got.Album, say(no), want.Name, want.Album, say(twinNo))
	}
}

// named is the JSON of a vote for a band.
func named(name string) []byte {
	data := []byte(`{"year":1982,"rank":1,"name":"`)
	for i := 0; i < len(name); i++ {
		if c := name[i]; c < ' ' || c == '"' || c == '\\' {
			data = fmt.Appendf(data, `\u%04x`, c)
			continue
		}
		data = append(data, name[i])
	}
	return append(data, `"}`...)
}

// characters gives each character of Unicode about which there is anything to
// say, and every eighth of the others: the module's tables are of blocks of 16.
func characters(give func(rune)) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if r >= 0xd800 && r <= 0xdfff {
			continue
		}
		s := string(r)
		properties := norm.NFKC.PropertiesString(s)
		plain := properties.CCC() == 0 && properties.BoundaryBefore() && properties.Decomposition() == nil &&
			r > 0xff && !unicode.In(r, unicode.Mn, unicode.Cf, unicode.White_Space, unicode.Hangul) && unicode.ToLower(r) == r
		if !plain || r%8 == 0 {
			give(r)
		}
	}
}

// Every character of Unicode is cleaned as Go cleans it: by itself or forbidden,
// behind a letter and before a mark, and between marks.
func TestEveryCharacterIsCleanedAlike(t *testing.T) {
	needSameUnicode(t)
	for _, around := range []string{"%c", "a%c\u0301", "e\u0323%c\u0302"} {
		var gathered strings.Builder
		count := 0
		characters(func(r rune) {
			text := fmt.Sprintf(around, r)
			if _, no := events.CleanText("name", text, events.MaxName); no != nil {
				sameReading(t, named(text), true)
				return
			}
			gathered.WriteString("." + text)
			if count++; count%25 == 0 {
				sameReading(t, named(gathered.String()), true)
				gathered.Reset()
			}
		})
		sameReading(t, named(gathered.String()), true)
	}
}

// Every character of Unicode is folded as Go folds it: a band that has it in its
// name is found by the name as Go folds it, and by no other.
func TestEveryCharacterIsFoldedAlike(t *testing.T) {
	needSameUnicode(t)
	c := events.Contest{ID: "x", RankMax: 100, YearMin: 1}
	check := func() {
		r, twin := New(c), newTwin(c)
		for _, b := range c.Bands {
			for _, name := range []string{b.Name, events.Fold(b.Name)} {
				sameJudging(t, r, twin, events.Vote{Name: name, Year: 1, At: time.UnixMilli(0)})
			}
		}
		c.Bands = nil
	}
	characters(func(r rune) {
		c.Bands = append(c.Bands, events.Band{Name: "a" + string(r) + "\u0323b"})
		if len(c.Bands) == 4000 {
			check()
		}
	})
	check()
}

// texts makes texts that are hard to normalize.
type texts struct {
	*rand.Rand
	folding []rune // characters that folding changes
}

func newTexts(seed uint64) *texts {
	m := &texts{Rand: rand.New(rand.NewPCG(seed, 1))}
	characters(func(r rune) {
		if s := string(r); r > 0x7f && events.Fold(s) != s {
			m.folding = append(m.folding, r)
		}
	})
	return m
}

func (m *texts) text(most int) string {
	// Hangul in parts and whole, marks of many classes, and what composes oddly.
	odd := []rune("\u1100\u1161\u11a8가각\u09c7\u09be\uff9e\u3133\u302e\u302f\U0001d165\u034f\u1b44\ufdfa\u3099か\u1173\u11c2\u00a0\u3000\u0344\u0f73")
	var b strings.Builder
	for range m.IntN(most) {
		switch m.IntN(6) {
		case 0:
			b.WriteByte(" aeiouAN~"[m.IntN(9)])
		case 1:
			b.WriteRune(rune(0x300 + m.IntN(0x70)))
		case 2:
			b.WriteRune(odd[m.IntN(len(odd))])
		default:
			b.WriteRune(m.folding[m.IntN(len(m.folding))])
		}
	}
	return b.String()
}

// Texts of any characters are cleaned and folded as Go does it, also where more
// than 30 marks follow one another.
func TestTextsAreCleanedAndFoldedAlike(t *testing.T) {
	needSameUnicode(t)
	m := newTexts(1)
	for range 10_000 {
		sameReading(t, named(m.text(130)), true)
		sameReading(t, named("x"+strings.Repeat(m.text(4), 20)), true)
	}
	for round := range 8 {
		c := events.Contest{ID: "x", OpenRoster: round%2 == 0, RankMax: 1000, YearMin: 1900}
		for range 100 {
			c.Bands = append(c.Bands, events.Band{
				Name: m.text(8) + "x", Aliases: []string{m.text(8) + "y"},
				Albums: []events.Album{{Title: m.text(8) + "z", Aliases: []string{m.text(5)}}},
			})
		}
		r, twin := New(c), newTwin(c)
		for range 2000 {
			b := c.Bands[m.IntN(len(c.Bands))]
			names := []string{b.Name, b.Aliases[0], events.Fold(b.Name), strings.ToUpper(b.Name), norm.NFD.String(b.Name), m.text(20) + "x"}
			albums := []string{"", b.Albums[0].Title, b.Albums[0].Aliases[0], strings.ToUpper(b.Albums[0].Title), m.text(5)}
			sameJudging(t, r, twin, events.Vote{
				Name: names[m.IntN(len(names))], Album: albums[m.IntN(len(albums))], Year: 1999, Rank: 5, At: time.UnixMilli(0),
			})
		}
	}
}

// Whatever the bytes are, they are read as Go reads them.
func FuzzReadLikeTheTwin(f *testing.F) {
	needSameUnicode(f)
	for _, s := range []string{
		`{"name":"A","album":"B","year":"1982","rank":2,"cast_at":"2026-05-01T10:00:00.1239-06:00","id":"x","contest":"c","voter":"v"}`,
		`{"Artist":"Tre\u0301bol","ranked":"9.5","x":[{"a":[]}],"cast\u005fat":null}`,
		"{\"na\xffme\":1}", `{"name":"\ud800"}`, "\ufeff[]", `{"name":true,"id":1.5,"rank":"03","year":" 1982 "} x`, "", "\xff\xfe{",
		`{"cast_at":"2026-02-29T1:00:00,5+24:60"}`,
	} {
		f.Add([]byte(s), true)
		f.Add([]byte(s), false)
	}
	f.Fuzz(func(t *testing.T, data []byte, strict bool) { sameReading(t, data, strict) })
}

// Whatever a vote and a contest hold, the vote is judged as Go judges it.
func FuzzJudgeLikeTheTwin(f *testing.F) {
	needSameUnicode(f)
	f.Add("Alux Nahual", "Conquista", "Conquista II", "ALUX  NAHUAL", "conquista", int32(1982), int32(200), int64(0), int64(0), int64(0), uint8(0))
	f.Add("Trébol", "Uno", "Dos", "tre\u0301bol", "", int32(1899), int32(2000), int64(-1), int64(5e6), int64(1), uint8(15))
	f.Add("\xff", "½", "½", "\ufffd", "1\u20442", int32(1899), int32(2000), int64(-1), int64(5e15), int64(-62135596800000), uint8(6))
	f.Add("A", "B", "C", "A", "B", int32(1982), int32(1), int64(-1), int64(0), int64(-1), uint8(0)) // opens within a millisecond
	f.Fuzz(func(t *testing.T, band, title, alias, name, album string, year, rank int32, opens, closes, at int64, flags uint8) {
		const ends = 253402300799999 // 9999, past which times have no form
		for _, milli := range []int64{opens / 1e6, closes / 1e6, at} {
			if milli < -62135596800000 || milli > ends {
				return
			}
		}
		for _, text := range []string{band, title, alias} {
			if clean, no := events.CleanText("", text, events.MaxName); no != nil || clean != text || text == "" {
				return // not a text that a contest's file may hold
			}
		}
		c := events.Contest{
			ID: "x", OpenRoster: flags&1 != 0, AlbumRequired: flags&2 != 0, VoterRequired: flags&4 != 0,
			RankMax: 1000, YearMin: 1900, YearMax: int32(flags>>4) * 140,
			Bands: []events.Band{
				{Name: band, Aliases: []string{alias}, Albums: []events.Album{{Title: title}, {Title: alias, Aliases: []string{band}}}},
				{Name: alias + "2", Albums: []events.Album{{Title: title}}},
			},
		}
		if opens != 0 {
			c.OpensAt = time.Unix(0, opens)
		}
		if closes != 0 {
			c.ClosesAt = time.Unix(0, closes)
		}
		v := events.Vote{Name: name, Album: album, Year: year, Rank: rank, At: time.UnixMilli(at)}
		if flags&8 != 0 {
			v.VoterKey = []byte{1}
		}
		r, twin := New(c), newTwin(c)
		sameJudging(t, r, twin, v)
		if utf8.ValidString(name) {
			v.Name, v.Album = alias, title
			sameJudging(t, r, twin, v)
		}
	})
}
