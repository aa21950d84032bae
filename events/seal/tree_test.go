package seal_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"marimba/events/seal"
)

// shelf keeps a growing tree's tiles, as a store does.
type shelf struct {
	tree *seal.Tree
	full map[seal.TileName][]byte // by level and index
}

func newShelf() *shelf {
	s := &shelf{full: make(map[seal.TileName][]byte)}
	s.tree = seal.NewTree(s.put)
	return s
}

func (s *shelf) put(t seal.Tile) {
	t.TileName.Width = 0
	s.full[t.TileName] = t.Data
}

func (s *shelf) append(entry seal.Hash) { s.tree.Append(entry) }

var errNoTile = errors.New("no such tile")

func (s *shelf) Tile(level int, index uint64, width int) ([]byte, error) {
	data, ok := s.full[seal.TileName{Level: level, Index: index}]
	if !ok {
		for _, edge := range s.tree.Edge() {
			if edge.Level == level && edge.Index == index {
				data = edge.Data
			}
		}
	}
	if len(data) < width*seal.HashSize {
		return nil, fmt.Errorf("%w: level %d index %d width %d", errNoTile, level, index, width)
	}
	return data[:width*seal.HashSize], nil
}

// other reads our tiles as x/mod's tlog does, which is another implementation of
// the same formats.
type other struct{ *shelf }

func (other) Height() int { return seal.TileHeight }

func (o other) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var out [][]byte
	for _, tile := range tiles {
		data, err := o.Tile(tile.L, uint64(tile.N), tile.W)
		if err != nil {
			return nil, err
		}
		out = append(out, data)
	}
	return out, nil
}

func (other) SaveTiles([]tlog.Tile, [][]byte) {}

// sizes are around all edges of tiles of a small tree, and some of a large one.
func sizes() []uint64 {
	var out []uint64
	for n := uint64(1); n <= 1100; n++ {
		if n <= 20 || n%256 <= 2 || n%256 >= 254 || n%97 == 0 {
			out = append(out, n)
		}
	}
	return append(out, 65_535, 65_536, 65_537, 70_001)
}

// Another implementation reads our tiles, finds our roots and takes our proofs,
// and makes the same proofs of them.
func TestTilesAreThoseOfAnotherImplementation(t *testing.T) {
	log := newShelf()
	roots := make(map[uint64]seal.Hash)
	for _, size := range sizes() {
		for n := log.tree.Size(); n < size; n++ {
			log.append(entryOf(n))
		}
		root := log.tree.Root()
		roots[size] = root
		theirs := tlog.TileHashReader(tlog.Tree{N: int64(size), Hash: tlog.Hash(root)}, other{log})
		hash, err := tlog.TreeHash(int64(size), theirs)
		if err != nil || hash != tlog.Hash(root) {
			t.Fatalf("size %d: their root is %v, ours %v: %v", size, hash, root, err)
		}
		for _, index := range []uint64{0, size / 3, size / 2, size - 1} {
			ours, err := seal.Inclusion(size, index, log)
			if err != nil {
				t.Fatal(err)
			}
			proof, err := tlog.ProveRecord(int64(size), int64(index), theirs)
			if err != nil {
				t.Fatal(err)
			}
			if !sameHashes(ours, proof) {
				t.Fatalf("leaf %d of %d: our proof is not theirs", index, size)
			}
			if err := tlog.CheckRecord(recordProof(ours), int64(size), tlog.Hash(root), int64(index), tlog.Hash(seal.LeafHash(entryOf(index)))); err != nil {
				t.Fatalf("leaf %d of %d: %v", index, size, err)
			}
		}
		for from, fromRoot := range roots {
			ours, err := seal.Consistency(from, size, log)
			if err != nil {
				t.Fatal(err)
			}
			proof, err := tlog.ProveTree(int64(size), int64(from), theirs)
			if err != nil {
				t.Fatal(err)
			}
			// Ours is RFC 6962's: nothing is sent for a tree in itself.
			if from != size && !sameHashes(ours, proof) {
				t.Fatalf("tree %d of %d: our proof is not theirs", from, size)
			}
			if err := tlog.CheckTree(recordProof(ours), int64(size), tlog.Hash(root), int64(from), tlog.Hash(fromRoot)); err != nil {
				t.Fatalf("tree %d of %d: %v", from, size, err)
			}
		}
	}
}

func recordProof(hashes []seal.Hash) []tlog.Hash {
	var out []tlog.Hash
	for _, h := range hashes {
		out = append(out, tlog.Hash(h))
	}
	return out
}

func sameHashes(ours []seal.Hash, theirs []tlog.Hash) bool {
	if len(ours) != len(theirs) {
		return false
	}
	for i := range ours {
		if tlog.Hash(ours[i]) != theirs[i] {
			return false
		}
	}
	return true
}

// A tree that is restored from its right edge goes on as if it had never stopped.
func TestRestoredTreeGoesOn(t *testing.T) {
	const last = 1500
	whole := newShelf()
	for n := uint64(0); n < last; n++ {
		whole.append(entryOf(n))
	}
	for _, size := range sizes() {
		if size > last {
			break
		}
		log := newShelf()
		for n := uint64(0); n < size; n++ {
			log.append(entryOf(n))
		}
		root := log.tree.Root()
		restored, err := seal.RestoreTree(size, log, log.put)
		if err != nil {
			t.Fatal(err)
		}
		if restored.Root() != root || restored.Size() != size {
			t.Fatalf("restored at %d: another root", size)
		}
		log.tree = restored
		for n := size; n < last; n++ {
			log.append(entryOf(n))
		}
		if log.tree.Root() != whole.tree.Root() {
			t.Fatalf("restored at %d: another root at %d", size, last)
		}
		for name, data := range whole.full {
			if !bytes.Equal(log.full[name], data) {
				t.Fatalf("restored at %d: tile %s is another", size, name.Path())
			}
		}
	}
}

// A tree is restored only from the tiles that it needs, all of which must be there.
func TestRestoreNeedsTheEdge(t *testing.T) {
	log := newShelf()
	for n := uint64(0); n < 300; n++ {
		log.append(entryOf(n))
	}
	if _, err := seal.RestoreTree(600, log, nil); !errors.Is(err, errNoTile) {
		t.Errorf("restored beyond its tiles: %v", err)
	}
	short := tilesFunc(func(int, uint64, int) ([]byte, error) { return make([]byte, 3), nil })
	if _, err := seal.RestoreTree(300, short, nil); !errors.Is(err, seal.ErrTile) {
		t.Errorf("restored from tiles of a wrong width: %v", err)
	}
	if _, err := seal.Inclusion(300, 7, short); !errors.Is(err, seal.ErrTile) {
		t.Errorf("proved from tiles of a wrong width: %v", err)
	}
}

type tilesFunc func(level int, index uint64, width int) ([]byte, error)

func (f tilesFunc) Tile(level int, index uint64, width int) ([]byte, error) {
	return f(level, index, width)
}

// A proof is of one leaf in one tree, and of nothing else.
func TestProofsOfOtherThingsAreRefused(t *testing.T) {
	log := newShelf()
	for n := uint64(0); n < 600; n++ {
		log.append(entryOf(n))
	}
	c := seal.Checkpoint{Size: 600, Root: log.tree.Root()}
	hashes, err := seal.Inclusion(600, 300, log)
	if err != nil {
		t.Fatal(err)
	}
	if err := seal.VerifyInclusion(c, 300, entryOf(300), hashes); err != nil {
		t.Fatal(err)
	}
	if seal.VerifyInclusion(c, 301, entryOf(300), hashes) == nil {
		t.Error("taken for another index")
	}
	if seal.VerifyInclusion(c, 300, entryOf(301), hashes) == nil {
		t.Error("taken for another entry")
	}
	if seal.VerifyInclusion(c, 300, entryOf(300), hashes[1:]) == nil {
		t.Error("taken without its first hash")
	}
	if seal.VerifyInclusion(seal.Checkpoint{Size: 600}, 300, entryOf(300), hashes) == nil {
		t.Error("taken for another root")
	}
	if _, err := seal.Inclusion(600, 600, log); err == nil {
		t.Error("a leaf outside of the tree was proved")
	}
	if _, err := seal.Consistency(601, 600, log); err == nil {
		t.Error("a tree was proved in a smaller one")
	}
}

// The names of all tiles of a tree are its tiles, each of which it has.
func TestTilesOfIsWhatATreeHas(t *testing.T) {
	for _, size := range []uint64{0, 1, 255, 256, 257, 65_536, 70_001} {
		log := newShelf()
		for n := uint64(0); n < size; n++ {
			log.append(entryOf(n))
		}
		have := len(log.full) + len(log.tree.Edge())
		err := seal.TilesOf(size, func(name seal.TileName) error {
			have--
			_, err := log.Tile(name.Level, name.Index, name.Width)
			return err
		})
		if err != nil || have != 0 {
			t.Errorf("size %d: %d tiles too many: %v", size, have, err)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	tree := seal.NewTree(nil)
	entry := entryOf(0)
	b.ReportAllocs()
	for b.Loop() {
		tree.Append(entry)
	}
}
