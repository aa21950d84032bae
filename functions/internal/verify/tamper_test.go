package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"marimba/events/seal/archive"
)

// entry is an entry of an archive's tar.
type entry struct{ name, data string }

// parts are an archive that is about to be tampered with.
type parts []entry

func unpack(t testing.TB, data []byte) parts {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var out parts
	for r := tar.NewReader(zip); ; {
		head, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, entry{head.Name, string(text)})
	}
}

func (p parts) pack(t testing.TB) []byte {
	t.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	w := tar.NewWriter(zip)
	for _, e := range p {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: e.name, Size: int64(len(e.data)), Mode: 0o600}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), zip.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func (p parts) at(t testing.TB, name string) *entry {
	t.Helper()
	i := slices.IndexFunc(p, func(e entry) bool { return e.name == name })
	if i < 0 {
		t.Fatalf("there is no %s", name)
	}
	return &p[i]
}

func (p parts) replace(t testing.TB, name, old, new string) {
	t.Helper()
	e := p.at(t, name)
	if !strings.Contains(e.data, old) {
		t.Fatalf("%s has no %q", name, old)
	}
	e.data = strings.Replace(e.data, old, new, 1)
}

// lines edits the openings' first part, line by line.
func (p parts) lines(t testing.TB, edit func([]string) []string) {
	t.Helper()
	e := p.at(t, "openings/000000")
	e.data = strings.Join(edit(slices.Collect(strings.Lines(e.data))), "")
}

// flip changes one byte.
func (p parts) flip(t testing.TB, name string, at int) {
	t.Helper()
	e := p.at(t, name)
	data := []byte(e.data)
	data[at] ^= 1
	e.data = string(data)
}

// verified is the report about an archive.
func verified(t testing.TB, data []byte, known expected) *Report {
	t.Helper()
	r, _ := examine("test", bytes.NewReader(data), known, nil)
	return r
}

// An archive that is whole holds in all things, of whatever size, with annulments,
// replaced votes and rules of the contest's own.
func TestWholeArchives(t *testing.T) {
	annulled := newMade(700)
	annulled.line, annulled.acts = annulledHTTP, annulHTTP
	replaced := newMade(300)
	replaced.line = func(i int) archive.Line {
		l := lineOf(i)
		if i%3 == 0 {
			l.Mark = archive.Replaced
		}
		return l
	}
	for name, m := range map[string]*made{
		"one vote": newMade(1), "a tile less one": newMade(255), "a tile": newMade(256), "some tiles": newMade(1000), "many": newMade(70_000),
		"own rules": withOwnRules(t, 300), "annulled": annulled, "replaced": replaced,
	} {
		var out bytes.Buffer
		key := m.write(t, &out)
		r := verified(t, out.Bytes(), expected{Key: key})
		if !r.Holds || r.Votes != uint64(m.votes) || len(r.Notes) != 0 {
			t.Errorf("%s: %d votes, does not hold: %s %+v", name, r.Votes, r.broken(), told(r))
		}
	}
}

func told(r *Report) (all []string) {
	for _, c := range r.Checks {
		for _, fault := range c.Faults {
			all = append(all, c.Name+": "+fault)
		}
	}
	return all
}

// Whatever of an archive is tampered with, the check that names it does not hold, and
// says where; and what was not tampered with is not blamed.
func TestTampering(t *testing.T) {
	const n = 700
	whole := newMade(n)
	var out bytes.Buffer
	key := whole.write(t, &out)
	annulled := newMade(n)
	annulled.line, annulled.acts = annulledHTTP, annulHTTP
	own := withOwnRules(t, n)

	tests := map[string]struct {
		of     *made
		tamper func(t *testing.T, p parts) parts
		checks string // that do not hold
		says   []string
	}{
		"a vote changed": {tamper: func(t *testing.T, p parts) parts {
			p.lines(t, func(l []string) []string {
				l[17] = strings.Replace(l[17], "Bohemia Suburbana\tSombras en el jardín", "Alux Nahual\tConquista", 1)
				return l
			})
			return p
		}, checks: "openings counts board", says: []string{"openings: leaf 17 is not what the log committed to", "board: line 1 is place 1, Alux Nahual, 280 votes"}},
		"a vote's state changed": {tamper: func(t *testing.T, p parts) parts {
			p.lines(t, func(l []string) []string { l[18] = strings.Replace(l[18], "counted", "replaced", 1); return l })
			return p
		}, checks: "counts board", says: []string{"counts: the statement says that 0 were replaced, the archive marks 1"}},
		"a vote annulled by nobody": {tamper: func(t *testing.T, p parts) parts {
			p.lines(t, func(l []string) []string { l[18] = strings.Replace(l[18], "counted", "annulled", 1); return l })
			return p
		}, checks: "annulments", says: []string{"annulments: leaf 18, Viento en Contra by grpc, is marked annulled", "annulments: 1 votes are marked as annulled, and no ruling"}},
		"a salt changed": {tamper: func(t *testing.T, p parts) parts {
			p.lines(t, func(l []string) []string { l[3] = "B" + l[3][1:]; return l })
			return p
		}, checks: "openings", says: []string{"openings: leaf 3 is not what the log committed to"}},
		"a vote dropped": {tamper: func(t *testing.T, p parts) parts {
			p.lines(t, func(l []string) []string { return slices.Delete(l, 100, 101) })
			return p
		}, checks: "openings size counts board", says: []string{"openings: leaf 100 is not", "size: the checkpoint is of 700 leaves, and there are 699 openings", "counts: http: the statement counts 175 votes, the log 174"}},
		"a vote doubled": {tamper: func(t *testing.T, p parts) parts {
			p.lines(t, func(l []string) []string { return slices.Insert(l, 101, l[100]) })
			return p
		}, checks: "openings size unique counts board", says: []string{"unique: leaves 100 and 101 are the same vote", "openings: leaf 101 is not"}},
		"the last vote doubled": {tamper: func(t *testing.T, p parts) parts {
			p.lines(t, func(l []string) []string { return append(l, l[100]) })
			return p
		}, checks: "size unique counts board", says: []string{"unique: leaves 100 and 700 are the same vote"}},
		"a vote moved": {tamper: func(t *testing.T, p parts) parts {
			p.lines(t, func(l []string) []string { l[1], l[2] = l[2], l[1]; return l })
			return p
		}, checks: "openings", says: []string{"openings: leaf 1 is not", "openings: leaf 2 is not"}},
		"an entry changed": {tamper: func(t *testing.T, p parts) parts {
			p.flip(t, "tile/entries/001", 34*5+2)
			return p
		}, checks: "root entries", says: []string{"entries: leaf 261, in tile/entries/001, is not the commitment of its opening", "root: the checkpoint states"}},
		"an entry and its opening changed": {tamper: func(t *testing.T, p parts) parts {
			p.flip(t, "tile/entries/000", 34*5+2)
			p.lines(t, func(l []string) []string { l[5] = "B" + l[5][1:]; return l })
			return p
		}, checks: "root entries openings tiles", says: []string{"openings: leaf 5 is not", "entries: leaf 5, in tile/entries/000", "tiles: tile/0/000"}},
		"an entry's length changed": {tamper: func(t *testing.T, p parts) parts {
			p.flip(t, "tile/entries/000", 1)
			return p
		}, checks: "files root entries openings tiles", says: []string{"files: not a whole archive"}},
		"a tile changed": {tamper: func(t *testing.T, p parts) parts {
			p.flip(t, "tile/0/001", 32*7)
			return p
		}, checks: "tiles", says: []string{"tiles: tile/0/001: leaf 263 has another hash"}},
		"a tile of nodes changed": {tamper: func(t *testing.T, p parts) parts {
			p.flip(t, "tile/1/000.p/2", 0)
			return p
		}, checks: "tiles", says: []string{"tiles: tile/1/000.p/2 is not of the tree"}},
		"a checkpoint forged": {tamper: func(t *testing.T, p parts) parts {
			p.replace(t, "checkpoint", "\n700\n", "\n699\n")
			return p
		}, checks: "checkpoint root statement", says: []string{"checkpoint: not a checkpoint"}},
		"signed by another key": {tamper: func(t *testing.T, p parts) parts {
			other := newMade(n)
			other.seed = 9
			forged := unpack(t, other.bytes(t))
			p.at(t, "checkpoint").data = forged.at(t, "checkpoint").data
			return p
		}, checks: "checkpoint root statement", says: []string{"checkpoint: not a checkpoint"}},
		"signed by another key that it brings along": {tamper: func(t *testing.T, p parts) parts {
			other := newMade(n)
			other.seed = 9
			return unpack(t, other.bytes(t))
		}, checks: "key checkpoint root statement", says: []string{"key: the archive has the key"}},
		"of another house": {tamper: func(t *testing.T, p parts) parts {
			p.replace(t, "archive.json", origin, "evil.example/rock")
			return p
		}, checks: "checkpoint", says: []string{`checkpoint: it is of "votes.example.org/rock", and the archive of "evil.example/rock"`}},
		"the contest edited": {tamper: func(t *testing.T, p parts) parts {
			p.replace(t, "contest.yaml", "points: [12, 10, 8]", "points: [12, 10, 9]")
			return p
		}, checks: "contest board", says: []string{"contest: its file has SHA-256", "board: line"}},
		"the contest unreadable": {tamper: func(t *testing.T, p parts) parts {
			p.replace(t, "contest.yaml", "rank_mode", "rank_mood")
			return p
		}, checks: "contest votes board", says: []string{"contest: rock.yaml"}},
		"a band struck from the contest": {tamper: func(t *testing.T, p parts) parts {
			p.replace(t, "contest.yaml", "Bohemia Suburbana", "Bohemia")
			return p
		}, checks: "contest votes board", says: []string{"votes: leaf 2, Bohemia Suburbana, Sombras en el jardín: is refused by the rules: name: band_unknown"}},
		"the rules changed": {tamper: func(t *testing.T, p parts) parts {
			p.at(t, "rules.wasm").data += "\x00\x03\x01x\x00"
			return p
		}, checks: "rules", says: []string{"rules: rules.wasm has SHA-256"}},
		"the rules broken": {tamper: func(t *testing.T, p parts) parts {
			p.at(t, "rules.wasm").data = "x"
			return p
		}, checks: "rules votes", says: []string{"votes: leaf 0, Alux Nahual, Conquista: cannot be judged"}},
		"own rules changed": {of: own, tamper: func(t *testing.T, p parts) parts {
			p.at(t, "own.wasm").data += "\x00\x03\x01x\x00"
			return p
		}, checks: "rules", says: []string{"rules: own.wasm has SHA-256"}},
		"own rules taken away": {of: own, tamper: func(t *testing.T, p parts) parts {
			return slices.DeleteFunc(p, func(e entry) bool { return e.name == "own.wasm" })
		}, checks: "rules", says: []string{`rules: own.wasm has SHA-256 ""`}},
		"the board edited": {tamper: func(t *testing.T, p parts) parts {
			p.replace(t, "statement.json", `"name":"Alux Nahual","place":1`, `"name":"Alux Nahual","place":2`)
			return p
		}, checks: "board", says: []string{"board: line 1 is place 2, Alux Nahual, 280 votes, 3360 points, sum 280, and by the votes place 1"}},
		"the statement's counts edited": {tamper: func(t *testing.T, p parts) parts {
			p.replace(t, "statement.json", `"counted":700`, `"counted":701`)
			return p
		}, checks: "statement counts", says: []string{"counts: the statement counts 701 votes, the log 700", "statement: 701 votes are counted, and by channel 700"}},
		"the statement's digest edited": {tamper: func(t *testing.T, p parts) parts {
			p.replace(t, "statement.json", `"tally_sha256":"`, `"tally_sha256":"0`)
			return p
		}, checks: "counts", says: []string{"counts: the digest of all counted votes"}},
		"the statement's checkpoint edited": {tamper: func(t *testing.T, p parts) parts {
			p.replace(t, "statement.json", `"size":700`, `"size":699`)
			return p
		}, checks: "statement", says: []string{"statement: it names the checkpoint votes.example.org/rock, 699"}},
		"the statement written otherwise": {tamper: func(t *testing.T, p parts) parts {
			p.replace(t, "statement.json", `"contest":"rock"`, `"contest": "rock"`)
			return p
		}, checks: "statement", says: []string{"statement: it is not in its canonical form"}},
		"the statement of another contest": {tamper: func(t *testing.T, p parts) parts {
			p.replace(t, "statement.json", `"contest":"rock","contest_sha256"`, `"contest":"pop","contest_sha256"`)
			return p
		}, checks: "statement", says: []string{`statement: it is of contest "pop"`}},
		"no statement": {tamper: func(t *testing.T, p parts) parts {
			p.at(t, "statement.json").data = "null and void"
			return p
		}, checks: "statement contest rules? counts board", says: []string{"statement: it cannot be read"}},
		"an act edited": {of: annulled, tamper: func(t *testing.T, p parts) parts {
			p.replace(t, "annulments.json", `"by":"Eva"`, `"by":"Ines"`)
			return p
		}, checks: "annulments", says: []string{"annulments: act 3 does not follow the one before it"}},
		"an act struck": {of: annulled, tamper: func(t *testing.T, p parts) parts {
			e := p.at(t, "annulments.json")
			from, to := strings.Index(e.data, `{"contest":"rock","number":2`), strings.Index(e.data, `{"contest":"rock","number":3`)
			e.data = e.data[:from] + e.data[to:]
			return p
		}, checks: "annulments", says: []string{"annulments: act 2 does not follow", "annulments: case 1 is in force with 1 approvals, not 2"}},
		"all acts struck": {of: annulled, tamper: func(t *testing.T, p parts) parts {
			p.at(t, "annulments.json").data = `{"contest":"rock","acts":[]}`
			return p
		}, checks: "annulments", says: []string{"annulments: leaf 0, Alux Nahual by http, is marked annulled against the rulings in force"}},
		"an effect edited": {of: annulled, tamper: func(t *testing.T, p parts) parts {
			p.replace(t, "annulments.json", `"channels":{"http":175}`, `"channels":{"http":174}`)
			return p
		}, checks: "annulments", says: []string{"annulments: http: the newest ruling annuls 174 votes, the archive marks 175"}},
		"a board after annulment edited": {of: annulled, tamper: func(t *testing.T, p parts) parts {
			e := p.at(t, "annulments.json")
			at := strings.Index(e.data, `"board_after"`)
			e.data = e.data[:at] + strings.Replace(e.data[at:], `"name":"Alux Nahual"`, `"name":"Alux"`, 1)
			return p
		}, checks: "annulments", says: []string{"annulments: the board after it: line 1 is place 1, Alux,"}},
		"a vote that should be annulled": {of: annulled, tamper: func(t *testing.T, p parts) parts {
			p.lines(t, func(l []string) []string { l[4] = strings.Replace(l[4], "annulled", "counted", 1); return l })
			return p
		}, checks: "annulments", says: []string{"annulments: leaf 4, Viento en Contra by http, is marked counted against the rulings"}},
		"cut off": {tamper: func(_ *testing.T, p parts) parts { return p[:len(p)-1] },
			checks: "files", says: []string{"files: tile/1/000.p/2 is missing: it ends before"}},
		"a file too many": {tamper: func(_ *testing.T, p parts) parts { return append(p, entry{"tile/9/000", "x"}) },
			checks: "files", says: []string{"files: nothing should stand behind the tiles"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			of := whole
			if test.of != nil {
				of = test.of
			}
			r := verified(t, test.tamper(t, unpack(t, of.bytes(t))).pack(t), expected{Key: key})
			if r.Holds {
				t.Fatal("it holds")
			}
			all := strings.Join(told(r), "\n")
			for _, says := range test.says {
				if !strings.Contains(all, says) {
					t.Errorf("nothing says %q", says)
				}
			}
			want := strings.Fields(test.checks)
			for _, c := range r.Checks {
				may := slices.Contains(want, c.Name+"?")
				if c.reached && c.Holds == slices.Contains(want, c.Name) && !may {
					t.Errorf("%s holds %v", c.Name, c.Holds)
				}
			}
			if t.Failed() {
				t.Logf("all that is told:\n%s", all)
			}
		})
	}
}

// An archive that breaks off anywhere does not hold, and says that it is not whole.
func TestTruncated(t *testing.T) {
	data := newMade(300).bytes(t)
	for end := 0; end < len(data); end += 1 + len(data)/97 {
		r := verified(t, data[:end], expected{})
		if c := r.check(filesWhole); r.Holds || c.Holds || c.Count == 0 {
			t.Errorf("the first %d of %d bytes: files %+v", end, len(data), c)
		}
	}
}
