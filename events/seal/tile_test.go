package seal_test

import (
	"errors"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"marimba/events/seal"
)

// Paths are read as they are written, and in no other spelling.
func TestTilePaths(t *testing.T) {
	for _, p := range makeVectors(t).Paths {
		name, ok := seal.ParseTileName(p.Path)
		if want := (seal.TileName{Level: p.Level, Index: p.Index, Width: p.Width}); !ok || name != want {
			t.Errorf("%s is read as %+v, %v", p.Path, name, ok)
		}
		if p.Level == seal.Entries {
			continue
		}
		// The older sumdb layout has the height in front and is else the same.
		theirs := tlog.Tile{H: 8, L: p.Level, N: int64(p.Index), W: p.Width}.Path()
		if "tile/8/"+p.Path[len("tile/"):] != theirs {
			t.Errorf("%s is %s to the other implementation", p.Path, theirs)
		}
	}
	for _, bad := range []string{
		"", "tile", "tile/", "tile/0", "tile/0/", "tile/0/0", "tile/0/00", "tile/0/0000", "tile/0/000/", "/tile/0/000", "tile/00/000", "tile/-1/000", "tile/8/000",
		"tile/0/x000/000", "tile/0/x1/000", "tile/0/001/000", "tile/0/x001x002/000", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01", "tile/0/000.p/", "tile/0/000.p",
		"tile/0/000.p/1/", "tile/0/+01", "tile/entries/0", "tile/0/x018/x446/x744/x073/x709/x551/616", "tile/0/x000/x018/x446/x744/x073/x709/x551/615",
	} {
		if name, ok := seal.ParseTileName(bad); ok {
			t.Errorf("%q is read as %+v", bad, name)
		}
	}
}

func FuzzParseTileName(f *testing.F) {
	for _, path := range []string{"tile/0/000", "tile/7/x001/x234/067.p/5", "tile/entries/x001/000.p/255", "tile/0/x018/x446/x744/x073/x709/x551/615"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		name, ok := seal.ParseTileName(path)
		if !ok {
			return
		}
		if name.Path() != path || name.Level < seal.Entries || name.Level > 7 || name.Width < 1 || name.Width > seal.TileWidth {
			t.Errorf("%q is read as %+v", path, name)
		}
	})
}

// The width of a tile is what a tree has of it, and none where it has nothing.
func TestWidthIn(t *testing.T) {
	for _, c := range []struct {
		size  uint64
		level int
		index uint64
		want  int
	}{
		{0, 0, 0, 0}, {1, 0, 0, 1}, {1, seal.Entries, 0, 1}, {256, 0, 0, 256}, {256, 0, 1, 0}, {256, 1, 0, 1}, {255, 1, 0, 0}, {257, 0, 1, 1},
		{70_000, 0, 273, 112}, {70_000, 1, 1, 17}, {70_000, 2, 0, 1}, {70_000, 3, 0, 0}, {70_000, 0, 1 << 60, 0}, {1<<64 - 1, 7, 0, 255}, {1<<64 - 1, 8, 0, 0},
	} {
		if got := seal.WidthIn(c.size, c.level, c.index); got != c.want {
			t.Errorf("tile %d/%d of %d leaves: width %d, not %d", c.level, c.index, c.size, got, c.want)
		}
	}
}

func TestEntriesAreReadAsWritten(t *testing.T) {
	var data []byte
	for n := range uint64(3) {
		data = seal.AppendEntry(data, entryOf(n))
	}
	entries, err := seal.ReadEntries(data, 3)
	if err != nil {
		t.Fatal(err)
	}
	for n := range uint64(3) {
		if entries[n] != entryOf(n) {
			t.Errorf("entry %d is another", n)
		}
	}
	data[34] ^= 1
	for _, bad := range []struct {
		data  []byte
		width int
	}{{data, 3}, {data[:34], 2}, {data[:33], 1}, {nil, 1}} {
		if _, err := seal.ReadEntries(bad.data, bad.width); !errors.Is(err, seal.ErrTile) {
			t.Errorf("%d bytes are read as %d entries: %v", len(bad.data), bad.width, err)
		}
	}
}
