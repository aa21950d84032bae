package votefile

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"marimba/events"
)

// whole holds a file to what Rows promises, whatever is in it: numbers from 1
// without a gap, a row either good or bad, an error last and with a code, the
// same the second time, and no row of a file that has too many.
func whole(t *testing.T, data []byte, f Format) {
	for _, strict := range []bool{true, false} {
		rows, ended := 0, false
		for row, err := range Rows(data, f, Options{Strict: strict}) {
			if ended {
				t.Fatal("a row behind the error")
			}
			if err != nil {
				var no *events.Refusal
				if !errors.As(err, &no) || no.Code == "" {
					t.Fatalf("not a refusal: %v", err)
				}
				shown(t, no)
				ended = true
			} else {
				rows++
			}
			if row.Number != rows && !(ended && row.Number == rows+1) {
				t.Fatalf("row %d has number %d", rows, row.Number)
			}
			if row.No != nil {
				shown(t, row.No)
				if row.Ballot != (events.Ballot{}) {
					t.Fatal("a bad row with a ballot")
				}
			}
		}
		if rows == 0 && !ended {
			t.Fatal("no rows, and no word about it")
		}
		if again := told(string(data), f, Options{Strict: strict, MaxRows: max(rows, 1)}); rows > 0 && len(again) < rows {
			t.Fatalf("of %d rows, %d are given where so many may be: %q", rows, len(again), again)
		}
		if rows > 1 {
			few := told(string(data), f, Options{Strict: strict, MaxRows: rows - 1})
			if len(few) != 1 || few[0] != "1 file too_many_rows" {
				t.Fatalf("%d rows, one more than may be, give %q", rows, few)
			}
		}
	}
}

// shown holds a refusal to be fit for showing: short, and UTF-8.
func shown(t *testing.T, no *events.Refusal) {
	for _, text := range []string{no.Field, no.Params["reason"]} {
		if len(text) > 300 || !utf8.ValidString(text) {
			t.Fatalf("not fit for showing: %q", text)
		}
	}
}

func FuzzJSON(f *testing.F) {
	for _, s := range []string{
		`[{"name":"A","album":"B","year":"1982","rank":2},{"Artist":"C","ranked":9.5,"x":[{}]}]`,
		`{"name":"\ud83c\udfb8"}`, `[{"name":"A"},{"name":NaN}]`, "[{\"name\":\"\xff\"}]", "[1,[],{}", "\ufeff[]", "[[[[",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) { whole(t, data, JSON) })
}

func FuzzNDJSON(f *testing.F) {
	for _, s := range []string{"{\"name\":\"A\"}\r\n\n{\"id\":null}", "{}\n{\n}", "{}{}", "\n", "\xfe\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) { whole(t, data, NDJSON) })
}

func FuzzCSV(f *testing.F) {
	for _, s := range []string{
		"name,album,year,rank\nA,B,1982,2\n", "\ufeffRank;Artist;Year\r\n1;\"A;\nB\";2\r\n", "name,year,rank\n\"A\nB,1,2\nC\"\"\n,\n",
		"name,year,rank,x\n,,,\n1\n", "\"", "name,name",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) { whole(t, data, CSV) })
}

// One and Rows agree on what a vote is.
func FuzzOne(f *testing.F) {
	for _, s := range []string{`{"name":"A","year":1982}`, `{"name":"A","artist":"B"}`, "{\"x\":\"\xff\"}", "[{}]", `{"a":`, ""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b, no := One(data, true)
		if no != nil {
			shown(t, no)
			if b != (events.Ballot{}) {
				t.Fatal("a refusal with a ballot")
			}
			return
		}
		if rows := told(string(data), JSON, Options{Strict: true}); len(rows) != 1 || strings.Contains(rows[0], " row ") {
			t.Fatalf("One takes what Rows gives as %q", rows)
		}
	})
}
