package tlog

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"marimba/config"
	"marimba/events/seal"
	"marimba/functions/internal/mongodb"
)

// Log is the public log of all contests, to be read. It is safe for concurrent use.
type Log struct {
	client *mongo.Client
	store  store
	read   shelf
}

// Open returns the log in the MongoDB of cfg. It does not connect: each call does
// when it needs to. Close ends what Open starts.
func Open(cfg config.Mongo) (*Log, error) {
	client, err := mongodb.Client(cfg)
	if err != nil {
		return nil, err
	}
	return &Log{client: client, store: newMongoStore(client.Database(cfg.Database))}, nil
}

// Close ends the connections.
func (l *Log) Close(ctx context.Context) error {
	if err := l.client.Disconnect(ctx); err != nil {
		return fmt.Errorf("close the public log: %w", err)
	}
	return nil
}

// Head is what a contest's log is now.
type Head struct {
	Contest    string
	N          int64 // batches
	Size       uint64
	Root       seal.Hash
	Checkpoint string // signed text
	Key        string // that verifies it

	edge map[int][]byte // unfinished tiles, by level
}

// Head returns the head of a contest's log, and whether there is one: a contest of
// which nothing was sealed has none.
func (l *Log) Head(ctx context.Context, contest string) (Head, bool, error) {
	d, ok, err := l.store.head(ctx, contest)
	if err != nil || !ok {
		return Head{}, false, err
	}
	h, err := d.read()
	return h, err == nil, err
}

func (d headDocument) read() (Head, error) {
	if d.Size <= 0 || len(d.Root) != seal.HashSize {
		return Head{}, fmt.Errorf("head of %s is not whole", d.Contest)
	}
	h := Head{
		Contest: d.Contest, N: d.N, Size: uint64(d.Size), Root: seal.Hash(d.Root), Checkpoint: d.Checkpoint, Key: d.Key,
		edge: make(map[int][]byte, len(d.Edge)),
	}
	for _, e := range d.Edge {
		h.edge[int(e.Level)] = e.Data
	}
	return h, nil
}

// ErrNoTile says that a tree has no such tile, or none of that width.
var ErrNoTile = errors.New("no such tile")

// Tiles returns the tiles of the tree that a head is of. It holds for calls that
// are made before ctx ends. At level seal.Entries it gives bare entries.
func (l *Log) Tiles(ctx context.Context, h Head) seal.Tiles { return tiles{ctx, l.store, h} }

type tiles struct {
	ctx   context.Context //nolint:containedctx // seal knows no context, and this does not outlive a request
	store store
	head  Head
}

func (t tiles) Tile(level int, index uint64, width int) ([]byte, error) {
	if level < seal.Entries || width < 1 || width > seal.WidthIn(t.head.Size, level, index) {
		return nil, ErrNoTile
	}
	if level == 0 {
		entries, err := t.Tile(seal.Entries, index, width)
		if err != nil {
			return nil, err
		}
		return leafHashes(entries), nil
	}
	if seal.WidthIn(t.head.Size, level, index) < seal.TileWidth {
		return prefix(t.head.edge[level], width)
	}
	data, ok, err := t.store.tile(t.ctx, tileID(t.head.Contest, level, index))
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("tile %d/%d of %s is missing; the log is to be rebuilt", level, index, t.head.Contest)
	}
	return prefix(data, width)
}

func prefix(data []byte, width int) ([]byte, error) {
	if len(data) < width*seal.HashSize {
		return nil, fmt.Errorf("a tile has %d bytes and not %d hashes; the log is to be rebuilt", len(data), width)
	}
	return data[:width*seal.HashSize], nil
}

// leafHashes hashes entries, one after the other, to their leaves.
func leafHashes(entries []byte) []byte {
	out := make([]byte, 0, len(entries))
	for ; len(entries) >= seal.HashSize; entries = entries[seal.HashSize:] {
		leaf := seal.LeafHash(seal.Hash(entries[:seal.HashSize]))
		out = append(out, leaf[:]...)
	}
	return out
}

// Batches returns the batches of a contest's log, the first one first. After an
// error it ends.
func (l *Log) Batches(ctx context.Context, contest string) iter.Seq2[Batch, error] {
	return batches(ctx, l.store, contest, 1)
}

// batches returns those from a number on. Whoever wants all of them has them in one
// go: FerretDB goes through all of a collection for each that is asked for by name.
func batches(ctx context.Context, s store, contest string, from int64) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		next := from
		if from == 1 {
			if !one(ctx, s, contest, 1, yield) { // most that have no log end here
				return
			}
			next = 2
			for d, err := range s.scan(ctx, contest) {
				if err != nil {
					yield(Batch{}, err)
					return
				}
				if next = upTo(ctx, s, contest, next, d, yield); next == 0 {
					return
				}
			}
		}
		for one(ctx, s, contest, next, yield) {
			next++
		}
	}
}

// upTo yields the batches from a number to one that was met, and returns the number
// that follows; 0 to end. It asks for those that were not met.
func upTo(ctx context.Context, s store, contest string, next int64, d batchDocument, yield func(Batch, error) bool) int64 {
	for ; next < d.N; next++ {
		if !one(ctx, s, contest, next, yield) {
			return 0
		}
	}
	if next > d.N { // it was asked for
		return next
	}
	b, err := d.batch()
	if !yield(b, err) || err != nil {
		return 0
	}
	return next + 1
}

// one yields a batch, and says whether to go on.
func one(ctx context.Context, s store, contest string, n int64, yield func(Batch, error) bool) bool {
	b, ok, err := batchOf(ctx, s, contest, n)
	if err != nil {
		yield(Batch{}, err)
		return false
	}
	return ok && yield(b, nil)
}

func batchOf(ctx context.Context, s store, contest string, n int64) (Batch, bool, error) {
	d, ok, err := s.batch(ctx, contest, n)
	if err != nil || !ok {
		return Batch{}, false, err
	}
	b, err := d.batch()
	return b, err == nil, err
}
