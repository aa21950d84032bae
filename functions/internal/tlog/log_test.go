package tlog

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	sumdb "golang.org/x/mod/sumdb/tlog"

	"marimba/config"
	"marimba/events"
	"marimba/events/seal"
	"marimba/knative/local/real/realtest"
)

// onMongo returns a log in a database of its own, on FerretDB or on the server of
// MONGO_URL.
func onMongo(t testing.TB, url string) *Log {
	t.Helper()
	l, err := Open(config.Mongo{URL: config.Secret(url), Database: fmt.Sprintf("tlog_%d_%d", os.Getpid(), databases.Add(1))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := l.client.Ping(ctx, nil); err != nil { // a server that was just started may not listen yet
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = l.store.(mongoStore).leaves.Database().Drop(context.Background())
		if err := l.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return l
}

var databases atomic.Int64

// server returns the URL of a MongoDB.
func server(t testing.TB) string {
	t.Helper()
	if url := os.Getenv("MONGO_URL"); url != "" {
		return url
	}
	return "mongodb://" + realtest.FerretDB(t).Address + "/"
}

// onEach runs a test on the store in memory, and on the real one.
func onEach(t *testing.T, test func(t *testing.T, l *Log)) {
	t.Run("memory", func(t *testing.T) { test(t, &Log{store: newMemory()}) })
	t.Run("mongodb", func(t *testing.T) { test(t, onMongo(t, server(t))) })
}

const contest = "feria"

var (
	secrets = seal.NewSecrets([]byte("for tests"))
	ourSeal = config.Seal{Key: "for tests too", Origin: "marimba.example"}
)

func signer(t testing.TB) Signer {
	t.Helper()
	s, err := NewSigner(ourSeal)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// boxOf is a box as it is cast, and what of it is sealed.
func boxOf(n, votes int) (events.Box, Box) {
	cast := events.Box{ID: fmt.Sprintf("0199c4d2-7d3e-7abc-8def-%012d", n), Contest: contest, Channel: events.ByHTTP}
	toSeal := Box{Contest: contest, ID: cast.ID}
	for i := range votes {
		v := events.Vote{ID: fmt.Sprint(n, ".", i), Name: fmt.Sprint("Band ", n%7), Album: "Álbum", Year: 2000, Rank: int32(100 * (i % 10)), Index: 2 * i % events.MaxBoxVotes}
		cast.Votes = append(cast.Votes, v)
		toSeal.Votes = append(toSeal.Votes, Vote{v.Index, Commit(secrets, cast, &v)})
	}
	return cast, toSeal
}

func boxes(from, to int) []Box {
	var out []Box
	for n := from; n < to; n++ {
		_, b := boxOf(n, 1+n*n%5)
		out = append(out, b)
	}
	return out
}

func mustSeal(t testing.TB, w *Writer, boxes ...Box) {
	t.Helper()
	for _, b := range boxes {
		if err := w.Seal(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
}

// audit holds a log against the boxes that were sealed: each vote has its one leaf,
// the head tells of all batches, tiles and proofs are those of the root, to another
// implementation too, and places are where leaves are.
func audit(t testing.TB, l *Log, boxes []Box) Head {
	t.Helper()
	type vote struct {
		box   string
		index int
	}
	want := make(map[vote]seal.Hash)
	for _, b := range boxes {
		for _, v := range b.Votes {
			want[vote{b.ID, v.Index}] = v.Entry
		}
	}
	at := make(map[vote]uint64)
	var last Batch
	for b, err := range l.Batches(t.Context(), contest) {
		if err != nil {
			t.Fatal(err)
		}
		last = b
		if err := b.verify(); err != nil {
			t.Error(err)
		}
		var before seal.Hash
		for leaf := range b.Leaves() {
			one := vote{leaf.Box, leaf.Index}
			if _, twice := at[one]; twice {
				t.Fatalf("vote %v has two leaves", one)
			}
			if want[one] != leaf.Entry {
				t.Fatalf("vote %v has another's leaf", one)
			}
			if leaf.Entry.String() < before.String() {
				t.Errorf("leaf %d is not in the order of entries", leaf.At)
			}
			before, at[one] = leaf.Entry, leaf.At
		}
	}
	if len(at) != len(want) {
		t.Fatalf("%d votes have leaves, %d were sealed", len(at), len(want))
	}
	head, ok, err := l.Head(t.Context(), contest)
	if err != nil || !ok {
		t.Fatalf("no head: %v", err)
	}
	if head.N != last.N || head.Size != last.Size || head.Root != last.Root || head.Checkpoint != last.Checkpoint || head.Size != uint64(len(at)) {
		t.Fatalf("the head is %d of %d leaves, the last batch %d of %d", head.N, head.Size, last.N, last.Size)
	}
	verifier, err := seal.Verifier(head.Key)
	if err != nil {
		t.Fatal(err)
	}
	checkpoint, err := seal.Open(head.Checkpoint, verifier)
	if err != nil || checkpoint != (seal.Checkpoint{Origin: "marimba.example/" + contest, Size: head.Size, Root: head.Root}) {
		t.Fatalf("the checkpoint is %+v: %v", checkpoint, err)
	}
	ours := l.Tiles(t.Context(), head)
	theirs := sumdb.TileHashReader(sumdb.Tree{N: int64(head.Size), Hash: sumdb.Hash(head.Root)}, other{ours})
	if root, err := sumdb.TreeHash(int64(head.Size), theirs); err != nil || root != sumdb.Hash(head.Root) {
		t.Fatalf("of our tiles they make another root: %v", err)
	}
	if err := seal.TilesOf(head.Size, func(name seal.TileName) error {
		_, err := ours.Tile(name.Level, name.Index, name.Width)
		return err
	}); err != nil {
		t.Error(err)
	}
	n := 0
	for one, leaf := range at {
		if n++; n > 20 {
			break
		}
		place, ok, err := l.Place(t.Context(), contest, one.box, one.index)
		if err != nil || !ok || place.Leaf != leaf || place.Entry != want[one] {
			t.Errorf("vote %v is at %d, and looked for at %+v %v: %v", one, leaf, place, ok, err)
		}
		proof, err := seal.Inclusion(head.Size, leaf, ours)
		if err == nil {
			err = seal.VerifyInclusion(checkpoint, leaf, want[one], proof)
		}
		if err != nil {
			t.Error(err)
		}
	}
	if _, ok, err := l.Place(t.Context(), contest, "no-such-box", 0); ok || err != nil {
		t.Errorf("a box that was never sealed has a place: %v", err)
	}
	return head
}

// other reads our tiles as x/mod's tlog does.
type other struct{ seal.Tiles }

func (other) Height() int { return seal.TileHeight }

func (o other) ReadTiles(tiles []sumdb.Tile) ([][]byte, error) {
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

func (other) SaveTiles([]sumdb.Tile, [][]byte) {}

// What is sealed is in the log once, in whatever batches it comes, and however
// often, to this writer or to the next.
func TestBoxesAreSealedOnce(t *testing.T) {
	onEach(t, func(t *testing.T, l *Log) {
		all := boxes(0, 300)
		w := NewWriter(l, signer(t))
		mustSeal(t, w, all[:10]...)
		mustSeal(t, w, all[3:8]...)
		if err := sealTogether(w, []Box{all[12], all[3], all[12], all[13], all[12]}); err != nil { // one box many times in a batch
			t.Fatal(err)
		}
		together(t, w, all[5:200])
		together(t, NewWriter(l, signer(t)), all[150:])
		first := audit(t, l, all)
		mustSeal(t, NewWriter(l, signer(t)), all[0], all[299])
		together(t, w, all) // which does not know of all that the others did
		if last := audit(t, l, all); last.N != first.N || last.Checkpoint != first.Checkpoint {
			t.Errorf("what was sealed before made batches %d to %d", first.N, last.N)
		}
	})
}

// together seals boxes at once, each of them by two callers.
func together(t testing.TB, w *Writer, boxes []Box) {
	t.Helper()
	ends := make(chan error, 2*len(boxes))
	for _, b := range slices.Concat(boxes, boxes) {
		go func() { ends <- w.Seal(t.Context(), b) }()
	}
	for range cap(ends) {
		if err := <-ends; err != nil {
			t.Fatal(err)
		}
	}
}

// Votes of large boxes fill tiles of several levels; and a smaller tree's tiles and
// consistency are still to be had when the log has grown.
func TestManyVotes(t *testing.T) {
	onEach(t, func(t *testing.T, l *Log) {
		w := NewWriter(l, signer(t))
		var all []Box
		var heads []Head
		for n := range 150 {
			_, b := boxOf(n, 251+n)
			b.Votes = b.Votes[:min(len(b.Votes), 250)] // indexes repeat behind that
			all = append(all, b)
			if n == 3 || n == 70 {
				together(t, w, all)
				heads = append(heads, audit(t, l, all))
			}
		}
		together(t, w, all)
		last := audit(t, l, all)
		for _, before := range heads {
			proof, err := seal.Consistency(before.Size, last.Size, l.Tiles(t.Context(), last))
			if err != nil {
				t.Fatal(err)
			}
			from, to := seal.Checkpoint{Size: before.Size, Root: before.Root}, seal.Checkpoint{Size: last.Size, Root: last.Root}
			if err := seal.VerifyConsistency(from, to, proof); err != nil {
				t.Error(err)
			}
			now, then := l.Tiles(t.Context(), last), l.Tiles(t.Context(), before)
			if err := seal.TilesOf(before.Size, func(name seal.TileName) error {
				a, err := now.Tile(name.Level, name.Index, name.Width)
				if err != nil {
					return err
				}
				b, err := then.Tile(name.Level, name.Index, name.Width)
				if err == nil && !slices.Equal(a, b) {
					t.Errorf("%s is not the same any more", name.Path())
				}
				return err
			}); err != nil {
				t.Error(err)
			}
		}
	})
}

// Two contests have logs that know nothing of each other.
func TestContestsAreApart(t *testing.T) {
	l := &Log{store: newMemory()}
	w := NewWriter(l, signer(t))
	all := boxes(0, 20)
	together(t, w, all)
	for n := range 3 * maxDesks {
		_, b := boxOf(n%20, 1)
		b.Contest = fmt.Sprint("c", n)
		mustSeal(t, w, b)
	}
	audit(t, l, all)
	head, ok, err := l.Head(t.Context(), "c7")
	if err != nil || !ok || head.Size != 1 {
		t.Errorf("contest c7 has %+v %v: %v", head, ok, err)
	}
	if _, ok, err := l.Head(t.Context(), "none"); ok || err != nil {
		t.Errorf("a contest without votes has a log: %v", err)
	}
	if err := w.Close(t.Context()); err != nil { // until then a desk may still be leaving
		t.Fatal(err)
	}
	if len(w.desks) > maxDesks {
		t.Errorf("%d desks are kept", len(w.desks))
	}
}

// No tile is given that the tree does not have.
func TestNoOtherTiles(t *testing.T) {
	l := &Log{store: newMemory()}
	together(t, NewWriter(l, signer(t)), boxes(0, 200))
	head := audit(t, l, boxes(0, 200))
	tiles := l.Tiles(t.Context(), head)
	for range 1000 {
		level, index, width := rand.IntN(12)-2, rand.Uint64()>>rand.IntN(64), rand.IntN(300)-10
		data, err := tiles.Tile(level, index, width)
		have := 0
		if level >= seal.Entries {
			have = seal.WidthIn(head.Size, level, index)
		}
		if width < 1 || width > have {
			if err == nil {
				t.Errorf("tile %d/%d of width %d of %d leaves is given", level, index, width, head.Size)
			}
		} else if err != nil || len(data) != width*seal.HashSize {
			t.Errorf("tile %d/%d of width %d of %d leaves: %v", level, index, width, head.Size, err)
		}
	}
}
