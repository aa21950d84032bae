package tlog

import (
	"encoding/binary"
	"fmt"
	"iter"
	"strconv"

	"marimba/events"
	"marimba/events/seal"
)

// batchDocument is a batch as MongoDB keeps it.
type batchDocument struct {
	ID         string   `bson:"_id"` // "<contest>/<n>"
	Contest    string   `bson:"contest"`
	N          int64    `bson:"n"`
	First      int64    `bson:"first"`
	Size       int64    `bson:"size"`
	Root       []byte   `bson:"root"`
	Checkpoint string   `bson:"checkpoint"`
	Key        string   `bson:"key"`
	Boxes      []string `bson:"boxes"`
	Order      []byte   `bson:"order"`
	Leaves     []byte   `bson:"leaves"`
}

// headDocument is the head of a log as MongoDB keeps it.
type headDocument struct {
	Contest    string         `bson:"_id"`
	N          int64          `bson:"n"`
	Size       int64          `bson:"size"`
	Root       []byte         `bson:"root"`
	Checkpoint string         `bson:"checkpoint"`
	Key        string         `bson:"key"`
	Edge       []edgeDocument `bson:"edge"`
}

type edgeDocument struct {
	Level int32  `bson:"level"`
	Data  []byte `bson:"data"`
}

type tileDocument struct {
	ID   string `bson:"_id"` // "<contest>/<level>/<index>"
	Data []byte `bson:"data"`
}

type claimDocument struct {
	ID string `bson:"_id"` // "<contest>/<box id>", "<contest>/<box id>/2" …
	N  int64  `bson:"n"`
}

func batchID(contest string, n int64) string { return contest + "/" + strconv.FormatInt(n, 10) }

func tileID(contest string, level int, index uint64) string {
	return contest + "/" + strconv.Itoa(level) + "/" + strconv.FormatUint(index, 10)
}

func claimID(contest, box string, k int) string {
	if k == 1 {
		return contest + "/" + box
	}
	return contest + "/" + box + "/" + strconv.Itoa(k)
}

// placeSize is how many bytes of a batch's order are one leaf's.
const placeSize = 4

// Leaf is a leaf of the log and the vote that it stands for. Which vote that is
// must not be told: it joins what the log shows to a receipt.
type Leaf struct {
	At    uint64 // its place in the log
	Entry seal.Hash
	Box   string
	Index int // of the vote in its box
}

// Batch is what was added to a log at one time.
type Batch struct {
	N          int64
	First      uint64 // leaves before it
	Size       uint64 // and with it
	Root       seal.Hash
	Checkpoint string // signed text
	Key        string
	Boxes      []string

	order, leaves []byte
}

// readLeaves bounds the leaves of a batch that is read: a document of MongoDB has no
// room for more.
const readLeaves = 1 << 19

// batch reads a document, which must be whole.
func (d batchDocument) batch() (Batch, error) {
	n := d.Size - d.First
	switch {
	case d.First < 0 || n <= 0 || n > readLeaves || int64(len(d.Leaves)) != n*seal.HashSize || int64(len(d.Order)) != n*placeSize || len(d.Root) != seal.HashSize:
		return Batch{}, fmt.Errorf("batch %s is not whole", d.ID)
	case d.ID != batchID(d.Contest, d.N):
		return Batch{}, fmt.Errorf("batch %s says that it is %s", d.ID, batchID(d.Contest, d.N))
	}
	for at := 0; at < len(d.Order); at += placeSize {
		if int(binary.BigEndian.Uint16(d.Order[at:])) >= len(d.Boxes) {
			return Batch{}, fmt.Errorf("batch %s has a leaf of a box that it does not name", d.ID)
		}
	}
	return Batch{
		N: d.N, First: uint64(d.First), Size: uint64(d.Size), Root: seal.Hash(d.Root), Checkpoint: d.Checkpoint, Key: d.Key,
		Boxes: d.Boxes, order: d.Order, leaves: d.Leaves,
	}, nil
}

// Leaves returns the batch's leaves, in the order of the log.
func (b Batch) Leaves() iter.Seq[Leaf] {
	return func(yield func(Leaf) bool) {
		for i := range int(b.Size - b.First) {
			if !yield(b.leaf(i)) {
				return
			}
		}
	}
}

func (b Batch) leaf(i int) Leaf {
	place := b.order[i*placeSize:]
	return Leaf{
		At: b.First + uint64(i), Entry: b.entry(i),
		Box: b.Boxes[binary.BigEndian.Uint16(place)], Index: int(binary.BigEndian.Uint16(place[2:])),
	}
}

func (b Batch) entry(i int) seal.Hash {
	return seal.Hash(b.leaves[i*seal.HashSize : (i+1)*seal.HashSize])
}

// Vote is a counted vote that is to be sealed.
type Vote struct {
	Index int // in its box
	Entry seal.Hash
}

// Box is what of a box is to be sealed: its counted votes, at least one.
type Box struct {
	Contest string
	ID      string
	Votes   []Vote
}

func (b Box) check() error {
	if len(b.Votes) == 0 || len(b.Votes) > events.MaxBoxVotes {
		return fmt.Errorf("box %s has %d votes to seal", b.ID, len(b.Votes))
	}
	for _, v := range b.Votes {
		if v.Index < 0 || v.Index >= events.MaxBoxVotes {
			return fmt.Errorf("box %s has a vote of index %d", b.ID, v.Index)
		}
	}
	return nil
}
