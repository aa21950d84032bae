package seal

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A tile holds TileWidth hashes of one level: level L has the nodes that stand
// over TileWidth^L leaves.
const (
	TileHeight = 8
	TileWidth  = 1 << TileHeight
)

// Entries is the level of the tiles that hold the entries themselves.
const Entries = -1

// maxLevel is the highest level that a tree of 2^64 leaves has.
const maxLevel = 64/TileHeight - 1

// TileName says which tile is meant. Width is TileWidth for a full one, and less
// for one at the tree's right edge.
type TileName struct {
	Level int
	Index uint64
	Width int
}

// Path returns the tile's path as C2SP tlog-tiles has it:
// "tile/<L>/<N>[.p/<W>]", or "tile/entries/<N>[.p/<W>]".
func (t TileName) Path() string {
	var b strings.Builder
	b.WriteString("tile/")
	if t.Level == Entries {
		b.WriteString("entries")
	} else {
		b.WriteString(strconv.Itoa(t.Level))
	}
	digits := strconv.FormatUint(t.Index, 10)
	digits = strings.Repeat("0", (3-len(digits)%3)%3) + digits
	for ; digits != ""; digits = digits[3:] {
		b.WriteByte('/')
		if len(digits) > 3 {
			b.WriteByte('x')
		}
		b.WriteString(digits[:3])
	}
	if t.Width != TileWidth {
		b.WriteString(".p/")
		b.WriteString(strconv.Itoa(t.Width))
	}
	return b.String()
}

// maxPath bounds a tile's path: twenty digits, each three with a slash and an x.
const maxPath = len("tile/entries") + 7*len("/x000") + len(".p/255")

// ParseTileName reads what Path wrote, and nothing that is written otherwise.
func ParseTileName(path string) (TileName, bool) {
	if len(path) > maxPath {
		return TileName{}, false
	}
	rest, ok := strings.CutPrefix(path, "tile/")
	if !ok {
		return TileName{}, false
	}
	level, rest, ok := strings.Cut(rest, "/")
	if !ok {
		return TileName{}, false
	}
	t := TileName{Level: Entries, Width: TileWidth}
	if level != "entries" {
		n, err := strconv.ParseUint(level, 10, 8)
		if err != nil || n > maxLevel {
			return TileName{}, false
		}
		t.Level = int(n)
	}
	index, width, partial := strings.Cut(rest, ".p/")
	if partial {
		n, err := strconv.ParseUint(width, 10, 16)
		if err != nil || n == 0 || n >= TileWidth {
			return TileName{}, false
		}
		t.Width = int(n)
	}
	index = strings.NewReplacer("/", "", "x", "").Replace(index)
	n, err := strconv.ParseUint(index, 10, 64)
	if err != nil {
		return TileName{}, false
	}
	t.Index = n
	return t, t.Path() == path
}

// Tiles is where the tiles of one tree are read. Tile returns the first width
// hashes of a tile, one after the other.
type Tiles interface {
	Tile(level int, index uint64, width int) ([]byte, error)
}

// WidthIn returns how many hashes the tile has in a tree of a size.
func WidthIn(size uint64, level int, index uint64) int {
	nodes := size >> (TileHeight * max(level, 0))
	if level > maxLevel || index > nodes>>TileHeight {
		return 0
	}
	return int(min(nodes-index<<TileHeight, TileWidth))
}

// TilesOf calls visit with each tile that a tree of a size has, the entries' first
// and then level by level.
func TilesOf(size uint64, visit func(TileName) error) error {
	for level := Entries; level <= maxLevel; level++ {
		for index := uint64(0); ; index++ {
			width := WidthIn(size, level, index)
			if width == 0 {
				break
			}
			if err := visit(TileName{level, index, width}); err != nil {
				return err
			}
		}
	}
	return nil
}

// AppendEntry writes an entry as a tile of entries holds it: its length in two
// bytes, and itself.
func AppendEntry(out []byte, entry Hash) []byte {
	return append(append(out, HashSize>>8, HashSize&0xff), entry[:]...)
}

// ErrTile is wrapped by every error about bytes that are not the tile they are
// said to be.
var ErrTile = errors.New("not the tile")

// ReadEntries reads the entries that a tile of entries holds, which must be width.
func ReadEntries(data []byte, width int) ([]Hash, error) {
	const each = 2 + HashSize
	if len(data) != width*each {
		return nil, fmt.Errorf("%w: %d entries are %d bytes, not %d", ErrTile, width, width*each, len(data))
	}
	entries := make([]Hash, width)
	for i := range entries {
		if data[0] != HashSize>>8 || data[1] != HashSize&0xff {
			return nil, fmt.Errorf("%w: entry %d is not of %d bytes", ErrTile, i, HashSize)
		}
		entries[i] = Hash(data[2:each])
		data = data[each:]
	}
	return entries, nil
}
