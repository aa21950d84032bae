package archive

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"marimba/events"
	"marimba/events/seal"
)

// ErrArchive is wrapped by every error about bytes that are not an archive, or not
// the whole of one.
var ErrArchive = errors.New("not a whole archive")

// Reader reads an archive in one pass: its files, then Openings, then Tiles, each
// once and to its end.
type Reader struct {
	Files Files

	gzip  *gzip.Reader
	tar   *tar.Reader
	next  *tar.Header // that was read and not used yet; nil at the end
	votes uint64
}

// Open reads an archive's files. An error wraps ErrArchive, and what its source said.
func Open(from io.Reader) (*Reader, error) {
	packed, err := gzip.NewReader(from)
	if err != nil {
		return nil, broken("it is not compressed by gzip", err)
	}
	packed.Multistream(false)
	r := &Reader{gzip: packed, tar: tar.NewReader(packed)}
	if err := r.step(); err != nil {
		return nil, err
	}
	files := make([][]byte, len(forms))
	for i, of := range forms {
		if r.next == nil || r.next.Name != of.name {
			if of.optional {
				continue
			}
			return nil, fmt.Errorf("%w: %s is missing%s", ErrArchive, of.name, r.instead())
		}
		if files[i], err = r.read(of.most); err != nil {
			return nil, err
		}
	}
	head, err := readHead(files[0])
	if err != nil {
		return nil, err
	}
	r.Files = Files{
		Head: head, Key: strings.TrimSuffix(string(files[1]), "\n"), Checkpoint: string(files[2]), Contest: files[3], Rules: files[4],
		Own: files[5], Statement: files[6], Annulments: files[7],
	}
	return r, nil
}

func readHead(text []byte) (Head, error) {
	var h Head
	if err := json.Unmarshal(text, &h); err != nil {
		return Head{}, fmt.Errorf("%w: read %s: %w", ErrArchive, headName, err)
	}
	switch {
	case h.Format != Format:
		return Head{}, fmt.Errorf("%w: its format is %.60q, not %q", ErrArchive, h.Format, Format)
	case !events.IsContestID(h.Contest):
		return Head{}, fmt.Errorf("%w: %.80q is no contest", ErrArchive, h.Contest)
	}
	return h, nil
}

// Votes is how many openings have been read.
func (r *Reader) Votes() uint64 { return r.votes }

// step goes to the next entry.
func (r *Reader) step() error {
	next, err := r.tar.Next()
	if errors.Is(err, io.EOF) {
		r.next = nil
		return r.end()
	}
	if err != nil {
		return broken("read on", err)
	}
	if next.Typeflag != tar.TypeReg {
		return fmt.Errorf("%w: %.80q is not a plain file", ErrArchive, next.Name)
	}
	r.next = next
	return nil
}

// end reads what is left behind the last entry: the rest of tar's last block, and
// gzip's own check of all that was read.
func (r *Reader) end() error {
	rest, err := io.ReadAll(io.LimitReader(r.gzip, maxRest+1))
	if err != nil {
		return broken("read its end", err)
	}
	if len(rest) > maxRest || len(bytes.Trim(rest, "\x00")) > 0 {
		return fmt.Errorf("%w: something stands behind its end", ErrArchive)
	}
	return nil
}

// maxRest is how many zeros tar may write behind its end, in bytes.
const maxRest = 64 << 10

// read reads the entry that is next, and goes on.
func (r *Reader) read(most int64) ([]byte, error) {
	name, size := r.next.Name, r.next.Size
	if size < 0 || size > most {
		return nil, fmt.Errorf("%w: %s has %d bytes, more than %d", ErrArchive, name, size, most)
	}
	// What an entry says of its length is not believed: bytes are held as they come.
	var data bytes.Buffer
	data.Grow(int(min(size, 64<<10)))
	if _, err := io.Copy(&data, io.LimitReader(r.tar, size)); err != nil {
		return nil, broken("read "+name, err)
	}
	if int64(data.Len()) != size {
		return nil, fmt.Errorf("%w: %s is cut off", ErrArchive, name)
	}
	return data.Bytes(), r.step()
}

// instead names what stands where something else should.
func (r *Reader) instead() string {
	if r.next == nil {
		return ": it ends before"
	}
	return fmt.Sprintf(": %.80q stands in its place", r.next.Name)
}

// Openings returns the lines of all leaves in their order. It ends with its first
// error.
func (r *Reader) Openings() iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		known := &texts{known: make(map[string]string)}
		for part := 0; r.next != nil && strings.HasPrefix(r.next.Name, "openings/"); part++ {
			if !r.readPart(part, known, yield) {
				return
			}
		}
	}
}

func (r *Reader) readPart(part int, known *texts, yield func(Line, error) bool) bool {
	fail := func(err error) bool {
		yield(Line{}, err)
		return false
	}
	name := partName(part)
	if r.next.Name != name {
		return fail(fmt.Errorf("%w: %s is missing%s", ErrArchive, name, r.instead()))
	}
	if r.votes != uint64(part)*PartLines {
		return fail(fmt.Errorf("%w: %s begins at leaf %d, not %d", ErrArchive, name, r.votes, part*PartLines))
	}
	text, err := r.read(maxPart)
	if err != nil {
		return fail(err)
	}
	for line := 1; len(text) > 0; line++ {
		one, rest, ended := bytes.Cut(text, []byte("\n"))
		if !ended || len(one) >= MaxLine || line > PartLines || r.votes == MaxVotes {
			return fail(fmt.Errorf("%w: %s:%d: a line that does not end, is too long, or one too many", ErrArchive, name, line))
		}
		l, err := parseLine(one, r.Files.Head.Contest, known)
		if err != nil {
			return fail(fmt.Errorf("%w: %s:%d: %w", ErrArchive, name, line, err))
		}
		r.votes++
		if !yield(l, nil) {
			return false
		}
		text = rest
	}
	return true
}

// Tile is a tile of an archive, with its bytes as tlog-tiles has them.
type Tile struct {
	seal.TileName
	Data []byte
}

// Tiles returns the tiles of a tree of a size, all of them and in their order. An
// archive that holds others, or anything behind them, gives an error. It ends with
// its first error.
func (r *Reader) Tiles(size uint64) iter.Seq2[Tile, error] {
	return func(yield func(Tile, error) bool) {
		err := seal.TilesOf(min(size, MaxVotes), func(name seal.TileName) error {
			path := name.Path()
			if r.next == nil || r.next.Name != path {
				return fmt.Errorf("%w: %s is missing%s", ErrArchive, path, r.instead())
			}
			data, err := r.read(sizeOf(name))
			if err == nil && int64(len(data)) != sizeOf(name) {
				err = fmt.Errorf("%w: %s has %d bytes, not %d", ErrArchive, path, len(data), sizeOf(name))
			}
			if err == nil && !yield(Tile{name, data}, nil) {
				err = errEnough
			}
			return err
		})
		if err == nil && r.next != nil {
			err = fmt.Errorf("%w: nothing should stand behind the tiles%s", ErrArchive, r.instead())
		}
		if err != nil && !errors.Is(err, errEnough) {
			yield(Tile{}, err)
		}
	}
}

// errEnough is that a reader of tiles wants no more.
var errEnough = errors.New("enough")

// broken is a fault of the bytes below: of gzip, tar, or of what they are read from.
func broken(step string, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrArchive, step, err)
}
