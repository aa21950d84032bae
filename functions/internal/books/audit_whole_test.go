package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kfake"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"golang.org/x/sync/errgroup"

	"marimba/config"
	"marimba/events"
	"marimba/functions/internal/counts"
	"marimba/functions/internal/journal"
	"marimba/functions/internal/kafka"
	"marimba/functions/internal/replay"
)

// mongoServer returns the URL of a MongoDB: that of MONGO_URL, or a FerretDB that
// is built from this repository and lives as long as the test.
func mongoServer(t *testing.T) string {
	t.Helper()
	if url := os.Getenv("MONGO_URL"); url != "" {
		return url
	}
	dir := t.TempDir()
	binary := filepath.Join(dir, "ferretdb")
	build := exec.Command("go", "build", "-C", "../../../knative/local/ferretdb", "-o", binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		if os.Getenv("MARIMBA_TEST_REAL") != "" {
			t.Fatalf("build FerretDB: %v: %s", err, out)
		}
		t.Skipf("FerretDB does not run here: %v: %s", err, out)
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := lis.Addr().String()
	lis.Close()
	ferret := exec.Command(binary, "--listen", address, "--data", filepath.Join(dir, "data"))
	if err := ferret.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = ferret.Process.Kill()
		_ = ferret.Wait()
	})
	return "mongodb://" + address + "/"
}

// contestFolder writes contests as files.
func contestFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for id, more := range map[string]string{
		"rock": "limit: {mode: per_contest, votes: 2}\nshards: 2\nbands:\n  - {name: Alux Nahual, aliases: [Alux], albums: [{title: Conquista}]}\n" +
			"  - {name: Bohemia Suburbana, albums: [{title: Sub}]}\n",
		"each":   "open_roster: true\nlimit: {mode: per_band, votes: 1}\n",
		"latest": "open_roster: true\nlimit: {mode: replace}\n",
		"free":   "open_roster: true\nshards: 2\n",
	} {
		text := "id: " + id + "\ntitle: {es: Prueba, en: Test}\nrank_mode: score\nrank_max: 10\n" + more
		if err := os.WriteFile(filepath.Join(dir, id+".yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// wholeHouse has Kafka, Redis and MongoDB behind their protocols.
type wholeHouse struct {
	t        *testing.T
	environ  []string
	mongo    config.Mongo
	contests *config.Roll
	store    *counts.Store
	journal  *journal.Journal
	topics   *kafka.Client
	cast     castTopic
	done     kafka.Reach // how far votes.cast was handled
	random   *rand.Rand
	places   int // in votes.dead
}

func newWholeHouse(t *testing.T) *wholeHouse {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(4, "votes.cast", "votes.accepted", "votes.refused", "votes.counted", "votes.dead"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	h := &wholeHouse{t: t, mongo: config.Mongo{URL: config.Secret(mongoServer(t)), Database: fmt.Sprintf("books_%d", os.Getpid())}, done: make(kafka.Reach)}
	redis := "redis://" + miniredis.RunT(t).Addr()
	dir := contestFolder(t)
	h.environ = []string{
		"KAFKA_BROKER=" + cluster.ListenAddrs()[0], "REDIS_URL=" + redis, "MONGO_URL=" + h.mongo.URL.Reveal(),
		"MONGO_DATABASE=" + h.mongo.Database, "CONTESTS_DIR=" + dir,
	}
	at := config.Kafka{Broker: cluster.ListenAddrs()[0], DeliveryTimeout: 10 * time.Second}
	brokers, err := brokers(at)
	if err != nil {
		t.Fatal(err)
	}
	h.cast = castTopic{brokers}
	if h.topics, err = kafka.Open(at, clientName); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.topics.Close(context.Background()) })
	s, err := settings{config.Redis{URL: redis}, h.mongo, config.Contests{Dir: dir}}.open()
	if err != nil {
		t.Fatal(err)
	}
	h.contests, h.store, h.journal = s.contests, s.counts, s.journal
	t.Cleanup(s.close)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	h.random = rand.New(rand.NewPCG(seed, 1))
	return h
}

// vote casts a box of random votes.
func (h *wholeHouse) vote() {
	h.t.Helper()
	r := h.random
	id, err := uuid.NewV7()
	if err != nil {
		h.t.Fatal(err)
	}
	b := events.Box{
		ID: id.String(), Contest: []string{"rock", "each", "latest", "free", "nowhere"}[r.IntN(5)], Channel: events.Channels[r.IntN(4)],
		Votes: make([]events.Vote, 1+r.IntN(40)),
	}
	for i := range b.Votes {
		b.Votes[i] = events.Vote{
			ID: fmt.Sprint(r.IntN(2000)), Name: []string{"alux", "Bohemia Suburbana", "La Tona", "LA TONA"}[r.IntN(4)],
			Album: []string{"Conquista", "Sub"}[r.IntN(2)], Year: int32(1890 + r.IntN(120)), Rank: int32(r.IntN(11)) * 100,
			At: time.Now().UTC().Truncate(time.Millisecond), Index: i,
		}
		if r.IntN(3) > 0 {
			b.Votes[i].VoterKey = []byte{byte(r.IntN(100)), 1}
		}
	}
	if err := h.topics.Send(h.t.Context(), b.Event(events.TypeCast, "ingress-http")); err != nil {
		h.t.Fatal(err)
	}
}

// handle brings what was cast since the last time to its end. Of each hundred
// boxes, dying die at screen and as many at tally; and each is delivered twice
// now and then.
func (h *wholeHouse) handle(dying int) {
	h.t.Helper()
	now, err := h.cast.Reach(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	within := make(kafka.Reach)
	for partition, e := range now {
		within[partition] = kafka.Extent{From: h.done[partition].To, To: e.To}
	}
	h.done = now
	work, ctx := errgroup.WithContext(h.t.Context())
	work.SetLimit(32)
	for rec, err := range h.cast.Records(h.t.Context(), within) {
		if err != nil || rec.foreign != nil {
			h.t.Fatal(err, rec.foreign)
		}
		switch n := h.random.IntN(100); {
		case n < dying:
			h.bury(events.TypeCast, rec.box)
			continue
		case n < 2*dying:
			for outcome, box := range judge(h.contests, rec.box) {
				kind := map[string]string{"/accepted": events.TypeAccepted, "/refused": events.TypeRefused}[outcome]
				h.bury(kind, box)
			}
			continue
		}
		times := 1 + h.random.IntN(2)
		work.Go(func() error {
			for range times {
				if err := carry(ctx, h.contests, h.store, h.journal, rec.box); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := work.Wait(); err != nil {
		h.t.Fatal(err)
	}
}

func (h *wholeHouse) bury(kind string, b events.Box) {
	h.t.Helper()
	h.places++
	d := letterOf(h.t, kind, b)
	d.At, d.Places = time.Now().UTC(), []string{fmt.Sprintf("0/%d", h.places)}
	if err := h.journal.Shelve(h.t.Context(), d); err != nil {
		h.t.Fatal(err)
	}
}

// audit runs the command.
func (h *wholeHouse) audit(args ...string) (audited, error) {
	h.t.Helper()
	result, err := runAudit(h.t.Context(), args, h.environ)
	if result == nil {
		h.t.Fatal(err)
	}
	return result.(audited), err
}

// killedMongo stands in for a replay that is killed before it marks what it sent.
type killedMongo struct{ *journal.Journal }

func (killedMongo) MarkReplayed(context.Context, journal.DeadLetter, time.Time) (bool, error) {
	return false, errKilled
}

// The way of the books on Kafka, Redis and MongoDB as they are spoken to: votes
// are cast, counted and die; the audit agrees while they do. Dead letters are
// sent again by a replay that is killed, and by one that is not: each vote comes
// to its end once. At last the log is robbed, and the audit says of what.
func TestAuditAndReplayOfAWholeHouse(t *testing.T) {
	h := newWholeHouse(t)
	for range 4 {
		for range 40 {
			h.vote()
		}
		if result, err := h.audit("-allow-in-flight=1h"); err != nil || result.InFlight == 0 {
			t.Fatalf("while votes wait: in flight %d, %v\n%s", result.InFlight, err, told(result))
		}
		h.handle(10)
	}
	before, err := h.audit()
	if err != nil {
		t.Fatalf("after all are counted: %v\n%s", err, told(before))
	}
	deadBefore := map[string]int64{}
	for _, c := range before.Contests {
		deadBefore[c.Contest] = c.Total.Dead
		inJournal, err := h.journal.DeadVotes(t.Context(), c.Contest)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range c.Rows {
			if row.Dead != inJournal[row.Channel] {
				t.Errorf("%s %s: %d dead, the journal counts %d", c.Contest, row.Channel, row.Dead, inJournal[row.Channel])
			}
		}
	}
	if sum(before).Dead == 0 || sum(before).Duplicate == 0 || sum(before).OverLimit == 0 || sum(before).Refused == 0 {
		t.Fatalf("the house has not votes of each kind: %+v", sum(before))
	}
	listed, err := runReplay(t.Context(), nil, h.environ)
	if err != nil || len(listed.(letterList).Letters) == 0 || len(listed.(letterList).Causes) != 1 {
		t.Fatalf("listed are %+v, %v", listed, err)
	}

	killed, err := replay.Send(t.Context(), killedMongo{h.journal}, h.topics, replay.Choice{Contest: "free"}, time.Now)
	if !errors.Is(err, errKilled) || killed.Sent == 0 {
		t.Fatalf("killed: %+v, %v", killed, err)
	}
	h.handleAgain()
	if result, err := h.audit(); err != nil || sum(result).Dead >= sum(before).Dead || sum(result).Cast != sum(before).Cast {
		t.Fatalf("after the killed replay: %+v, %v\n%s", sum(result), err, told(result))
	}
	done, err := runReplay(t.Context(), []string{"-send", "-all"}, h.environ)
	if err != nil || done.(replay.Replayed).Sent != len(listed.(letterList).Letters) || done.(replay.Replayed).Again > 0 {
		t.Fatalf("replayed: %+v, %v", done, err)
	}
	h.handleAgain()
	after, err := h.audit()
	if err != nil || sum(after).Dead != 0 || sum(after).Cast != sum(before).Cast || after.Read.Letters != 0 {
		t.Fatalf("after replay: %+v, %v\n%s", sum(after), err, told(after))
	}
	done, err = runReplay(t.Context(), []string{"-send", "-all"}, h.environ)
	if err != nil || done.(replay.Replayed).Sent != 0 {
		t.Errorf("once more: %+v, %v", done, err)
	}
	h.handleAgain()
	again, err := h.audit()
	if err != nil || !reflect.DeepEqual(again.Contests, after.Contests) {
		t.Errorf("once more: %v\n%s", err, told(again))
	}
	if _, err := json.Marshal(again); err != nil {
		t.Error(err)
	}
	h.rob()
}

// handleAgain brings replayed events to their end: those of votes.cast, and those
// of the topics behind it.
func (h *wholeHouse) handleAgain() {
	h.t.Helper()
	h.handle(0)
	for d, err := range h.journal.Dead(h.t.Context(), "", "") {
		if err != nil {
			h.t.Fatal(err)
		}
		if d.Topic == events.VotesCast {
			continue
		}
		b, err := d.Box()
		if err != nil {
			h.t.Fatal(err)
		}
		for i := range b.Votes { // as it was cast, as far as judging needs it
			b.Votes[i].Reason, b.Votes[i].Field = "", ""
		}
		if err := carry(h.t.Context(), h.contests, h.store, h.journal, b); err != nil {
			h.t.Fatal(err)
		}
	}
}

// rob takes a document out of the log.
func (h *wholeHouse) rob() {
	h.t.Helper()
	client, err := mongo.Connect(options.Client().ApplyURI(h.mongo.URL.Reveal()))
	if err != nil {
		h.t.Fatal(err)
	}
	defer client.Disconnect(context.Background()) //nolint:errcheck // the test is over
	boxes := client.Database(h.mongo.Database).Collection("boxes")
	var robbed struct {
		ID string `bson:"_id"`
	}
	if err := boxes.FindOne(h.t.Context(), bson.D{}).Decode(&robbed); err != nil {
		h.t.Fatal(err)
	}
	if _, err := boxes.DeleteOne(h.t.Context(), bson.D{{Key: "_id", Value: robbed.ID}}); err != nil {
		h.t.Fatal(err)
	}
	box, _, _ := strings.Cut(robbed.ID, "/")
	result, err := h.audit()
	if err == nil || !strings.Contains(told(result), box) || names(result)[0] != inFlight {
		h.t.Errorf("robbed of %s: %v\n%s", robbed.ID, err, told(result))
	}
	if result, err := h.audit("-allow-in-flight=1h"); result.InFlight == 0 {
		h.t.Errorf("robbed of %s: in flight %d, %v", robbed.ID, result.InFlight, err)
	}
}

func sum(result audited) auditRow {
	var all auditRow
	for _, c := range result.Contests {
		all.add(c.Total)
	}
	return all
}
