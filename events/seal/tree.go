package seal

import (
	"fmt"

	"github.com/transparency-dev/merkle/compact"
)

// Tile is a tile with its hashes; at level Entries, with its bare entries, one
// after the other and without their lengths. Data is the receiver's.
type Tile struct {
	TileName
	Data []byte
}

// Tree grows over entries. It holds no more than its right edge, so that a tree
// of any size goes on in a few tens of kilobytes. It is for one goroutine.
type Tree struct {
	full  func(Tile)
	edge  [maxLevel + 2][]byte // the unfinished tile of each level, entries first
	nodes *compact.Range
	arena []byte
}

// NewTree returns a tree without leaves. It tells full, if there is one, of each
// tile when it is finished.
func NewTree(full func(Tile)) *Tree {
	t := &Tree{full: full}
	t.nodes = t.factory().NewEmptyRange(0)
	return t
}

// RestoreTree returns the tree of a size of which tiles holds the right edge,
// that of the entries too. Whether it is the right one its Root tells.
func RestoreTree(size uint64, tiles Tiles, full func(Tile)) (*Tree, error) {
	t := &Tree{full: full}
	for level := Entries; level <= maxLevel; level++ {
		index := size >> (TileHeight * max(level, 0)) >> TileHeight
		width := WidthIn(size, level, index)
		if width == 0 {
			continue
		}
		data, err := read(tiles, TileName{level, index, width})
		if err != nil {
			return nil, err
		}
		t.edge[level+1] = append(make([]byte, 0, TileWidth*HashSize), data...)
	}
	ids := compact.RangeNodes(0, size, nil)
	hashes := make([][]byte, len(ids))
	for i, id := range ids {
		hash := t.peak(id)
		hashes[i] = hash[:]
	}
	var err error
	t.nodes, err = t.factory().NewRange(0, size, hashes)
	if err != nil {
		return nil, fmt.Errorf("restore a tree of %d leaves: %w", size, err)
	}
	return t, nil
}

// peak returns a node of the compact range: all of them stand over hashes of
// unfinished tiles, for a finished one is part of what is above it.
func (t *Tree) peak(id compact.NodeID) Hash {
	level, height := int(id.Level)/TileHeight, id.Level%TileHeight
	first := int(id.Index<<height) % TileWidth
	return subtree(t.edge[level+1][first*HashSize : (first+1<<height)*HashSize])
}

// subtree returns the root over a number of hashes that is a power of two.
func subtree(hashes []byte) Hash {
	if len(hashes) == HashSize {
		return Hash(hashes)
	}
	half := len(hashes) / 2
	left, right := subtree(hashes[:half]), subtree(hashes[half:])
	return nodeHash(left[:], right[:])
}

func (t *Tree) factory() *compact.RangeFactory {
	return &compact.RangeFactory{Hash: func(left, right []byte) []byte { return t.keep(nodeHash(left, right)) }}
}

// keep gives a hash a place of its own that is not an allocation of its own.
func (t *Tree) keep(hash Hash) []byte {
	if len(t.arena) < HashSize {
		t.arena = make([]byte, 128*HashSize)
	}
	out := t.arena[:HashSize:HashSize]
	t.arena = t.arena[HashSize:]
	copy(out, hash[:])
	return out
}

// Size returns the number of leaves.
func (t *Tree) Size() uint64 { return t.nodes.End() }

// Root returns the tree's root.
func (t *Tree) Root() Hash {
	if t.Size() == 0 {
		return EmptyRoot
	}
	root, err := t.nodes.GetRootHash(nil)
	if err != nil || len(root) != HashSize {
		panic(fmt.Sprintf("seal: root of %d leaves: %v", t.Size(), err)) // a range from 0 has one
	}
	return Hash(root)
}

// Append adds a leaf that holds an entry.
func (t *Tree) Append(entry Hash) {
	t.add(Entries, t.Size(), entry[:])
	size := t.Size()
	if err := t.nodes.Append(t.keep(LeafHash(entry)), t.visit); err != nil {
		panic(fmt.Sprintf("seal: append to %d leaves: %v", size, err)) // its hashes are as many as its size says
	}
}

// visit is told of each node when it is made, and keeps those that tiles hold.
func (t *Tree) visit(id compact.NodeID, hash []byte) {
	if id.Level%TileHeight == 0 {
		t.add(int(id.Level)/TileHeight, id.Index, hash)
	}
}

func (t *Tree) add(level int, index uint64, hash []byte) {
	edge := t.edge[level+1]
	if edge == nil {
		edge = make([]byte, 0, TileWidth*HashSize)
	}
	edge = append(edge, hash...)
	if len(edge) == TileWidth*HashSize {
		if t.full == nil {
			edge = edge[:0]
		} else {
			t.full(Tile{TileName{level, index >> TileHeight, TileWidth}, edge})
			edge = nil
		}
	}
	t.edge[level+1] = edge
}

// Edge returns the tiles of the right edge that are not finished.
func (t *Tree) Edge() []Tile {
	var out []Tile
	for i, edge := range t.edge {
		if len(edge) == 0 {
			continue
		}
		level := i - 1
		name := TileName{level, t.Size() >> (TileHeight * max(level, 0)) >> TileHeight, len(edge) / HashSize}
		out = append(out, Tile{name, append([]byte(nil), edge...)})
	}
	return out
}
