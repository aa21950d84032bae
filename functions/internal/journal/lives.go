package journal

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// ErrBegun says that a life was begun by somebody else.
var ErrBegun = errors.New("life has begun")

// Life is the beginning of a life of a contest's counts; see "Lives" in doc.go.
type Life struct {
	Contest string    `bson:"contest"`
	Number  int64     `bson:"number"` // 1, 2, 3 …
	At      time.Time `bson:"at"`
	Cause   string    `bson:"cause"` // why the counts were rebuilt
	Found   string    `bson:"found"` // what they were before
	Boxes   int64     `bson:"boxes"` // of the log that it began with
	Votes   int64     `bson:"votes"`
}

// seal is the document of a life: it says which entries of the life before it
// stand. The marks of these are in documents of their own, each of up to
// marksAtOnce in a row.
type seal struct {
	ID     string `bson:"_id"` // "<contest>/<number>"
	Life   `bson:",inline"`
	Token  string `bson:"token"` // that the documents of its marks are named with
	Chunks int    `bson:"chunks"`
}

type chunk struct {
	ID    string      `bson:"_id"` // "<contest>/<number>/<token>/<n>"
	Marks bson.Binary `bson:"marks"`
}

// marksAtOnce bounds a document of marks to half a megabyte.
const marksAtOnce = 1 << 16

// Mark stands for an entry, in 8 bytes: two are equal by chance once in 2^64.
type Mark uint64

// MarkOf returns the mark of an entry's id.
func MarkOf(id string) Mark {
	sum := sha256.Sum256([]byte(id))
	return Mark(binary.BigEndian.Uint64(sum[:]))
}

// LifeOf returns the number of the life that an attempt was made in; 0 for one
// of the time before there were lives.
func LifeOf(attempt string) int64 {
	number, _, ok := strings.Cut(attempt, ":")
	life, err := strconv.ParseInt(number, 10, 64)
	if !ok || err != nil {
		return 0
	}
	return life
}

// Begin begins a life of a contest's counts. stands are the marks of the entries
// of the life before it that the counts begin with; it is put in order. From now
// on other entries of lives before this one are void. ErrBegun says that the life
// was begun before, and then nothing has changed.
func (j *Journal) Begin(ctx context.Context, l Life, stands []Mark) error {
	s := seal{ID: sealID(l.Contest, l.Number), Life: l, Token: rand.Text()}
	slices.Sort(stands)
	for some := range slices.Chunk(slices.Compact(stands), marksAtOnce) {
		data := make([]byte, 0, 8*len(some))
		for _, m := range some {
			data = binary.BigEndian.AppendUint64(data, uint64(m))
		}
		if _, err := j.seals.InsertOne(ctx, chunk{s.chunkID(s.Chunks), bson.Binary{Data: data}}); err != nil {
			return fmt.Errorf("begin life %s: %w", s.ID, err)
		}
		s.Chunks++
	}
	_, err := j.lives.InsertOne(ctx, s)
	if mongo.IsDuplicateKeyError(err) {
		return fmt.Errorf("begin life %s: %w", s.ID, ErrBegun)
	}
	if err != nil {
		return fmt.Errorf("begin life %s: %w", s.ID, err)
	}
	return nil
}

func sealID(contest string, number int64) string { return fmt.Sprintf("%s/%d", contest, number) }

func (s seal) chunkID(n int) string { return fmt.Sprintf("%s/%s/%d", s.ID, s.Token, n) }

// Latest returns the number of the latest life of a contest; 0 if there was none.
func (j *Journal) Latest(ctx context.Context, contest string) (int64, error) {
	var last struct {
		Number int64 `bson:"number"`
	}
	newest := options.FindOne().SetSort(bson.D{{Key: "number", Value: -1}})
	err := j.lives.FindOne(ctx, bson.D{{Key: "contest", Value: contest}}, newest).Decode(&last)
	if err != nil && !errors.Is(err, mongo.ErrNoDocuments) {
		return 0, fmt.Errorf("look for lives of %s: %w", contest, err)
	}
	return last.Number, nil
}

// Lives returns the lives of a contest, the first one first.
func (j *Journal) Lives(ctx context.Context, contest string) ([]Life, error) {
	var out []Life
	found, err := j.lives.Find(ctx, bson.D{{Key: "contest", Value: contest}})
	if err == nil {
		err = found.All(ctx, &out)
	}
	if err != nil {
		return nil, fmt.Errorf("look for lives of %s: %w", contest, err)
	}
	slices.SortFunc(out, func(a, b Life) int { return cmp.Compare(a.Number, b.Number) })
	return out, nil
}

// Stands tells whether an entry of the log that was decided in a life which has
// ended is one that the next life began with. If not, it is void, and is to be
// replaced.
func (j *Journal) Stands(ctx context.Context, contest, id, attempt string) (bool, error) {
	marks, err := j.sealed.of(ctx, j, contest, LifeOf(attempt)+1)
	if err != nil {
		return false, fmt.Errorf("ask whether %s stands: %w", id, err)
	}
	return marks.has(id), nil
}

// Replace puts an entry into the log in the place of a void one of the same id,
// if that is still the attempt which the log holds. It returns the attempt that
// the log holds then.
func (j *Journal) Replace(ctx context.Context, e Entry, void string) (string, error) {
	raw, err := e.encode()
	if err != nil {
		return "", fmt.Errorf("replace %s: %w", e.ID, err)
	}
	done, err := j.boxes.ReplaceOne(ctx, bson.D{{Key: "_id", Value: e.ID}, {Key: "attempt", Value: void}}, raw)
	if err != nil {
		return "", fmt.Errorf("replace %s: %w", e.ID, err)
	}
	if done.MatchedCount == 1 {
		return e.Attempt, nil
	}
	attempt, err := attemptOf(ctx, j.boxes, e.ID)
	if err != nil {
		return "", fmt.Errorf("replace %s: %w", e.ID, err)
	}
	return attempt, nil
}

// marks are those of the entries that stand of one life, in order.
type marks []Mark

func (m marks) has(id string) bool {
	_, ok := slices.BinarySearch(m, MarkOf(id))
	return ok
}

// readSeal reads which entries of the life before a life stand.
func (j *Journal) readSeal(ctx context.Context, contest string, number int64) (marks, error) {
	var s seal
	id := sealID(contest, number)
	if err := j.lives.FindOne(ctx, bson.D{{Key: "_id", Value: id}}).Decode(&s); err != nil {
		return nil, fmt.Errorf("read life %s: %w", id, err)
	}
	var out marks
	for n := range s.Chunks {
		var c chunk
		if err := j.seals.FindOne(ctx, bson.D{{Key: "_id", Value: s.chunkID(n)}}).Decode(&c); err != nil {
			return nil, fmt.Errorf("read life %s, part %d: %w", id, n, err)
		}
		for data := c.Marks.Data; len(data) >= 8; data = data[8:] {
			out = append(out, Mark(binary.BigEndian.Uint64(data)))
		}
	}
	return out, nil
}

// sealedKept bounds the marks that are kept in memory, to 8 MiB.
const sealedKept = 1 << 20

// sealed keeps the seals that were read last. A seal never changes.
type sealed struct {
	mu    sync.Mutex
	kept  map[string]marks
	order []string // of reading
	total int
}

func (k *sealed) of(ctx context.Context, j *Journal, contest string, number int64) (marks, error) {
	id := sealID(contest, number)
	k.mu.Lock()
	found, ok := k.kept[id]
	k.mu.Unlock()
	if ok {
		return found, nil
	}
	found, err := j.readSeal(ctx, contest, number)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, ok := k.kept[id]; ok {
		return found, nil
	}
	if k.kept == nil {
		k.kept = make(map[string]marks)
	}
	k.kept[id], k.order, k.total = found, append(k.order, id), k.total+len(found)+1
	for k.total > sealedKept && len(k.order) > 1 {
		k.total -= len(k.kept[k.order[0]]) + 1
		delete(k.kept, k.order[0])
		k.order = k.order[1:]
	}
	return found, nil
}

// standing tells of the entries that one reading of the log comes by whether they
// stand.
type standing struct {
	journal *Journal
	latest  map[string]int64           // by contest
	seals   map[string]map[int64]marks // by contest and life
}

func (j *Journal) standing() *standing {
	return &standing{j, make(map[string]int64), make(map[string]map[int64]marks)}
}

func (s *standing) has(ctx context.Context, e Entry) (bool, error) {
	contest := e.Box.Contest
	latest, ok := s.latest[contest]
	if !ok {
		var err error
		if latest, err = s.journal.Latest(ctx, contest); err != nil {
			return false, err
		}
		s.latest[contest], s.seals[contest] = latest, make(map[int64]marks)
	}
	life := LifeOf(e.Attempt)
	if life >= latest {
		return true, nil
	}
	stands, ok := s.seals[contest][life]
	if !ok {
		var err error
		if stands, err = s.journal.readSeal(ctx, contest, life+1); err != nil {
			return false, err
		}
		s.seals[contest][life] = stands
	}
	return stands.has(e.ID), nil
}

// IDs returns the ids of all boxes of a contest in the log, void ones too, in no
// order. After an error it ends.
func (j *Journal) IDs(ctx context.Context, contest string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		docs, err := j.boxes.Find(ctx, bson.D{{Key: "contest", Value: contest}},
			options.Find().SetProjection(bson.D{{Key: "_id", Value: 1}}))
		if err != nil {
			yield("", fmt.Errorf("search the log: %w", err))
			return
		}
		defer docs.Close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing is lost by it
		for docs.Next(ctx) {
			id, ok := docs.Current.Lookup("_id").StringValueOK()
			if !ok {
				yield("", errors.New("read the log: an _id is no text"))
				return
			}
			if !yield(id, nil) {
				return
			}
		}
		if err := docs.Err(); err != nil {
			yield("", fmt.Errorf("read the log: %w", err))
		}
	}
}

// EntriesOf returns the boxes of the log of these ids that stand. After an error
// it ends.
func (j *Journal) EntriesOf(ctx context.Context, ids []string) iter.Seq2[Entry, error] {
	return j.standingEntries(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}})
}

// Contests returns the contests that have boxes in the log, sorted.
func (j *Journal) Contests(ctx context.Context) ([]string, error) {
	var out []string
	if err := j.boxes.Distinct(ctx, "contest", bson.D{}).Decode(&out); err != nil {
		return nil, fmt.Errorf("look for contests in the log: %w", err)
	}
	slices.Sort(out)
	return out, nil
}
