package archive

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"marimba/events/seal"
)

// Head says what an archive is.
type Head struct {
	Format  string    `json:"format"`
	Contest string    `json:"contest"`
	Origin  string    `json:"origin"`
	MadeAt  time.Time `json:"made_at"`
}

// Files are the files that stand before the openings.
type Files struct {
	Head
	Key        string // of the checkpoints, as note has it
	Checkpoint string // signed
	Contest    []byte
	Rules      []byte
	Own        []byte // nil: the contest has no rules of its own
	Statement  []byte
	Annulments []byte
}

// Writer writes an archive: its files first, then each opening in the order of the
// leaves, then the tiles. What it has written of an archive that it did not Close is
// none.
type Writer struct {
	gzip  *gzip.Writer
	tar   *tar.Writer
	at    time.Time
	part  []byte // of the openings, not written yet
	lines int    // of it
	parts int
	votes uint64
}

// NewWriter begins an archive. Each file is held to the reader's bounds.
func NewWriter(to io.Writer, f Files) (*Writer, error) {
	packed, err := gzip.NewWriterLevel(to, gzip.BestSpeed) // salts and hashes cannot be made shorter
	if err != nil {
		return nil, fmt.Errorf("begin an archive: %w", err)
	}
	w := &Writer{gzip: packed, tar: tar.NewWriter(packed), at: f.MadeAt.UTC().Truncate(time.Second)}
	f.Format = Format
	head, err := json.Marshal(f.Head)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", headName, err)
	}
	for i, data := range [...][]byte{head, []byte(f.Key), []byte(f.Checkpoint), f.Contest, f.Rules, f.Own, f.Statement, f.Annulments} {
		of := forms[i]
		if of.optional && data == nil {
			continue
		}
		if int64(len(data)) > of.most {
			return nil, fmt.Errorf("write %s: it has %d bytes, more than %d", of.name, len(data), of.most)
		}
		if err := w.file(of.name, data); err != nil {
			return nil, err
		}
	}
	return w, nil
}

func (w *Writer) file(name string, data []byte) error {
	head := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(data)), ModTime: w.at, Format: tar.FormatUSTAR}
	err := w.tar.WriteHeader(head)
	if err == nil {
		_, err = w.tar.Write(data)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// Add adds the opening of the next leaf.
func (w *Writer) Add(l Line) error {
	if w.votes == MaxVotes {
		return fmt.Errorf("write openings: more than %d votes", MaxVotes)
	}
	part, err := l.append(w.part)
	if err != nil {
		return fmt.Errorf("write the opening of leaf %d: %w", w.votes, err)
	}
	w.part = part
	w.votes++
	if w.lines++; w.lines == PartLines {
		return w.flush()
	}
	return nil
}

func (w *Writer) flush() error {
	if w.lines == 0 {
		return nil
	}
	if err := w.file(partName(w.parts), w.part); err != nil {
		return err
	}
	w.parts++
	w.part, w.lines = w.part[:0], 0
	return nil
}

// Tiles adds the tiles of the tree over the openings that were added, entries
// first. A tile is as tlog-tiles has it, the entries' with their lengths.
func (w *Writer) Tiles(read func(seal.TileName) ([]byte, error)) error {
	if err := w.flush(); err != nil {
		return err
	}
	return seal.TilesOf(w.votes, func(name seal.TileName) error {
		data, err := read(name)
		if err != nil {
			return fmt.Errorf("read %s: %w", name.Path(), err)
		}
		if int64(len(data)) != sizeOf(name) {
			return fmt.Errorf("%s has %d bytes, not %d", name.Path(), len(data), sizeOf(name))
		}
		return w.file(name.Path(), data)
	})
}

// Close ends the archive. It does not close what the archive is written to.
func (w *Writer) Close() error {
	if err := errors.Join(w.flush(), w.tar.Close(), w.gzip.Close()); err != nil {
		return fmt.Errorf("end an archive: %w", err)
	}
	return nil
}
