package main

import (
	"slices"
	"testing"
)

// FuzzExamine works through anything that may be in an archive: it ends with a report,
// and one that holds is of an archive that says what the whole one says.
func FuzzExamine(f *testing.F) {
	m := newMade(5)
	m.line, m.acts = annulledHTTP, annulHTTP
	data := m.bytes(f)
	whole := unpack(f, data)
	for i, e := range whole {
		if e.name != "rules.wasm" {
			f.Add(i, []byte(e.data))
		}
	}
	f.Fuzz(func(t *testing.T, at int, text []byte) {
		if at < 0 || at >= len(whole) || len(text) > 1<<20 {
			return
		}
		p := slices.Clone(whole)
		p[at].data = string(text)
		r := verified(t, p.pack(t), expected{})
		if len(r.Checks) != len(checkNames) {
			t.Errorf("%d checks", len(r.Checks))
		}
		if same := string(text) == whole[at].data; r.Holds && !same {
			switch whole[at].name {
			case "archive.json", "annulments.json", "statement.json", "checkpoint", "key": // may be written otherwise, or say more
			default:
				t.Errorf("%s is another, and all holds", whole[at].name)
			}
		}
	})
}
