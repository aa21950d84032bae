package seal

import (
	"fmt"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
)

// Inclusion returns the proof that leaf index is in the tree of a size, made of
// the tiles that the tree has.
func Inclusion(size, index uint64, tiles Tiles) ([]Hash, error) {
	nodes, err := proof.Inclusion(index, size)
	if err != nil {
		return nil, fmt.Errorf("prove leaf %d in a tree of %d: %w", index, size, err)
	}
	return hashesOf(nodes, size, tiles)
}

// Consistency returns the proof that the tree of size from is the beginning of
// the tree of size to, made of the tiles that the latter has.
func Consistency(from, to uint64, tiles Tiles) ([]Hash, error) {
	nodes, err := proof.Consistency(from, to)
	if err != nil {
		return nil, fmt.Errorf("prove a tree of %d in a tree of %d: %w", from, to, err)
	}
	return hashesOf(nodes, to, tiles)
}

// VerifyInclusion returns an error unless the proof shows that the tree of the
// checkpoint holds an entry as its leaf index.
func VerifyInclusion(c Checkpoint, index uint64, entry Hash, hashes []Hash) error {
	leaf := LeafHash(entry)
	err := proof.VerifyInclusion(rfc6962.DefaultHasher, index, c.Size, leaf[:], slicesOf(hashes), c.Root[:])
	if err != nil {
		return fmt.Errorf("leaf %d in a tree of %d: %w", index, c.Size, err)
	}
	return nil
}

// VerifyConsistency returns an error unless the proof shows that the tree of one
// checkpoint is the beginning of the other's.
func VerifyConsistency(from, to Checkpoint, hashes []Hash) error {
	err := proof.VerifyConsistency(rfc6962.DefaultHasher, from.Size, to.Size, slicesOf(hashes), from.Root[:], to.Root[:])
	if err != nil {
		return fmt.Errorf("a tree of %d in a tree of %d: %w", from.Size, to.Size, err)
	}
	return nil
}

func slicesOf(hashes []Hash) [][]byte {
	out := make([][]byte, len(hashes))
	for i := range hashes {
		out[i] = hashes[i][:]
	}
	return out
}

// hashesOf reads a proof's nodes from the tiles, each tile once.
func hashesOf(nodes proof.Nodes, size uint64, tiles Tiles) ([]Hash, error) {
	seen := make(map[TileName][]byte)
	hashes := make([][]byte, len(nodes.IDs))
	for i, id := range nodes.IDs {
		level, height := int(id.Level)/TileHeight, id.Level%TileHeight
		index := id.Index << height >> TileHeight
		name := TileName{level, index, WidthIn(size, level, index)}
		data, ok := seen[name]
		if !ok {
			var err error
			if data, err = read(tiles, name); err != nil {
				return nil, err
			}
			seen[name] = data
		}
		hash, err := nodeIn(data, id, height)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name.Path(), err)
		}
		hashes[i] = hash[:]
	}
	hashes, err := nodes.Rehash(hashes, rfc6962.DefaultHasher.HashChildren)
	if err != nil {
		return nil, fmt.Errorf("put a proof together: %w", err)
	}
	out := make([]Hash, len(hashes))
	for i, hash := range hashes {
		out[i] = Hash(hash)
	}
	return out, nil
}

// nodeIn returns the node that stands height levels over hashes of a tile.
func nodeIn(data []byte, id compact.NodeID, height uint) (Hash, error) {
	first := int(id.Index << height % TileWidth)
	end := (first + 1<<height) * HashSize
	if end > len(data) {
		return Hash{}, fmt.Errorf("%w: it does not hold node %d of level %d", ErrTile, id.Index, id.Level)
	}
	return subtree(data[first*HashSize : end]), nil
}

func read(tiles Tiles, name TileName) ([]byte, error) {
	data, err := tiles.Tile(name.Level, name.Index, name.Width)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name.Path(), err)
	}
	if len(data) != name.Width*HashSize {
		return nil, fmt.Errorf("read %s: %w: it has %d bytes", name.Path(), ErrTile, len(data))
	}
	return data, nil
}
