package events

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

func TestReadTakesWhatTheTableOfTheVoteAdmits(t *testing.T) {
	for _, c := range []struct {
		say    string
		ballot Ballot
		want   Vote
	}{
		{"plain", Ballot{Name: "Alux Nahual", Album: "Conquista", Year: "1982", Rank: "2"},
			Vote{Name: "Alux Nahual", Album: "Conquista", Year: 1982, Rank: 200}},
		{"white space is trimmed and collapsed", Ballot{Name: "  Alux \t Nahual\n", Album: "x", Year: " 1982 ", Rank: "2 "},
			Vote{Name: "Alux Nahual", Album: "x", Year: 1982, Rank: 200}},
		{"accents are composed", Ballot{Name: "Tre\u0301bol", Album: "x", Year: "1982", Rank: "2"},
			Vote{Name: "Trébol", Album: "x", Year: 1982, Rank: 200}},
		{"leading zeros", Ballot{Name: "a", Year: "01982", Rank: "03"}, Vote{Name: "a", Year: 1982, Rank: 300}},
		{"one decimal", Ballot{Name: "a", Year: "1982", Rank: "9.5"}, Vote{Name: "a", Year: 1982, Rank: 950}},
		{"two decimals", Ballot{Name: "a", Year: "1982", Rank: "9.05"}, Vote{Name: "a", Year: 1982, Rank: 905}},
		{"zero", Ballot{Name: "a", Year: "1982", Rank: "0"}, Vote{Name: "a", Year: 1982}},
		{"id and time", Ballot{Name: "a", Year: "1982", Rank: "1", ID: "A.b_c:d-9", CastAt: "2026-05-01T10:00:00.1239-06:00"},
			Vote{Name: "a", Year: 1982, Rank: 100, ID: "A.b_c:d-9", CastAt: time.Date(2026, 5, 1, 16, 0, 0, 123e6, time.UTC)}},
		{"120 characters, not bytes", Ballot{Name: strings.Repeat("ñ", 120), Year: "1982", Rank: "1"},
			Vote{Name: strings.Repeat("ñ", 120), Year: 1982, Rank: 100}},
	} {
		got, no := new(Reading).Read(c.ballot)
		if no != nil {
			t.Errorf("%s: refused: %v", c.say, no)
			continue
		}
		if got.Name != c.want.Name || got.Album != c.want.Album || got.Year != c.want.Year || got.Rank != c.want.Rank ||
			got.ID != c.want.ID || !got.CastAt.Equal(c.want.CastAt) {
			t.Errorf("%s: got %+v, want %+v", c.say, got, c.want)
		}
	}
}

func TestReadRefusesWithFieldAndCode(t *testing.T) {
	good := Ballot{Name: "a", Album: "b", Year: "1982", Rank: "1"}
	for _, c := range []struct {
		say    string
		change func(*Ballot)
		want   string
	}{
		{"no name", func(b *Ballot) { b.Name = " \t" }, "name: field_missing"},
		{"long name", func(b *Ballot) { b.Name = strings.Repeat("x", 121) }, "name: text_too_long"},
		{"very long name", func(b *Ballot) { b.Name = strings.Repeat("ñ", 1<<20) }, "name: text_too_long"},
		{"control character", func(b *Ballot) { b.Name = "a\x00b" }, "name: text_forbidden"},
		{"bidi override", func(b *Ballot) { b.Name = "a\u202eb" }, "name: text_forbidden"},
		{"broken UTF-8", func(b *Ballot) { b.Album = "a\xff" }, "album: text_not_utf8"},
		{"long album", func(b *Ballot) { b.Album = strings.Repeat("x", 161) }, "album: text_too_long"},
		{"no year", func(b *Ballot) { b.Year = "" }, "year: field_missing"},
		{"year in words", func(b *Ballot) { b.Year = "mil" }, "year: year_malformed"},
		{"year with sign", func(b *Ballot) { b.Year = "+1982" }, "year: year_malformed"},
		{"year zero", func(b *Ballot) { b.Year = "0" }, "year: year_malformed"},
		{"huge year", func(b *Ballot) { b.Year = "99999999999999999999" }, "year: year_malformed"},
		{"Arabic digits", func(b *Ballot) { b.Year = "١٩٨٢" }, "year: year_malformed"},
		{"no rank", func(b *Ballot) { b.Rank = "" }, "rank: field_missing"},
		{"negative rank", func(b *Ballot) { b.Rank = "-1" }, "rank: rank_malformed"},
		{"three decimals", func(b *Ballot) { b.Rank = "1.000" }, "rank: rank_malformed"},
		{"point alone", func(b *Ballot) { b.Rank = "1." }, "rank: rank_malformed"},
		{"exponent", func(b *Ballot) { b.Rank = "1e3" }, "rank: rank_malformed"},
		{"NaN", func(b *Ballot) { b.Rank = "NaN" }, "rank: rank_malformed"},
		{"huge rank", func(b *Ballot) { b.Rank = "1000000.01" }, "rank: rank_malformed"},
		{"ordinal outside a file", func(b *Ballot) { b.Rank = "1st" }, "rank: rank_malformed"},
		{"id with a space", func(b *Ballot) { b.ID = "a b" }, "id: id_malformed"},
		{"long id", func(b *Ballot) { b.ID = strings.Repeat("x", 65) }, "id: id_malformed"},
		{"contest in capitals", func(b *Ballot) { b.Contest = "Rock" }, "contest: contest_malformed"},
		{"long voter", func(b *Ballot) { b.Voter = strings.Repeat("x", 129) }, "voter: text_too_long"},
		{"time in words", func(b *Ballot) { b.CastAt = "ayer" }, "cast_at: cast_at_malformed"},
		{"time before 1970 in UTC", func(b *Ballot) { b.CastAt = "1970-01-01T00:00:00+05:00" }, "cast_at: cast_at_malformed"},
		{"time after 9999 in UTC", func(b *Ballot) { b.CastAt = "9999-12-31T23:00:00-05:00" }, "cast_at: cast_at_malformed"},
	} {
		b := good
		c.change(&b)
		if _, no := new(Reading).Read(b); no == nil || no.Error() != c.want {
			t.Errorf("%s: got %v, want %s", c.say, no, c.want)
		}
	}
}

func TestOrdinalsAreTakenInFilesAndCounted(t *testing.T) {
	r := Reading{Ordinals: true}
	for in, want := range map[string]int32{"1st": 100, "2ND": 200, "3rd": 300, "11th": 1100, "4º": 400, "5": 500} {
		v, no := r.Read(Ballot{Name: "a", Year: "1982", Rank: in})
		if no != nil || v.Rank != want {
			t.Errorf("%s: got %d, %v; want %d", in, v.Rank, no, want)
		}
	}
	if r.Warnings != 5 {
		t.Errorf("warnings: got %d, want 5", r.Warnings)
	}
}

func TestSpellingsThatFoldAlikeAreOneBand(t *testing.T) {
	for _, same := range [][]string{
		{"Bohemia Suburbana", "BOHEMIA  SUBURBANA", " bohemia suburbana", "Bohemia\u00a0Suburbana"},
		{"Trébol", "Trebol", "TRE\u0301BOL"},
		{"Niño", "nino", "NIÑO"},
	} {
		for _, s := range same {
			if Fold(s) != Fold(same[0]) {
				t.Errorf("%q folds to %q, %q to %q", s, Fold(s), same[0], Fold(same[0]))
			}
		}
	}
	if Fold("La Tona") == Fold("La Tuna") {
		t.Error("two bands fold alike")
	}
}

func TestFormatRankIsShortest(t *testing.T) {
	for in, want := range map[int32]string{0: "0", 100: "1", 950: "9.5", 905: "9.05", 1000: "10", MaxRank: "1000000"} {
		if got := FormatRank(in); got != want {
			t.Errorf("%d: got %s, want %s", in, got, want)
		}
	}
}

func FuzzCleanTextIsStable(f *testing.F) {
	for _, s := range []string{"", "Alux Nahual", " a  b ", "Tre\u0301bol", "\u202e", "\xff", "\u00a0x\u2003y", strings.Repeat("\u0344", 70)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, no := CleanText("name", s, MaxName)
		if no != nil {
			return
		}
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > MaxName || !norm.NFC.IsNormalString(got) {
			t.Fatalf("%q was kept as %q", s, got)
		}
		if again, no := CleanText("name", got, MaxName); no != nil || again != got {
			t.Fatalf("%q is cleaned to %q, and that to %q (%v)", s, got, again, no)
		}
		if Fold(Fold(got)) != Fold(got) {
			t.Fatalf("folding %q twice is not folding it once", got)
		}
	})
}
