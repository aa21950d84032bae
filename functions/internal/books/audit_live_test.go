package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"marimba/events"
	"marimba/functions/internal/journal"
	"marimba/functions/internal/kafka"
)

// What is cast, counted and logged after the log was read is left aside, however
// far it came: no more is asked of it than that Redis has no more than was cast.
func TestAuditLeavesNewerVotesAside(t *testing.T) {
	h := furnish(t)
	vote := func(name, voter string) events.Vote {
		return events.Vote{Name: name, Album: "Sub", VoterKey: []byte(voter), At: noon.Add(2 * time.Minute)}
	}
	var newer []events.Box
	h.journal.read = func() {
		newer = []events.Box{
			h.box("free", events.ByHTTP, vote("New", ""), vote("alux", "")),
			h.box("rock", events.ByGRPC, vote("Bohemia Suburbana", "bea"), vote("Nobody", "")),
			h.box("latest", events.ByHTTP, vote("La Tona", "ana"), vote("New", "bea")),
			h.box("free", events.ByHTTP, vote("New", "")),
		}
		for i, b := range newer {
			h.cast(b)
			if i < 3 {
				h.carry(b)
			}
		}
	}
	result := h.audited(h.audit())
	if !result.Agree || result.Read.Newer != 7 || result.InFlight != 0 {
		t.Errorf("newer %d, in flight %d, faults\n%s", result.Read.Newer, result.InFlight, told(result))
	}
	// Once more, and they are in it.
	h.journal.read = nil
	h.carry(newer[3])
	if result := h.audited(h.audit()); !result.Agree || result.Read.Newer != 0 || result.Read.Votes != 35+7 {
		t.Errorf("read %+v, faults\n%s", result.Read, told(result))
	}

	// But they do not hide more than they are.
	h.journal.read = func() {
		h.cast(h.box("free", events.ByHTTP, vote("New", "")))
		h.server.HIncrBy("marimba:{free:0}:tally", "New\x1fSub\x1f0", 2)
	}
	if got := names(h.audited(h.audit())); !slices.Equal(got, []check{boardsDiffer}) {
		t.Errorf("named are %v", got)
	}
}

// An audit during which counts are rebuilt begins anew: what it has read of the
// log and what Redis counts then are of two lives. If that does not end, it does.
func TestAuditOfCountsThatAreRebuilt(t *testing.T) {
	h := furnish(t)
	times := 2
	readings := 0
	h.journal.read = func() {
		if readings++; readings <= times {
			h.server.FlushAll()
			h.journal.life++
			return
		}
		h.journal.read = nil
		h.recount()
	}
	if result := h.audited(h.audit()); !result.Agree || readings != 3 || result.Read.Entries != 12 {
		t.Errorf("%d readings, %+v\n%s", readings, result.Read, told(result))
	}
	h.journal.read = func() { h.journal.life++ }
	if result, err := h.audit().run(t.Context()); err == nil || result.Agree || !strings.Contains(err.Error(), "rebuilt") {
		t.Errorf("without end: %+v, %v", result, err)
	}
}

// A vote may be in flight for as long as is allowed, from its receipt or from
// when it was sent again; and what hangs on it is not held against others.
func TestAuditAllowsInFlight(t *testing.T) {
	vote := func(id string) events.Vote {
		return events.Vote{ID: id, Name: "La Tona", At: noon.Add(59*time.Minute + 50*time.Second)} // 10 s old
	}
	h := newHouse(t)
	waiting := h.box("free", events.ByHTTP, vote("1"))
	h.cast(waiting)
	again := h.box("free", events.ByHTTP, vote("1"), vote("2")) // the first is the waiting one's duplicate
	h.cast(again)
	h.carry(again)
	h.entryOf("box-2/accepted").States[0] = events.Duplicate
	h.recount()
	if err := restoreOne(h, waiting); err != nil { // counted, not logged
		t.Fatal(err)
	}
	for young, want := range map[time.Duration][]check{
		0:                {inFlight, pendingLeft},
		9 * time.Second:  {inFlight},
		10 * time.Second: {},
		time.Hour:        {},
	} {
		a := h.audit()
		a.young = young
		result := h.audited(a)
		if got := names(result); !slices.Equal(got, want) || result.InFlight != 1 || result.Contests[0].Total.InFlight != 1 {
			t.Errorf("allowed %s: named are %v, want %v\n%s", young, got, want, told(result))
		}
	}

	// A vote that waits may be why another is over the limit.
	first, second := vote("3"), vote("4")
	first.VoterKey, second.VoterKey = []byte("ana"), []byte("ana")
	holding, over := h.box("each", events.ByHTTP, first), h.box("each", events.ByHTTP, second)
	h.cast(holding)
	h.cast(over)
	if err := restoreOne(h, holding); err != nil {
		t.Fatal(err)
	}
	h.carry(over)
	a := h.audit()
	a.young = time.Hour
	if result := h.audited(a); !result.Agree || result.Contests[0].Total.OverLimit != 1 || result.InFlight != 2 {
		t.Errorf("in flight %d, faults\n%s", result.InFlight, told(result))
	}
	h.carry(holding)

	old := h.box("free", events.ByHTTP, events.Vote{Name: "La Tona", At: noon})
	h.cast(old)
	letter := h.bury(events.TypeCast, old)
	letter.State, letter.ReplayedAt = journal.Replayed, noon.Add(59*time.Minute+55*time.Second)
	a = h.audit()
	a.young = 20 * time.Second
	if result := h.audited(a); !result.Agree || result.InFlight != 2 {
		t.Errorf("sent again: in flight %d, faults\n%s", result.InFlight, told(result))
	}
	a = h.audit()
	a.young = 10 * time.Second
	letter.ReplayedAt = noon.Add(59 * time.Minute)
	if got := names(h.audited(a)); !slices.Equal(got, []check{inFlight}) {
		t.Errorf("sent again long ago: named are %v", got)
	}
}

// restoreOne counts a box in Redis, and does no more.
func restoreOne(h *house, b events.Box) error {
	none := errors.New("killed")
	err := carry(h.t.Context(), testContests, h.store, appendNone{none}, b)
	if errors.Is(err, none) {
		return nil
	}
	return err
}

type appendNone struct{ err error }

func (a appendNone) Append(context.Context, journal.Entry) (string, error) { return "", a.err }

// While votes are cast and counted from several sides, are delivered twice and
// hang half done, each audit agrees; and in the end one without leave does.
func TestAuditWhileVotesCome(t *testing.T) {
	h := newHouse(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	var mu sync.Mutex // of h.boxes
	var voters sync.WaitGroup
	stop := make(chan struct{})
	for n := range 3 {
		voters.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(n)))
			var left []events.Box
			for range 150 {
				b := randomBox(h, &mu, r)
				h.cast(b)
				switch r.IntN(4) {
				case 0:
					left = append(left, b)
				case 1:
					_ = restoreOne(h, b)
					left = append(left, b)
				default:
					h.carry(b)
				}
				if r.IntN(3) == 0 && len(left) > 0 {
					h.carry(left[0])
					h.carry(left[0])
					left = left[1:]
				}
			}
			for _, b := range left {
				h.carry(b)
			}
		})
	}
	go func() { voters.Wait(); close(stop) }()
	audits := 0
	for running := true; running; audits++ {
		select {
		case <-stop:
			running = false
		default:
		}
		a := h.audit()
		a.young = 24 * time.Hour
		if result := h.audited(a); !result.Agree {
			t.Fatalf("audit %d:\n%s", audits, told(result))
		}
	}
	result := h.audited(h.audit())
	if !result.Agree || result.InFlight != 0 {
		t.Fatalf("at the end:\n%s", told(result))
	}
	t.Logf("%d audits of up to %d votes", audits, result.Read.Votes)
}

func randomBox(h *house, mu *sync.Mutex, r *rand.Rand) events.Box {
	votes := make([]events.Vote, 1+r.IntN(6))
	for i := range votes {
		votes[i] = events.Vote{
			ID: fmt.Sprint(r.IntN(60)), Name: []string{"Alux", "Bohemia Suburbana", "La Tona", "LA TONA"}[r.IntN(4)],
			Album: []string{"Conquista", "Sub"}[r.IntN(2)], Rank: int32(r.IntN(12)) * 100, At: noon.Add(time.Duration(r.IntN(70)) * time.Minute),
		}
		if r.IntN(3) > 0 {
			votes[i].VoterKey = []byte{byte(r.IntN(8))}
		}
	}
	mu.Lock()
	defer mu.Unlock()
	return h.box([]string{"rock", "each", "latest", "free", "nowhere"}[r.IntN(5)], events.Channels[r.IntN(4)], votes...)
}

// An audit that cannot read to the end has no result.
func TestAuditBreaksOff(t *testing.T) {
	broken := errors.New("cut")
	for name, change := range map[string]func(h *house, a *audit){
		"topic":   func(h *house, a *audit) { a.topic = cutTopic{h.topic, broken} },
		"log":     func(h *house, a *audit) { a.journal = cutJournal{h.journal, broken, false} },
		"letters": func(h *house, a *audit) { a.journal = cutJournal{h.journal, broken, true} },
		"counts":  func(h *house, _ *audit) { h.server.SetError("cut") },
	} {
		h := furnish(t)
		a := h.audit()
		change(h, a)
		if result, err := a.run(t.Context()); err == nil || !strings.Contains(err.Error(), "cut") || result.Agree {
			t.Errorf("%s: %+v, %v", name, result, err)
		}
	}
}

type cutTopic struct {
	*topicOf
	err error
}

func (c cutTopic) Records(context.Context, kafka.Reach) iter.Seq2[castRecord, error] {
	return func(yield func(castRecord, error) bool) { yield(castRecord{}, c.err) }
}

type cutJournal struct {
	*journalOf
	err   error
	later bool
}

func (c cutJournal) Entries(ctx context.Context, contest string) iter.Seq2[journal.Entry, error] {
	if c.later {
		return c.journalOf.Entries(ctx, contest)
	}
	return func(yield func(journal.Entry, error) bool) { yield(journal.Entry{}, c.err) }
}

func (c cutJournal) Dead(context.Context, journal.ShelfState, string) iter.Seq2[journal.DeadLetter, error] {
	return func(yield func(journal.DeadLetter, error) bool) { yield(journal.DeadLetter{}, c.err) }
}

// What audit is told wrongly it says before it reads anything.
func TestAuditSettings(t *testing.T) {
	environ := []string{"REDIS_URL=127.0.0.1:1", "MONGO_URL=mongodb://127.0.0.1:1"}
	for _, args := range [][]string{{"x"}, {"-allow-in-flight", "-1s"}, {"-allow-in-flight", "soon"}, {"-what"}} {
		if result, err := runAudit(t.Context(), args, environ); err == nil || result != nil {
			t.Errorf("%v: %v, %v", args, result, err)
		}
	}
	if _, err := runAudit(t.Context(), nil, environ); err == nil || !strings.Contains(err.Error(), "KAFKA_BROKER") {
		t.Errorf("without Kafka: %v", err)
	}
	tls := append(slices.Clone(environ), "KAFKA_BROKER=127.0.0.1:1", "KAFKA_TLS=true", "KAFKA_TLS_CA=none")
	if _, err := runAudit(t.Context(), nil, tls); err == nil || !strings.Contains(err.Error(), "KAFKA_TLS_CA") {
		t.Errorf("without a certificate: %v", err)
	}
}
