package tlog

import (
	"iter"
	"reflect"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"marimba/events"
	"marimba/events/seal"
	"marimba/functions/internal/journal"
)

// forget throws away what follows from the batches.
func forget(t *testing.T, l *Log) {
	t.Helper()
	switch s := l.store.(type) {
	case *memory:
		fresh := newMemory()
		fresh.leaves = s.leaves
		l.store = fresh
	case mongoStore:
		for _, c := range []*mongo.Collection{s.sealed, s.tiles, s.logs} {
			if err := c.Drop(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// large are boxes that fill some tiles.
func large() []Box {
	var out []Box
	for n := range 12 {
		_, b := boxOf(n, 200)
		out = append(out, b)
	}
	return out
}

// Tiles, head and claims can be thrown away: they are made again of the batches, and
// are what they were. Votes that come again then are in the log once, as before.
func TestRebuiltFromBatches(t *testing.T) {
	onEach(t, func(t *testing.T, l *Log) {
		all := large()
		mustSeal(t, NewWriter(l, signer(t)), all[:3]...)
		together(t, NewWriter(l, signer(t)), all)
		before := audit(t, l, all)
		forget(t, l)
		r, err := l.Rebuild(t.Context(), contest)
		if err != nil {
			t.Fatal(err)
		}
		if r.Root != before.Root || r.Leaves != before.Size || r.Batches != before.N || r.Tiles == 0 {
			t.Errorf("rebuilt to %+v, and it was %+v", r, before)
		}
		mustSeal(t, NewWriter(l, signer(t)), all...)
		if after := audit(t, l, all); !reflect.DeepEqual(after, before) {
			t.Errorf("the head is %+v, and was %+v", after, before)
		}
		if again, err := l.Rebuild(t.Context(), contest); err != nil || again != r {
			t.Errorf("rebuilt again to %+v: %v", again, err)
		}
	})
}

// A writer that finds no head makes it from the batches.
func TestWriterFindsNoHead(t *testing.T) {
	m := newMemory()
	l := &Log{store: m}
	all := large()
	mustSeal(t, NewWriter(l, signer(t)), all[:11]...)
	m.logs, m.tiles = make(map[string]headDocument), make(map[string][]byte)
	mustSeal(t, NewWriter(l, signer(t)), all[11])
	audit(t, l, all)
}

// A tile or head that was changed is found when it is used, and rebuilt.
func TestRebuiltOverWhatIsWrong(t *testing.T) {
	m := newMemory()
	l := &Log{store: m}
	all := large()
	mustSeal(t, NewWriter(l, signer(t)), all...)
	before := audit(t, l, all)
	for id := range m.tiles {
		m.tiles[id] = make([]byte, len(m.tiles[id]))
	}
	h := m.logs[contest]
	h.Edge = []edgeDocument{{Level: -1, Data: make([]byte, 8160)}, {Level: 1, Data: make([]byte, 8160)}}
	m.logs[contest] = h
	_, more := boxOf(50, 1)
	if err := NewWriter(l, signer(t)).Seal(t.Context(), more); err == nil || !strings.Contains(err.Error(), "rebuilt") {
		t.Fatalf("a box was sealed behind a wrong head: %v", err)
	}
	if _, err := l.Rebuild(t.Context(), contest); err != nil {
		t.Fatal(err)
	}
	if after := audit(t, l, all); !reflect.DeepEqual(after, before) {
		t.Errorf("the head is %+v, and was %+v", after, before)
	}
	mustSeal(t, NewWriter(l, signer(t)), more)
	audit(t, l, append(all, more))
}

// A batch that was changed is named, and nothing is rebuilt from it.
func TestChangedBatchesAreNamed(t *testing.T) {
	for say, change := range map[string]func(*batchDocument){
		"leaf":       func(d *batchDocument) { d.Leaves = append([]byte{d.Leaves[0] ^ 1}, d.Leaves[1:]...) },
		"root":       func(d *batchDocument) { d.Root = make([]byte, 32) },
		"checkpoint": func(d *batchDocument) { d.Checkpoint = strings.Replace(d.Checkpoint, "\n", "\n1", 1) },
		"key":        func(d *batchDocument) { d.Key = "" },
		"size":       func(d *batchDocument) { d.Size++ },
		"first":      func(d *batchDocument) { d.First++; d.Size++ },
		"boxes":      func(d *batchDocument) { d.Boxes = nil },
		"number":     func(d *batchDocument) { d.N++ },
	} {
		m := newMemory()
		l := &Log{store: m}
		mustSeal(t, NewWriter(l, signer(t)), boxes(0, 5)...)
		d := m.leaves[batchID(contest, 3)]
		change(&d)
		m.leaves[batchID(contest, 3)] = d
		if _, err := l.Rebuild(t.Context(), contest); err == nil || !strings.Contains(err.Error(), "batch") || !strings.Contains(err.Error(), "3") {
			t.Errorf("%s: %v", say, err)
		}
		if _, err := l.Compare(t.Context(), contest, secrets, entriesOf()); err == nil {
			t.Errorf("%s: taken for good", say)
		}
	}
}

// entriesOf is the log of votes that boxes make, each with some that did not count.
func entriesOf(boxes ...events.Box) iter.Seq2[journal.Entry, error] {
	return func(yield func(journal.Entry, error) bool) {
		for _, b := range boxes {
			e := journal.Entry{ID: b.ID + "/accepted", Box: b}
			for range b.Votes {
				e.States = append(e.States, events.Counted)
			}
			e.Box.Votes = append(append([]events.Vote(nil), b.Votes...), events.Vote{Name: "Band", Index: 499})
			e.States = append(e.States, events.Duplicate)
			if !yield(e, nil) {
				return
			}
		}
	}
}

// The public log follows from the log of votes: the same commitments, each once, and
// so the same root. What is too few or too many is told.
func TestComparedWithTheLogOfVotes(t *testing.T) {
	onEach(t, func(t *testing.T, l *Log) {
		var cast []events.Box
		var all []Box
		for n := range 20 {
			c, b := boxOf(n, 1+n*11)
			cast, all = append(cast, c), append(all, b)
		}
		together(t, NewWriter(l, signer(t)), all)
		head := audit(t, l, all)
		compare := func(boxes ...events.Box) Comparison {
			t.Helper()
			c, err := l.Compare(t.Context(), contest, secrets, entriesOf(boxes...))
			if err != nil {
				t.Fatal(err)
			}
			if c.Root != head.Root || c.Leaves != head.Size || c.Batches != head.N || c.Behind {
				t.Errorf("%+v is compared, and the head is %+v", c, head)
			}
			return c
		}
		if c := compare(cast...); !c.Same() || c.Votes != head.Size {
			t.Errorf("it is not the same: %+v", c)
		}
		if c := compare(cast[1:]...); c.Few != 0 || c.Many != 1 || c.AMany == "" || c.Same() {
			t.Errorf("a vote is gone from the log of votes: %+v", c)
		}
		more, _ := boxOf(99, 3)
		if c := compare(append(cast, more)...); c.Few != 3 || c.Many != 0 || !strings.HasPrefix(c.AFew, more.ID+".") || c.Same() {
			t.Errorf("three votes are not sealed: %+v", c)
		}
		if c := compare(append(cast, cast[0])...); c.Few != 1 || c.Many != 0 {
			t.Errorf("a vote is there twice: %+v", c)
		}
		changed := append([]events.Box(nil), cast...)
		changed[0].Votes = append([]events.Vote(nil), changed[0].Votes...)
		changed[0].Votes[0].Rank++
		if c := compare(changed...); c.Few != 1 || c.Many != 1 {
			t.Errorf("a vote was changed: %+v", c)
		}
	})
}

// The leaves themselves follow from the log of votes and the secret of receipts: in the
// order that the batches have, each batch comes to the root that was signed.
func TestLeavesFollowFromTheVotes(t *testing.T) {
	l := &Log{store: newMemory()}
	votes := make(map[string]events.Vote)
	cast := make(map[string]events.Box)
	var all []Box
	for n := range 40 {
		c, b := boxOf(n, 1+n*5)
		all, cast[c.ID] = append(all, b), c
		for _, v := range c.Votes {
			votes[events.Receipt(c.ID, v.Index)] = v
		}
	}
	mustSeal(t, NewWriter(l, signer(t)), all[:5]...)
	together(t, NewWriter(l, signer(t)), all)
	again := seal.NewSecrets([]byte("for tests")) // of another process
	tree := seal.NewTree(nil)
	for b, err := range l.Batches(t.Context(), contest) {
		if err != nil {
			t.Fatal(err)
		}
		for leaf := range b.Leaves() {
			v := votes[events.Receipt(leaf.Box, leaf.Index)]
			tree.Append(Commit(again, cast[leaf.Box], &v))
		}
		if tree.Root() != b.Root || tree.Size() != b.Size {
			t.Errorf("batch %d comes to another root", b.N)
		}
	}
	if head := audit(t, l, all); tree.Root() != head.Root {
		t.Error("the votes come to another root")
	}
}

// What MongoDB keeps of a log is what the package says, to people who look at it.
func TestDocuments(t *testing.T) {
	l := onMongo(t, server(t))
	s := l.store.(mongoStore)
	all := boxes(0, 5)
	mustSeal(t, NewWriter(l, signer(t)), all...)
	for id, of := range map[string]struct {
		collection *mongo.Collection
		fields     string
	}{
		contest + "/5":            {s.leaves, "_id contest n first size root checkpoint key boxes order leaves"},
		contest + "/" + all[4].ID: {s.sealed, "_id n"},
		contest:                   {s.logs, "_id n size root checkpoint key edge"},
	} {
		raw, err := of.collection.FindOne(t.Context(), bson.D{{Key: "_id", Value: id}}).Raw()
		if err != nil {
			t.Fatal(err)
		}
		elements, err := raw.Elements()
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range elements {
			names = append(names, e.Key())
		}
		if got := strings.Join(names, " "); got != of.fields {
			t.Errorf("%s has %s", id, got)
		}
	}
	if n, err := s.sealed.CountDocuments(t.Context(), bson.D{}); err != nil || n != 5 {
		t.Errorf("%d claims: %v", n, err)
	}
}
