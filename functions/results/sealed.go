package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"marimba/events"
	"marimba/events/seal"
	"marimba/functions/internal/tlog"
)

// forEver is for what never changes.
const forEver = "public, max-age=31536000, immutable"

// headOf returns the head of the public log of the contest that a path names.
func (r *results) headOf(req *http.Request) (tlog.Head, error) {
	c, err := r.contestOf(req)
	if err != nil {
		return tlog.Head{}, err
	}
	head, ok, err := r.sealed.Head(req.Context(), c.ID)
	if err == nil && !ok {
		err = events.Refuse(events.NotSealed, "contest")
	}
	return head, err
}

// showCheckpoint answers with the newest checkpoint of a contest's log, as C2SP
// tlog-tiles has it.
func (r *results) showCheckpoint(w http.ResponseWriter, req *http.Request) error {
	head, err := r.headOf(req)
	if err != nil {
		return err
	}
	return writeText(w, req, forAMoment, head.Checkpoint)
}

// showLogKey answers with the key that a contest's checkpoints are signed with.
func (r *results) showLogKey(w http.ResponseWriter, req *http.Request) error {
	head, err := r.headOf(req)
	if err != nil {
		return err
	}
	return writeText(w, req, forAMinute, head.Key+"\n")
}

func writeText(w http.ResponseWriter, req *http.Request, maxAge, text string) error {
	writeTagged(w, req, maxAge, digestOf([]byte(text)), "text/plain; charset=utf-8", []byte(text))
	return nil
}

// showTile answers with a tile of a contest's log. A tile that is there never
// changes: a partial one is the beginning of the one that follows it.
func (r *results) showTile(w http.ResponseWriter, req *http.Request) error {
	name, ok := seal.ParseTileName("tile/" + req.PathValue("tile"))
	if !ok {
		return events.Refuse(events.RouteUnknown, "")
	}
	head, err := r.headOf(req)
	if err != nil {
		return err
	}
	done, err := r.search(req.Context())
	if err != nil {
		return err
	}
	defer done()
	data, err := r.tileOf(req.Context(), head, name)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Cache-Control", forEver)
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Length", strconv.Itoa(len(data)))
	_, _ = w.Write(data) // a reader who went away needs no answer
	return nil
}

// tileOf returns a tile of a log as tlog-tiles has it: entries with their lengths.
func (r *results) tileOf(ctx context.Context, head tlog.Head, name seal.TileName) ([]byte, error) {
	data, err := r.sealed.Tiles(ctx, head).Tile(name.Level, name.Index, name.Width)
	if errors.Is(err, tlog.ErrNoTile) {
		return nil, events.Refuse(events.NotSealed, "tile")
	}
	if err != nil || name.Level != seal.Entries {
		return data, err
	}
	out := make([]byte, 0, name.Width*(2+seal.HashSize))
	for entry := range slices.Chunk(data, seal.HashSize) {
		out = seal.AppendEntry(out, seal.Hash(entry))
	}
	return out, nil
}

// consistency shows that the log of one size is the beginning of that of another.
type consistency struct {
	From   uint64      `json:"from"`
	To     uint64      `json:"to"`
	Hashes []seal.Hash `json:"hashes"`
}

// showConsistency proves to who has an older checkpoint that nothing of it was
// changed since. To is the newest checkpoint's size, unless another is asked for.
func (r *results) showConsistency(w http.ResponseWriter, req *http.Request) error {
	q := parameters(req)
	from := q.size("from")
	to := q.size("to")
	if err := q.refusal(); err != nil {
		return err
	}
	head, err := r.headOf(req)
	if err != nil {
		return err
	}
	if to == 0 {
		to = head.Size
	}
	if to > head.Size {
		return events.Refuse(events.NotSealed, "to")
	}
	if from == 0 || from > to {
		q.refuse("from", "1–"+strconv.FormatUint(to, 10))
		return q.refusal()
	}
	done, err := r.search(req.Context())
	if err != nil {
		return err
	}
	defer done()
	hashes, err := seal.Consistency(from, to, r.sealed.Tiles(req.Context(), head))
	if err != nil {
		return fmt.Errorf("prove the log of %s: %w", head.Contest, err)
	}
	if hashes == nil {
		hashes = []seal.Hash{} // of a log and itself
	}
	return write(w, req, forEver, "", consistency{from, to, hashes})
}

// size reads a number of leaves; 0 if there is none.
func (q *query) size(name string) uint64 {
	text := q.text(name)
	if text == "" {
		return 0
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != text {
		q.refuse(name, "1, 2, 3 …")
		return 0
	}
	return n
}
