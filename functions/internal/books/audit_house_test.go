package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"marimba/events"
	"marimba/events/rules"
	"marimba/functions/internal/counts"
	"marimba/functions/internal/counts/countstest"
	"marimba/functions/internal/journal"
	"marimba/functions/internal/kafka"
)

func (r rollOf) IDs() []string { return slices.Sorted(maps.Keys(r)) }

// noon is when the votes of the tests are cast, and an hour later they are
// audited.
var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

var testContests = rollOf{
	"rock": {
		ID: "rock", RankMax: 10_00, ClosesAt: noon.Add(time.Hour), AlbumRequired: true, YearMin: 1900,
		Limit: events.Limit{Mode: events.PerContest, N: 2}, Shards: 2,
		Bands: []events.Band{
			{Name: "Alux Nahual", Aliases: []string{"Alux"}, Albums: []events.Album{{Title: "Conquista"}, {Title: "La Trampa"}}},
			{Name: "Bohemia Suburbana", Albums: []events.Album{{Title: "Sub"}}},
		},
	},
	"each":   {ID: "each", RankMax: 100_00, OpenRoster: true, YearMin: 1900, Limit: events.Limit{Mode: events.PerBand, N: 1}},
	"latest": {ID: "latest", RankMax: 100_00, OpenRoster: true, YearMin: 1900, Limit: events.Limit{Mode: events.Replace}},
	"free":   {ID: "free", RankMax: 100_00, OpenRoster: true, YearMin: 1900, Shards: 2},
}

// topicOf is votes.cast in memory, in two partitions.
type topicOf struct {
	mu     sync.Mutex
	parts  [2][]castRecord
	begins int64 // offset of each partition's first record
}

func (o *topicOf) add(rec castRecord) {
	o.mu.Lock()
	defer o.mu.Unlock()
	p := (len(o.parts[0]) + len(o.parts[1])) % 2
	rec.partition, rec.offset = int32(p), o.begins+int64(len(o.parts[p]))
	o.parts[p] = append(o.parts[p], rec)
}

func (o *topicOf) Reach(context.Context) (kafka.Reach, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	r := make(kafka.Reach)
	for p, records := range o.parts {
		r[int32(p)] = kafka.Extent{From: o.begins, To: o.begins + int64(len(records))}
	}
	return r, nil
}

func (o *topicOf) Records(_ context.Context, within kafka.Reach) iter.Seq2[castRecord, error] {
	return func(yield func(castRecord, error) bool) {
		for p, e := range within {
			o.mu.Lock()
			records := slices.Clone(o.parts[p][e.From-o.begins : e.To-o.begins])
			o.mu.Unlock()
			for _, rec := range records {
				if !yield(rec, nil) {
					return
				}
			}
		}
	}
}

// journalOf is the log and the dead letters in memory.
type journalOf struct {
	mu      sync.Mutex
	entries []journal.Entry
	letters []journal.DeadLetter
	final   map[string]bool
	read    func() // called when the log has been read; nil: not
	life    int64
	acts
}

func (o *journalOf) Latest(context.Context, string) (int64, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.life, nil
}

func (o *journalOf) Append(_ context.Context, e journal.Entry) (string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, held := range o.entries {
		if held.ID == e.ID {
			return held.Attempt, nil
		}
	}
	o.entries = append(o.entries, e)
	return e.Attempt, nil
}

func (o *journalOf) Entries(_ context.Context, contest string) iter.Seq2[journal.Entry, error] {
	return func(yield func(journal.Entry, error) bool) {
		o.mu.Lock()
		entries := slices.Clone(o.entries)
		o.mu.Unlock()
		for _, e := range entries {
			if (contest == "" || e.Box.Contest == contest) && !yield(e, nil) {
				return
			}
		}
		if o.read != nil {
			o.read()
		}
	}
}

func (o *journalOf) Dead(_ context.Context, state journal.ShelfState, contest string) iter.Seq2[journal.DeadLetter, error] {
	return func(yield func(journal.DeadLetter, error) bool) {
		o.mu.Lock()
		letters := slices.Clone(o.letters)
		o.mu.Unlock()
		for _, d := range letters {
			if (state == "" || d.State == state) && (contest == "" || d.Contest == contest) && !yield(d, nil) {
				return
			}
		}
	}
}

func (o *journalOf) DeadList(ctx context.Context, state journal.ShelfState, contest string) iter.Seq2[journal.DeadLetter, error] {
	return func(yield func(journal.DeadLetter, error) bool) {
		for d := range o.Dead(ctx, state, contest) {
			d.Event, d.Raw = nil, nil
			if !yield(d, nil) {
				return
			}
		}
	}
}

func (o *journalOf) Vote(_ context.Context, boxID string, index int) (journal.Row, bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range o.entries {
		for i, v := range e.Box.Votes {
			if e.Box.ID == boxID && v.Index == index {
				return journal.Row{Contest: e.Box.Contest, Channel: e.Box.Channel, Vote: v, State: e.States[i]}, true, nil
			}
		}
	}
	return journal.Row{}, false, nil
}

// keeper is where tally writes.
type keeper interface {
	Append(ctx context.Context, e journal.Entry) (string, error)
}

// carry brings a box that was cast to its end, by the steps of screen and tally.
func carry(ctx context.Context, contests roll, store *counts.Store, log keeper, b events.Box) error {
	for outcome, box := range judge(contests, b) {
		c := contestOf(contests, b.Contest)
		e := counts.Entry{ID: b.ID + outcome, Box: box}
		answer, err := store.Count(ctx, c, e)
		if errors.Is(err, counts.ErrLife) {
			if err := countstest.Begin(ctx, store, c); err != nil {
				return err
			}
			answer, err = store.Count(ctx, c, e)
		}
		if err != nil {
			return err
		}
		logged, err := log.Append(ctx, journal.Entry{ID: e.ID, Box: box, Attempt: answer.Attempt, States: answer.States})
		if err != nil {
			return err
		}
		if err := store.Settle(ctx, c, e, answer, logged); err != nil {
			return err
		}
	}
	return nil
}

// judge makes of a box what screen makes of it, by outcome.
func judge(contests roll, b events.Box) map[string]events.Box {
	c, known := contests.Contest(b.Contest)
	out := map[string]events.Box{}
	ready := rules.New(c)
	for _, v := range b.Votes {
		no := events.Refuse(events.ContestUnknown, "contest")
		if known {
			var err error
			if no, err = ready.Judge(&v); err != nil {
				panic(err) // the house's own rules always answer
			}
		}
		outcome := "/accepted"
		if no != nil {
			v.Reason, v.Field = no.Code, no.Field
			outcome = "/refused"
		}
		box := out[outcome]
		box.ID, box.Contest, box.Channel = b.ID, b.Contest, b.Channel
		box.Votes = append(box.Votes, v)
		out[outcome] = box
	}
	return out
}

// house is all that an audit looks at, in memory.
type house struct {
	t       *testing.T
	topic   *topicOf
	journal *journalOf
	server  *miniredis.Miniredis
	store   *counts.Store
	boxes   int
	public  interface {
		publicLog
		delivered
	}
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, topic: new(topicOf), journal: new(journalOf), server: miniredis.RunT(t), public: unsealed{}}
	client := redis.NewClient(&redis.Options{Addr: h.server.Addr(), Protocol: 2, DisableIdentity: true})
	t.Cleanup(func() { client.Close() })
	h.store = counts.New(client)
	return h
}

// box makes a box of votes and sets their indexes and, if they have none, ids
// and times.
func (h *house) box(contest string, channel events.Channel, votes ...events.Vote) events.Box {
	h.boxes++
	b := events.Box{ID: fmt.Sprintf("box-%d", h.boxes), Contest: contest, Channel: channel, Votes: votes}
	for i := range votes {
		v := &b.Votes[i]
		v.Index = i
		if v.ID == "" {
			v.ID = fmt.Sprintf("%s-%d", b.ID, i)
		}
		if v.At.IsZero() {
			v.At = noon
		}
		if v.Year == 0 {
			v.Year = 1982
		}
	}
	return b
}

// record is what Kafka has of a box.
func record(b events.Box) castRecord {
	e := b.Event(events.TypeCast, "ingress-http")
	read, err := events.BoxOf(e)
	return castRecord{value: e.Data(), box: read, foreign: err}
}

func (h *house) cast(b events.Box) { h.topic.add(record(b)) }

func (h *house) carry(b events.Box) {
	h.t.Helper()
	if err := carry(h.t.Context(), testContests, h.store, h.journal, b); err != nil {
		h.t.Fatal(err)
	}
}

// bury makes a dead letter of a box.
func (h *house) bury(eventType string, b events.Box) *journal.DeadLetter {
	h.t.Helper()
	h.journal.letters = append(h.journal.letters, letterOf(h.t, eventType, b))
	return &h.journal.letters[len(h.journal.letters)-1]
}

func letterOf(t *testing.T, eventType string, b events.Box) journal.DeadLetter {
	t.Helper()
	e := b.Event(eventType, "screen")
	e.DataBase64 = true
	text, err := e.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return journal.DeadLetter{
		ID: e.ID(), Type: eventType, Contest: b.Contest, Channel: b.Channel, Votes: int64(len(b.Votes)),
		Topic: events.TopicOf(eventType), Cause: "status", State: journal.Shelved, At: noon, Event: text, Places: []string{"0/1"},
	}
}

func (h *house) audit() *audit {
	a := newAudit(testContests, h.topic, h.journal, h.store, h.public, h.public)
	a.now = func() time.Time { return noon.Add(time.Hour) }
	return a
}

func (h *house) audited(a *audit) audited {
	h.t.Helper()
	result, err := a.run(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	return result
}

// names are the failed checks.
func names(result audited) []check {
	out := []check{}
	for _, f := range result.Faults {
		if f.Says == "" || len(f.Examples) == 0 || len(f.Examples) > maxExamples {
			return []check{"fault " + f.Check + " is not told"}
		}
		out = append(out, f.Check)
	}
	return slices.Compact(out)
}

func told(result audited) string {
	var lines []string
	for _, f := range result.Faults {
		lines = append(lines, fmt.Sprintf("%s of %q, %d votes: %s", f.Check, f.Contest, f.Votes, strings.Join(f.Examples, " | ")))
	}
	return strings.Join(lines, "\n")
}

// furnish fills a house with votes of each kind: by each channel, in each final
// state, with each limit, of one spelling and another. Its books balance.
func furnish(t *testing.T) *house {
	t.Helper()
	h := newHouse(t)
	alux := func(id, voter string) events.Vote {
		return events.Vote{ID: id, Name: "alux", Album: "CONQUISTA", Rank: 300, VoterKey: []byte(voter)}
	}
	for _, b := range []events.Box{
		h.box("rock", events.ByHTTP, alux("1", "ana"), alux("1", "ana"), alux("2", "ana"), alux("3", "ana"), alux("1", "bea")),
		h.box("rock", events.ByGRPC, events.Vote{Name: "Nobody", Album: "Conquista"}, alux("", ""),
			events.Vote{Name: "Bohemia  Suburbana", Album: "sub", Rank: 950}, events.Vote{Name: "Alux", Album: "La Trampa", Rank: 11_00},
			events.Vote{Name: "Alux", Album: "La Trampa", Rank: 100, CastAt: noon.Add(-time.Hour)},
			events.Vote{Name: "Alux", Album: "La Trampa", Rank: 100, At: noon.Add(time.Hour)}), // too late
		h.box("rock", events.ByEvent, alux("1", "ana"), alux("3", "ana")), // again
		h.box("each", events.ByHTTP, alux("1", "ana"), alux("2", "ana"), events.Vote{Name: "ALUX", ID: "3", VoterKey: []byte("ana")},
			events.Vote{Name: "La Tona", ID: "4", VoterKey: []byte("ana")}),
		h.box("latest", events.ByHTTP, alux("1", "ana"), events.Vote{Name: "La Tona", ID: "2", VoterKey: []byte("ana"), At: noon.Add(time.Minute)}),
		h.box("latest", events.ByGRPC, alux("3", "ana"), alux("4", "bea"), alux("5", "")),
		h.box("free", events.ByWasm, alux("1", ""), alux("1", ""), events.Vote{Name: "Trébol"}, events.Vote{Name: "TREBOL"}, events.Vote{Name: "Trébol"}),
		h.box("nowhere", events.ByHTTP, alux("1", "")),
	} {
		h.cast(b)
		h.carry(b)
	}
	// One box of two died at screen, and was answered too late: the log has it.
	late := h.box("free", events.ByGRPC, alux("6", ""))
	h.cast(late)
	h.carry(late)
	h.bury(events.TypeCast, late)
	// One died at screen, and so did the refused half of another at tally.
	lost := h.box("free", events.ByHTTP, alux("7", ""), alux("8", ""), alux("7", ""))
	h.cast(lost)
	h.bury(events.TypeCast, lost)
	half := h.box("rock", events.ByHTTP, events.Vote{Name: "Nobody", Album: "Nothing"}, alux("9", ""))
	h.cast(half)
	h.carry(events.Box{ID: half.ID, Contest: half.Contest, Channel: half.Channel, Votes: half.Votes[1:]})
	h.bury(events.TypeRefused, judge(testContests, half)["/refused"])
	h.bury(events.TypeCast, half)
	// One was sent again from the dead letters, and came to its end.
	again := h.box("free", events.ByHTTP, alux("10", ""))
	h.cast(again)
	h.cast(again)
	h.carry(again)
	h.bury(events.TypeCast, again).State = journal.Replayed
	// What is no box of ours is nobody's vote.
	h.topic.add(castRecord{value: []byte("poison"), foreign: errors.New("not a box")})
	h.journal.letters = append(h.journal.letters, journal.DeadLetter{ID: "digest", State: journal.Shelved, Raw: []byte("poison")})
	return h
}

func (o *journalOf) Letter(_ context.Context, id string) (journal.DeadLetter, bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, d := range o.letters {
		if d.ID == id {
			return d, true, nil
		}
	}
	return journal.DeadLetter{}, false, nil
}

func (o *journalOf) MarkReplayed(_ context.Context, d journal.DeadLetter, at time.Time) (bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.letters {
		held := &o.letters[i]
		if held.ID == d.ID && held.State == journal.Shelved && len(held.Places) == len(d.Places) {
			held.State, held.ReplayedAt = journal.Replayed, at
			return true, nil
		}
	}
	return false, nil
}

func (o *journalOf) Final(context.Context) (map[string]bool, error) { return o.final, nil }
