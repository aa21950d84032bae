package archive

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"marimba/events"
	"marimba/events/seal"
)

// lineOf is the line of leaf i.
func lineOf(i int) Line {
	l := Line{Opening: seal.Opening{
		Contest: "rock", Channel: events.Channels[i%4], Name: fmt.Sprint("Banda ñ ", i%5), Album: fmt.Sprint("Álbum ", i%3), Year: int32(1990 + i%9), Rank: int32(i % 1001),
	}, Mark: marks[i%3]}
	l.Salt[0], l.Salt[1], l.Salt[15] = byte(i), byte(i>>8), 0xfe
	if i%7 == 0 {
		l.Opening.Album = ""
	}
	return l
}

func files() Files {
	return Files{
		Head: Head{Contest: "rock", Origin: "example.gt/marimba/rock", MadeAt: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)},
		Key:  "the key", Checkpoint: "the checkpoint\n", Contest: []byte("contest: rock\n"), Rules: []byte("\x00asm"), Own: []byte("own"),
		Statement: []byte(`{"contest":"rock"}`), Annulments: []byte("{}"),
	}
}

// packed writes an archive of n leaves.
func packed(t testing.TB, f Files, n int) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, f)
	if err != nil {
		t.Fatal(err)
	}
	tiles := make(map[seal.TileName][]byte)
	tree := seal.NewTree(func(tile seal.Tile) { tiles[tile.TileName] = tile.Data })
	for i := range n {
		l := lineOf(i)
		tree.Append(l.Opening.Commit(l.Salt))
		if err := w.Add(l); err != nil {
			t.Fatal(err)
		}
	}
	for _, tile := range tree.Edge() {
		tiles[tile.TileName] = tile.Data
	}
	if err := w.Tiles(func(name seal.TileName) ([]byte, error) { return asServed(tiles, name), nil }); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// asServed is a tile as tlog-tiles has it.
func asServed(tiles map[seal.TileName][]byte, name seal.TileName) []byte {
	data := tiles[name]
	if name.Level != seal.Entries {
		return data
	}
	var out []byte
	for entry := range slices.Chunk(data, seal.HashSize) {
		out = seal.AppendEntry(out, seal.Hash(entry))
	}
	return out
}

// readAll reads an archive of n leaves to its end.
func readAll(data []byte, n uint64) (f Files, lines []Line, tiles []Tile, err error) {
	r, err := Open(bytes.NewReader(data))
	if err != nil {
		return Files{}, nil, nil, err
	}
	for l, err := range r.Openings() {
		if err != nil {
			return r.Files, lines, nil, err
		}
		lines = append(lines, l)
	}
	for tile, err := range r.Tiles(n) {
		if err != nil {
			return r.Files, lines, tiles, err
		}
		tiles = append(tiles, tile)
	}
	return r.Files, lines, tiles, nil
}

// What is read is what was written, also beyond a part of the openings and beyond a
// tile of tiles.
func TestReadsWhatWasWritten(t *testing.T) {
	for _, n := range []int{0, 1, 255, 256, 257, PartLines, PartLines + 1, 66_000} {
		f := files()
		data := packed(t, f, n)
		got, lines, tiles, err := readAll(data, uint64(n))
		if err != nil {
			t.Fatalf("%d leaves: %v", n, err)
		}
		f.Format = Format
		if fmt.Sprint(got) != fmt.Sprint(f) {
			t.Errorf("files are %v, want %v", got, f)
		}
		if len(lines) != n {
			t.Fatalf("%d of %d lines", len(lines), n)
		}
		tree := seal.NewTree(nil)
		for i, l := range lines {
			if l != lineOf(i) {
				t.Fatalf("line %d is %+v, want %+v", i, l, lineOf(i))
			}
			tree.Append(l.Opening.Commit(l.Salt))
		}
		want := 0
		_ = seal.TilesOf(uint64(n), func(name seal.TileName) error {
			if want < len(tiles) && tiles[want].TileName != name {
				t.Errorf("tile %d is %s, want %s", want, tiles[want].Path(), name.Path())
			}
			want++
			return nil
		})
		if len(tiles) != want {
			t.Errorf("%d tiles, want %d", len(tiles), want)
		}
	}
}

// A contest without rules of its own has an archive without own.wasm; the same
// archive is always the same bytes.
func TestOwnRulesAreOptional(t *testing.T) {
	f := files()
	f.Own = nil
	data := packed(t, f, 3)
	got, _, _, err := readAll(data, 3)
	if err != nil || got.Own != nil {
		t.Errorf("own rules are %q, %v", got.Own, err)
	}
	if !bytes.Equal(data, packed(t, f, 3)) {
		t.Error("written again it is another archive")
	}
}

// entry is an entry of a tar file.
type entry struct{ name, data string }

func unpacked(t testing.TB, data []byte) []entry {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var out []entry
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

func repacked(t testing.TB, entries []entry, kinds ...byte) []byte {
	t.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	w := tar.NewWriter(zip)
	for _, e := range entries {
		head := &tar.Header{Typeflag: tar.TypeReg, Name: e.name, Size: int64(len(e.data)), Mode: 0o600}
		if len(kinds) > 0 {
			head.Typeflag, head.Linkname = kinds[0], "/etc/passwd"
			if kinds[0] != tar.TypeReg {
				head.Size = 0
			}
		}
		if err := w.WriteHeader(head); err != nil {
			t.Fatal(err)
		}
		if head.Size > 0 {
			if _, err := io.WriteString(w, e.data); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(w.Close(), zip.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Whatever is wrong with an archive's form is an error that names it.
func TestWhatIsNoArchive(t *testing.T) {
	const n = 300
	whole := unpacked(t, packed(t, files(), n))
	find := func(name string) int {
		i := slices.IndexFunc(whole, func(e entry) bool { return e.name == name })
		if i < 0 {
			t.Fatalf("there is no %s", name)
		}
		return i
	}
	change := func(name string, to func(string) string) []byte {
		all := slices.Clone(whole)
		i := find(name)
		all[i].data = to(all[i].data)
		return repacked(t, all)
	}
	edit := func(old, new string) func(string) string {
		return func(s string) string {
			if !strings.Contains(s, old) {
				t.Fatalf("%q is not there", old)
			}
			return strings.Replace(s, old, new, 1)
		}
	}
	without := func(name string) []byte {
		i := find(name)
		return repacked(t, slices.Delete(slices.Clone(whole), i, i+1))
	}
	tests := map[string]struct {
		data []byte
		says string
	}{
		"nothing":             {nil, "not compressed by gzip"},
		"something else":      {[]byte("PK\x03\x04"), "not compressed by gzip"},
		"no files":            {repacked(t, nil), "archive.json is missing: it ends before"},
		"a link":              {repacked(t, whole[:1], tar.TypeSymlink), `"archive.json" is not a plain file`},
		"another format":      {change("archive.json", edit("archive/v1", "archive/v9")), `its format is "marimba.archive/v9"`},
		"no contest":          {change("archive.json", edit(`"rock"`, `"Rock!"`)), `"Rock!" is no contest`},
		"no JSON":             {change("archive.json", edit("{", "")), "read archive.json"},
		"no key":              {without("key"), `key is missing: "checkpoint" stands in its place`},
		"no rules":            {without("rules.wasm"), `rules.wasm is missing: "own.wasm" stands`},
		"a long key":          {change("key", func(string) string { return strings.Repeat("k", 1<<10+1) }), "key has 1025 bytes, more than 1024"},
		"no openings":         {without("openings/000000"), ""},
		"a later part":        {repacked(t, renamed(whole, "openings/000000", "openings/000001")), "openings/000000 is missing"},
		"a line of less":      {change("openings/000000", edit("\t", "")), "openings/000000:1: not of salt, channel"},
		"a line of more":      {change("openings/000000", edit("\n", "\tx\n")), "openings/000000:1: not of salt, channel"},
		"a line too long":     {change("openings/000000", edit("Banda", strings.Repeat("B", MaxLine))), "openings/000000:1: a line that"},
		"a line cut off":      {change("openings/000000", func(s string) string { return s[:len(s)-1] }), "openings/000000:300: a line that does not end"},
		"a salt of less":      {change("openings/000000", func(s string) string { return s[1:] }), "is no salt"},
		"a year of zeros":     {change("openings/000000", edit("\t1990\t", "\t01990\t")), `"01990" is no year`},
		"a rank that is none": {change("openings/000000", edit("\t1990\t0\t", "\t1990\t-1\t")), `"-1" is no rank`},
		"a state of another":  {change("openings/000000", edit("counted", "Counted")), `"Counted" is no state`},
		"a tile of less":      {change("tile/0/000", func(s string) string { return s[1:] }), "tile/0/000 has 8191 bytes, not 8192"},
		"a tile of more":      {change("tile/0/000", func(s string) string { return s + "x" }), "tile/0/000 has 8193 bytes, more than 8192"},
		"no tile":             {without("tile/0/000"), `tile/0/000 is missing: "tile/0/001.p/44" stands`},
		"a tile too many":     {repacked(t, append(slices.Clone(whole), entry{"tile/2/000.p/1", "x"})), `nothing should stand behind the tiles: "tile/2/000.p/1"`},
		"tiles cut off":       {repacked(t, whole[:len(whole)-1]), "tile/1/000.p/1 is missing: it ends before"},
	}
	for name, test := range tests {
		_, lines, _, err := readAll(test.data, n)
		if name == "no openings" {
			if len(lines) != 0 || err != nil {
				t.Errorf("without openings there are %d lines, %v", len(lines), err)
			}
			continue
		}
		if !errors.Is(err, ErrArchive) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: the error is %v, want %q", name, err, test.says)
		}
	}
}

func renamed(entries []entry, from, to string) []entry {
	out := slices.Clone(entries)
	for i := range out {
		if out[i].name == from {
			out[i].name = to
		}
	}
	return out
}

// An archive that breaks off anywhere, or of which any byte is another, is either
// an error or reads as the one that was written: gzip and tar say some things in
// more than one way, and none of those is of what is read.
func TestBrokenBytes(t *testing.T) {
	const n = 20
	data := packed(t, files(), n)
	f, lines, tiles, err := readAll(data, n)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprint(f, lines, tiles)
	for end := range len(data) {
		if _, _, _, err := readAll(data[:end], n); err == nil {
			t.Fatalf("the first %d of %d bytes are a whole archive", end, len(data))
		}
	}
	for at := range data {
		other := slices.Clone(data)
		other[at] ^= 0x10
		f, lines, tiles, err := readAll(other, n)
		if err == nil && fmt.Sprint(f, lines, tiles) != want {
			t.Fatalf("with byte %d changed it is another archive, without an error", at)
		}
	}
}

// A writer writes nothing that a reader would not read.
func TestWriterHoldsTheBounds(t *testing.T) {
	f := files()
	f.Statement = make([]byte, 16<<20+1)
	if _, err := NewWriter(io.Discard, f); err == nil {
		t.Error("a statement that is too long is written")
	}
	w, err := NewWriter(io.Discard, files())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"a tab": "a\tb", "a line break": "a\nb", "no UTF-8": "\xff", "too long": strings.Repeat("x", MaxLine)} {
		l := lineOf(1)
		l.Opening.Name = text
		if err := w.Add(l); err == nil {
			t.Errorf("%s is written", name)
		}
	}
	if err := w.Add(lineOf(1)); err != nil {
		t.Fatal(err)
	}
	if err := w.Tiles(func(seal.TileName) ([]byte, error) { return make([]byte, 5), nil }); err == nil {
		t.Error("a tile of the wrong length is written")
	}
}

// FuzzReader reads anything, compressed and as the tar that is in it: it ends within
// its bounds, and what it takes has every file.
func FuzzReader(f *testing.F) {
	whole := packed(f, files(), 300)
	f.Add(whole)
	for _, n := range []int{0, 2} {
		zip, err := gzip.NewReader(bytes.NewReader(packed(f, files(), n)))
		if err != nil {
			f.Fatal(err)
		}
		text, err := io.ReadAll(zip)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
		f.Add(text[:len(text)/2])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var zipped bytes.Buffer
		zip := gzip.NewWriter(&zipped)
		_, _ = zip.Write(data)
		_ = zip.Close()
		for _, text := range [][]byte{data, zipped.Bytes()} {
			got, lines, tiles, err := readAll(text, 2)
			if err != nil {
				if !errors.Is(err, ErrArchive) {
					t.Errorf("the error is %v", err)
				}
				continue
			}
			if got.Head.Format != Format || len(tiles) != 2 || len(lines) > len(data) {
				t.Errorf("%+v, %d lines and %d tiles", got.Head, len(lines), len(tiles))
			}
		}
	})
}

// FuzzLine reads any line: what it takes is written again as the same bytes.
func FuzzLine(f *testing.F) {
	for i := range 8 {
		l := lineOf(i)
		text, err := l.append(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text[:len(text)-1])
	}
	f.Add([]byte("\t\t\t\t\t\t"))
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := parseLine(text, "rock", &texts{known: make(map[string]string)})
		if err != nil {
			return
		}
		again, err := l.append(nil)
		if len(text) < MaxLine && (err != nil || string(again) != string(text)+"\n") {
			t.Errorf("%q is written again as %q, %v", text, again, err)
		}
	})
}
