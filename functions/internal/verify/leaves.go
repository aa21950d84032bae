package main

import (
	"cmp"
	"crypto/sha256"
	"slices"
	"strconv"

	"marimba/events/seal"
)

// leaves are commitments in their order, and what a tree over them makes: its root,
// and of each tile the digest. It takes some 33 bytes a leaf where the commitments
// are kept, and else next to nothing.
type leaves struct {
	tree   *seal.Tree
	digest map[seal.TileName][sha256.Size]byte
	kept   [][]seal.Hash // pages of pageSize
	keeps  bool
}

const pageSize = 4 << 10

func newLeaves(keeps bool) *leaves {
	l := &leaves{digest: make(map[seal.TileName][sha256.Size]byte), keeps: keeps}
	l.tree = seal.NewTree(l.see)
	return l
}

func (l *leaves) see(tile seal.Tile) {
	if tile.Level != seal.Entries {
		l.digest[tile.TileName] = sha256.Sum256(tile.Data)
	}
}

func (l *leaves) add(entry seal.Hash) {
	if l.keeps {
		if at := int(l.tree.Size() % pageSize); at == 0 {
			l.kept = append(l.kept, make([]seal.Hash, 0, pageSize))
		}
		last := &l.kept[len(l.kept)-1]
		*last = append(*last, entry)
	}
	l.tree.Append(entry)
}

// end takes in the tiles of the right edge.
func (l *leaves) end() {
	for _, tile := range l.tree.Edge() {
		l.see(tile)
	}
}

// at returns a commitment that was kept.
func (l *leaves) at(leaf uint64) (seal.Hash, bool) {
	if leaf >= l.tree.Size() || !l.keeps {
		return seal.Hash{}, false
	}
	return l.kept[leaf/pageSize][leaf%pageSize], true
}

// twice calls visit with each two leaves that hold the same commitment.
func (l *leaves) twice(visit func(first, again uint64)) {
	order := make([]uint32, l.tree.Size())
	for i := range order {
		order[i] = uint32(i)
	}
	of := func(leaf uint32) *seal.Hash { return &l.kept[leaf/pageSize][leaf%pageSize] }
	slices.SortFunc(order, func(a, b uint32) int {
		x, y := of(a), of(b)
		return cmp.Or(slices.Compare(x[:8], y[:8]), slices.Compare(x[8:], y[8:]), cmp.Compare(a, b))
	})
	for i := 1; i < len(order); i++ {
		if *of(order[i]) == *of(order[i-1]) {
			visit(uint64(order[i-1]), uint64(order[i]))
		}
	}
}

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }
