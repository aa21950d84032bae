package votefile

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"marimba/events"
)

var alux = events.Ballot{Name: "Alux Nahual", Album: "Conquista", Year: "1982", Rank: "2"}

// told writes rows as one text each, so that tables stay short: a ballot's
// fields, a row's refusal, or the file's.
func told(data string, f Format, o Options) []string {
	var out []string
	for row, err := range Rows([]byte(data), f, o) {
		text := fmt.Sprintf("%d ", row.Number)
		var no *events.Refusal
		switch {
		case errors.As(err, &no):
			text += "file " + say(no)
		case row.No != nil:
			text += "row " + say(row.No)
		default:
			b := row.Ballot
			text += strings.TrimRight(strings.Join([]string{b.Name, b.Album, b.Year, b.Rank, b.ID, b.Contest, b.Voter, b.CastAt}, "|"), "|")
		}
		out = append(out, text)
	}
	return out
}

func say(no *events.Refusal) string {
	text := no.Error()
	if reason := no.Params["reason"]; reason != "" {
		text += ": " + reason
	}
	return text
}

// What a file gives, good and bad, in every format.
func TestRows(t *testing.T) {
	strict := Options{Strict: true}
	for _, c := range []struct {
		say  string
		f    Format
		o    Options
		data string
		want []string
	}{
		{"array", JSON, strict, `[{"name":"A","album":"B","year":"1982","rank":"2"},{"name":"C","year":1990,"rank":9.5}]`,
			[]string{"1 A|B|1982|2", "2 C||1990|9.5"}},
		{"all fields", JSON, strict, `[{"name":"A","album":"B","year":"1","rank":"2","id":"i","contest":"c","voter":"v","cast_at":"t"}]`,
			[]string{"1 A|B|1|2|i|c|v|t"}},
		{"other names and cases", JSON, strict, `[{"Artist":"A","ALBUM":"B","Year":"1","ranked":"2","castAt":"t"},{"band":"A","year":"1","rank":"2"},{"n\u0061me":"E"}]`,
			[]string{"1 A|B|1|2||||t", "2 A||1|2", "3 E"}},
		{"escapes", JSON, strict, `[{"name":"Tr\u00e9bol \ud83c\udfb8\n","album":"\"x\""}]`, []string{"1 Trébol 🎸\n|\"x\""}},
		{"null is not there", JSON, strict, `[{"name":"A","id":null,"year":null}]`, []string{"1 A"}},
		{"one object", JSON, strict, ` {"name":"A"} `, []string{"1 A"}},
		{"byte order mark", JSON, strict, "\ufeff[{\"name\":\"A\"}]", []string{"1 A"}},
		{"numbers as they are written", JSON, strict, `[{"year":1982.0,"rank":1e3},{"year":-1,"rank":123456789012345678901234567890}]`,
			[]string{"1 ||1982.0|1e3", "2 ||-1|123456789012345678901234567890"}},
		{"numbers where text belongs", JSON, strict, `[{"name":13},{"id":1},{"cast_at":1}]`,
			[]string{"1 row name: field_type", "2 row id: field_type", "3 row cast_at: field_type"}},
		{"numbers where text belongs, not strict", JSON, Options{}, `[{"name":13,"album":true,"id":1.5}]`, []string{"1 13|true|||1.5"}},
		{"no truth in numbers", JSON, Options{}, `[{"rank":true},{"year":false}]`, []string{"1 row rank: field_type", "2 row year: field_type"}},
		{"no nesting", JSON, Options{}, `[{"name":["A"]},{"name":{"a":"A"}},{"name":"A"}]`,
			[]string{"1 row name: field_type", "2 row name: field_type", "3 A"}},
		{"unknown field", JSON, strict, `[{"name":"A","colour":{"deep":[[[]]]}},{"name":"B"}]`, []string{"1 row colour: field_unknown", "2 B"}},
		{"unknown field, not strict", JSON, Options{}, `[{"colour":{"deep":[[[1]]]},"name":"A"}]`, []string{"1 A"}},
		{"repeated field", JSON, strict, `[{"name":"A","name":"A"},{"name":"A","artist":"B"},{"name":null,"Name":"B"},{"name":"B"}]`,
			[]string{"1 row name: field_repeated", "2 row name: field_repeated", "3 row name: field_repeated", "4 B"}},
		{"broken UTF-8", JSON, strict, "[{\"name\":\"A\xff\"},{\"name\":\"\\ud800\"},{\"nam\xff\":1},{\"name\":\"B\"}]",
			[]string{"1 row name: text_not_utf8", "2 row name: text_not_utf8", "3 row nam\ufffd: field_unknown", "4 B"}},
		{"what is no object", JSON, strict, `[1,"x",[{"name":"A"}],null,{"name":"B"}]`,
			[]string{"1 row row_malformed: not a JSON object", "2 row row_malformed: not a JSON object", "3 row row_malformed: not a JSON object",
				"4 row row_malformed: not a JSON object", "5 B"}},
		{"a fault ends an array", JSON, strict, "[{\"name\":\"A\"},\n{\"name\":NaN},{\"name\":\"C\"}]",
			[]string{"1 A", "2 file body_malformed: line 2, byte 9: invalid character 'N' at start of value"}},
		{"cut off", JSON, strict, `[{"name":"A"},{"na`, []string{"1 A", "2 file body_malformed: line 1, byte 19: unexpected EOF"}},
		{"comma at the end", JSON, strict, `[{"name":"A"},]`, []string{"1 A", "2 file body_malformed: line 1, byte 14: invalid character ',' at start of value"}},
		{"more behind it", JSON, strict, `[{"name":"A"}] x`, []string{"1 A", "2 file body_malformed: line 1, byte 16: invalid character 'x' at start of value"}},
		{"another behind it", JSON, strict, `[{"name":"A"}] []`, []string{"1 A", "2 file body_malformed: something is behind the JSON value"}},
		{"another behind an object", JSON, strict, `{"name":"A"} {}`, []string{"1 file body_malformed: something is behind the JSON value"}},
		{"text", JSON, strict, `"A"`, []string{"1 file body_malformed: neither a JSON array nor an object"}},
		{"nothing", JSON, strict, " \n", []string{"1 file body_empty"}},
		{"empty array", JSON, strict, "[]", []string{"1 file body_empty"}},
		{"UTF-16", JSON, strict, "\xff\xfe[\x00]\x00", []string{"1 file body_not_utf8"}},

		{"lines", NDJSON, strict, "{\"name\":\"A\"}\r\n\n  \n{\"name\":\"B\"}", []string{"1 A", "2 B"}},
		{"a broken line", NDJSON, strict, "{\"name\":\"A\"}\n\n{\"name\":\n{\"name\":\"B\"}\n",
			[]string{"1 A", "2 row row_malformed: line 3, byte 9: unexpected EOF", "3 B"}},
		{"two on a line", NDJSON, strict, "{\"name\":\"A\"}{}\n{\"name\":\"B\"}", []string{"1 row row_malformed: something is behind the JSON value", "2 B"}},
		{"an array on a line", NDJSON, strict, "[]\n{\"name\":\"B\"}", []string{"1 row row_malformed: not a JSON object", "2 B"}},
		{"no lines", NDJSON, strict, "\n\n", []string{"1 file body_empty"}},

		{"CSV", CSV, strict, "name,album,year,rank\nA,B,1982,2\n", []string{"1 A|B|1982|2"}},
		{"any order, any case, semicolons, CRLF, BOM", CSV, strict, "\ufeffRank; Artist ;Year\r\n9.5;A, B;1982\r\n", []string{"1 A, B||1982|9.5"}},
		{"quotes", CSV, strict, "name,album,year,rank\n\"A, \"\"x\"\"\",\"B\nC\",1982,2\nD,E,1983,3\n", []string{"1 A, \"x\"|B\nC|1982|2", "2 D|E|1983|3"}},
		{"wrong width", CSV, strict, "name,year,rank\nA,1982\nB,1982,2\nC,1982,2,3\n\"D\",1\n",
			[]string{"1 row row_malformed: line 2: 2 values where the line of names has 3", "2 B||1982|2",
				"3 row row_malformed: line 4: 4 values where the line of names has 3", "4 row row_malformed: line 5: 2 values where the line of names has 3"}},
		{"quotes that are not closed spoil their lines only", CSV, strict, "name,year,rank\n\"A,1982,2\nB,1982,2\nC 5\" x,1983,3\nD,1984,4\n",
			[]string{"1 row row_malformed: line 2: extraneous or missing \" in quoted-field", "2 B||1982|2",
				"3 row row_malformed: line 4: bare \" in non-quoted-field", "4 D||1984|4"}},
		{"unknown column", CSV, strict, "name,year,rank,colour\n", []string{"1 file colour: field_unknown"}},
		{"unknown column, not strict", CSV, Options{}, "name,year,rank,colour,colour\nA,1,2,3,4", []string{"1 A||1|2"}},
		{"repeated column", CSV, strict, "name,year,rank,artist\n", []string{"1 file name: field_repeated"}},
		{"no line of names", CSV, Options{}, "A,B,1982,2\n", []string{"1 file name: field_missing"}},
		{"names that cannot be read", CSV, strict, "\"name,year,rank\n", []string{"1 file body_malformed: the line of names: extraneous or missing \" in quoted-field"}},
		{"a line of names alone", CSV, strict, "name,year,rank\n", []string{"1 file body_empty"}},
		{"a row that never ends", CSV, strict, "name,year,rank\n" + strings.Repeat("x", maxRecord+1) + "\nA,1,2",
			[]string{"1 row row_malformed: line 2: more than 16384 bytes", "2 A||1|2"}},

		{"as many as there may be", JSON, Options{MaxRows: 2}, `[{"name":"A","album":"x"},{"name":"B","album":"x"}]`, []string{"1 A|x", "2 B|x"}},
		{"too many", JSON, Options{MaxRows: 2}, `[{"name":"A"},{"name":"B"},{"name":"C"}]`, []string{"1 file too_many_rows"}},
		{"too many lines", NDJSON, Options{MaxRows: 2}, "{}\n\n{}\n{}", []string{"1 file too_many_rows"}},
		{"blank lines do not count", NDJSON, Options{MaxRows: 2}, "\n\n{\"name\":\"A\"}\n\n{\"name\":\"B\"}\n\n", []string{"1 A", "2 B"}},
		{"too many records", CSV, Options{MaxRows: 1}, "name,year,rank\nA,1,2\nB,1,2", []string{"1 file too_many_rows"}},
		{"quoted line ends do not count", CSV, Options{MaxRows: 1}, "name,year,rank\n\"A\n\n\n\",1,2\n", []string{"1 A\n\n\n||1|2"}},
	} {
		if got := told(c.data, c.f, c.o); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\n got %q\nwant %q", c.say, got, c.want)
		}
	}
}

// One takes an object, and says what else there is.
func TestOne(t *testing.T) {
	for _, c := range []struct{ say, data, want string }{
		{"vote", `{"name":"Alux Nahual","album":"Conquista","year":"1982","rank":2}`, ""},
		{"nothing", "  ", "body_empty"},
		{"array", "[]", "body_malformed: not a JSON object"},
		{"two", "{}{}", "body_malformed: something is behind the JSON value"},
		{"broken", `{"name":`, "body_malformed: line 1, byte 9: unexpected EOF"},
		{"form", "name=A", "body_malformed: line 1, byte 2: invalid character 'a' in literal null (expecting 'u')"},
		{"unknown", `{"colour":1}`, "colour: field_unknown"},
		{"UTF-16", "\xfe\xff\x00{", "body_not_utf8"},
		{"long key", `{"` + strings.Repeat("ñ", 1000) + `":1}`, strings.Repeat("ñ", maxShown/2) + "…: field_unknown"},
		{"bomb of arrays", strings.Repeat("[", 1<<20), "body_malformed: line 1, byte 10001: exceeded max depth"},
		{"bomb in a field", `{"name":` + strings.Repeat(`{"a":`, 1<<18), "body_malformed: line 1, byte 50004: exceeded max depth"},
	} {
		got, no := One([]byte(c.data), true)
		switch {
		case c.want == "" && (no != nil || got != alux):
			t.Errorf("%s: got %+v, %v", c.say, got, no)
		case c.want != "" && (no == nil || say(no) != c.want):
			t.Errorf("%s: got %v, want %s", c.say, no, c.want)
		}
	}
}

// Who has seen enough is given no more, in any format.
func TestRowsStopsWhenAsked(t *testing.T) {
	for f, data := range map[Format]string{
		JSON: `[{"name":"A"},{"name":"B"},x`, NDJSON: "{}\n{}\n{}", CSV: "name,year,rank\nA,1,2\nB,1,2\n",
	} {
		n := 0
		for range Rows([]byte(data), f, Options{}) {
			n++
			break
		}
		if n != 1 {
			t.Errorf("%s: %d rows", f, n)
		}
	}
}

func TestFormats(t *testing.T) {
	for media, want := range map[string]Format{
		"application/json": JSON, "Application/JSON; charset=utf-8": JSON, "application/x-ndjson": NDJSON,
		"application/ndjson": NDJSON, "application/jsonl": NDJSON, "text/csv;header=present": CSV, "text/plain": "", "": "",
	} {
		if got, ok := FormatOfType(media); got != want || ok != (want != "") {
			t.Errorf("type %q: %q, %v", media, got, ok)
		}
	}
	for name, want := range map[string]Format{
		"votes.json": JSON, "dir/V.JSONL": NDJSON, "a.ndjson": NDJSON, "a.csv": CSV, "json": "", "a.json.gz": "",
	} {
		if got, ok := FormatOfName(name); got != want || ok != (want != "") {
			t.Errorf("name %q: %q, %v", name, got, ok)
		}
	}
}

// The ids of rows are for ever: files that were sent must not count again.
func TestRowIDsArePinned(t *testing.T) {
	digest := Digest([]byte("[]"))
	if want := "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d"; digest != want {
		t.Errorf("digest is %s, not %s", digest, want)
	}
	if id := RowID(digest, 10_000); id != digest+"-10000" || !events.IsID(id) {
		t.Errorf("id is %s", id)
	}
	if id := RowID(Digest(nil), int(^uint(0)>>1)); !events.IsID(id) {
		t.Errorf("the largest id is %s", id)
	}
}

// The vote files that there are in the wild give every row.
func TestRealFiles(t *testing.T) {
	for name, want := range map[string]int{"traffic-150.json": 150, "traffic-1000.json": 1000} {
		data, err := os.ReadFile("../../../shared/data/" + name)
		if err != nil {
			t.Skip("no file of votes: ", err)
		}
		n := 0
		for row, err := range Rows(data, JSON, Options{Strict: true, MaxRows: want}) {
			if err != nil || row.No != nil {
				t.Fatal(name, row, err)
			}
			if _, no := new(events.Reading).Read(row.Ballot); no != nil {
				t.Errorf("%s, row %d: %v", name, row.Number, no)
			}
			n++
		}
		if n != want {
			t.Errorf("%s: %d rows", name, n)
		}
	}
}

func BenchmarkOne(b *testing.B) {
	data := []byte(`{"id":"plaza-0001","name":"Alux Nahual","album":"Alto al Fuego","year":"1987","rank":"3","voter":"plaza-001"}`)
	b.ReportAllocs()
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, no := One(data, true); no != nil {
			b.Fatal(no)
		}
	}
}

func BenchmarkRows(b *testing.B) {
	vote := `{"id":"plaza-0001","name":"Alux Nahual","album":"Alto al Fuego","year":"1987","rank":"3","voter":"plaza-001"}`
	for f, data := range map[Format]string{
		JSON:   "[" + strings.Repeat(vote+",", 9_999) + vote + "]",
		NDJSON: strings.Repeat(vote+"\n", 10_000),
		CSV:    "id,name,album,year,rank,voter\n" + strings.Repeat("plaza-0001,Alux Nahual,Alto al Fuego,1987,3,plaza-001\n", 10_000),
	} {
		b.Run(string(f), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				n := 0
				for range Rows([]byte(data), f, Options{Strict: true, MaxRows: 10_000}) {
					n++
				}
				if n != 10_000 {
					b.Fatal(n)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10_000, "ns/row")
		})
	}
}
