package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"marimba/config"
	"marimba/events"
	"marimba/events/rules"
	"marimba/functions/internal/counts"
	"marimba/functions/internal/journal"
	"marimba/functions/internal/kafka"
	"marimba/functions/internal/mend"
)

// closes is when the contest of these tests closes.
var closes = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

var finale = events.Contest{
	ID: "finale", Title: map[string]string{"es": "Final", "en": "Finale"}, Revision: strings.Repeat("ab", 32),
	OpensAt: closes.Add(-2 * time.Hour), ClosesAt: closes, RankMode: events.Position, RankMax: 10_00,
	Amendments: []events.Amendment{{
		At: closes.Add(-time.Hour), By: "Ana <López>", Bound: events.ClosesAt, From: closes.Add(-30 * time.Minute), To: closes, Reason: "Llueve & llueve",
	}},
	Points: []int64{5, 3, 1}, Standing: events.ByPoints, TieBreak: []events.Metric{events.ByVotes}, MeanFrom: 1, Shards: 2,
	Bands: []events.Band{{Name: "Alux Nahual"}, {Name: "Trébol"}},
}

// stage is a house around a contest that closes: a Kafka, counts, a log, and
// a clock that goes on while the closing waits. What the functions do
// meanwhile is the script's.
type stage struct {
	t        *testing.T
	client   *kgo.Client
	admin    *kadm.Client
	broker   string
	redis    countsOf
	log      *closedShelf
	contests rollOf

	mu     sync.Mutex
	at     time.Time
	script map[time.Duration]func() // by the time after the closing
	said   []progress

	missing int  // leaves of counted votes
	lost    bool // Redis has lost its counts
	mended  int  // how often they were asked for
	locked  int  // of these, how often another was at it
}

func newStage(t *testing.T) *stage {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1),
		kfake.SeedTopics(2, string(events.VotesCast), string(events.VotesAccepted), string(events.VotesRefused), string(events.VotesCounted), string(events.VotesDead)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	s := &stage{
		t: t, broker: cluster.ListenAddrs()[0], redis: countsOf{counts.NewRecount(finale)}, log: &closedShelf{stated: map[string]journal.Statement{}},
		contests: rollOf{finale.ID: finale}, at: closes.Add(-time.Second), script: map[time.Duration]func(){},
	}
	if s.client, err = kgo.NewClient(kgo.SeedBrokers(s.broker), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MetadataMinAge(10*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.client.Close)
	s.admin = kadm.NewClient(s.client)
	return s
}

// closing is one that waits on the stage's clock.
func (s *stage) closing() *closing {
	s.t.Helper()
	topics, err := kafka.Open(config.Kafka{Broker: s.broker, DeliveryTimeout: 10 * time.Second}, clientName)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = topics.Close(context.Background()) })
	return &closing{
		contests: s.contests, topics: topics, cast: castTopic{[]kgo.Opt{kgo.SeedBrokers(s.broker)}}, journal: s.log, counts: s.redis, mender: s, public: s,
		contest: finale.ID, wait: true, landing: landing(10 * time.Second),
		tell: func(p progress) { s.mu.Lock(); defer s.mu.Unlock(); s.said = append(s.said, p) },
		now:  func() time.Time { s.mu.Lock(); defer s.mu.Unlock(); return s.at },
		sleep: func(ctx context.Context, d time.Duration) error {
			s.mu.Lock()
			s.at = s.at.Add(d)
			now := s.at.Sub(closes)
			act := s.script[now]
			delete(s.script, now)
			s.mu.Unlock()
			if act != nil {
				act()
			}
			if now > time.Hour {
				return context.DeadlineExceeded
			}
			return ctx.Err()
		},
	}
}

// Mend rebuilds the counts from the log, unless another is at it.
func (s *stage) Mend(ctx context.Context, c events.Contest) (mend.Result, bool, error) {
	if s.mended++; s.mended <= s.locked {
		return mend.Result{}, false, counts.ErrLocked
	}
	if !s.lost {
		return mend.Result{}, false, nil
	}
	s.lost = false
	for e := range s.log.Entries(ctx, c.ID) {
		if err := s.redis.Add(counts.Entry{ID: e.ID, Box: e.Box}, e.States); err != nil {
			return mend.Result{}, false, err
		}
	}
	return mend.Result{}, true, nil
}

// Checkpoint is that of a notary who has sealed what the log calls counted, but for
// what the script keeps from it.
func (s *stage) Checkpoint(_ context.Context, contest string) (sealedAs, bool, error) {
	n := -s.missing
	for e := range s.log.Entries(s.t.Context(), contest) {
		for _, state := range e.States {
			if state == events.Counted {
				n++
			}
		}
	}
	return sealedAs{"test/" + contest, uint64(n), strings.Repeat("ab", 32)}, n > 0, nil
}

func (s *stage) Batches(context.Context, string) iter.Seq2[sealedBatch, error] {
	return func(func(sealedBatch, error) bool) {}
}

// steps are the steps that were told, each once in a row.
func (s *stage) steps() []string {
	var out []string
	for _, p := range s.said {
		if step := p.Step; len(out) == 0 || out[len(out)-1] != step {
			out = append(out, step)
		}
	}
	return out
}

// put writes records to a partition.
func (s *stage) put(topic events.Topic, partition int32, evs ...event.Event) {
	s.t.Helper()
	for _, e := range evs {
		rec := &kgo.Record{Topic: string(topic), Partition: partition, Value: e.Data()}
		for _, h := range events.KafkaHeaders(e) {
			rec.Headers = append(rec.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
		}
		if err := s.client.ProduceSync(s.t.Context(), rec).FirstErr(); err != nil {
			s.t.Fatal(err)
		}
	}
}

// commit notes that a function has handled a partition up to an offset.
func (s *stage) commit(function string, topic events.Topic, partition int32, offset int64) {
	s.t.Helper()
	offsets := kadm.Offsets{}
	offsets.AddOffset(string(topic), partition, offset, -1)
	if err := s.admin.CommitAllOffsets(s.t.Context(), events.GroupOf(function), offsets); err != nil {
		s.t.Fatal(err)
	}
}

// all commits whatever is there.
func (s *stage) all() {
	for _, route := range events.Routes {
		for _, topic := range route.Reads {
			ends, err := s.admin.ListEndOffsets(s.t.Context(), string(topic))
			if err != nil {
				s.t.Fatal(err)
			}
			ends.Each(func(o kadm.ListedOffset) { s.commit(route.Function, topic, o.Partition, o.Offset) })
		}
	}
}

// end carries a judged box to its end: it is counted and in the log.
func (s *stage) end(b events.Box, states ...events.State) {
	s.t.Helper()
	suffix := "/accepted"
	if states[0] == events.Refused {
		suffix = "/refused"
	}
	e := journal.Entry{ID: b.ID + suffix, Box: b, States: states}
	if err := s.redis.Add(counts.Entry{ID: e.ID, Box: b}, states); err != nil {
		s.t.Fatal(err)
	}
	s.log.entries = append(s.log.entries, e)
}

// box is one of votes that were received so long before the closing (after it, if
// that is negative).
func box(id string, channel events.Channel, before time.Duration, bands ...string) events.Box {
	b := events.Box{ID: id, Contest: finale.ID, Channel: channel}
	for i, band := range bands {
		b.Votes = append(b.Votes, events.Vote{
			ID: fmt.Sprint(id, "-", i), Name: band, Album: "Uno", Year: 1999, Rank: int32(i+1) * 100, At: closes.Add(-before), Index: i,
		})
	}
	return b
}

func because(b events.Box, why events.Code) events.Box {
	b.Votes = slices.Clone(b.Votes)
	for i := range b.Votes {
		b.Votes[i].Reason = why
	}
	return b
}

func castOf(b events.Box) event.Event { return b.Event(events.TypeCast, "ingress-grpc") }

// countsOf is Redis's counts in memory.
type countsOf struct{ *counts.Recount }

func (c countsOf) Tally(context.Context, events.Contest) (counts.Histogram, error) {
	return c.Recount.Tally(), nil
}

func (c countsOf) Figures(context.Context, events.Contest) (counts.Figures, error) {
	return c.Recount.Figures(), nil
}

// closedShelf is a log with dead letters and statements, in memory.
type closedShelf struct {
	entries []journal.Entry
	letters []journal.DeadLetter
	fails   error

	mu     sync.Mutex
	stated map[string]journal.Statement
	lost   error // what Declare answers after it has written, once
}

func (l *closedShelf) Entries(_ context.Context, contest string) iter.Seq2[journal.Entry, error] {
	return func(yield func(journal.Entry, error) bool) {
		for _, e := range l.entries {
			if e.Box.Contest == contest && !yield(e, nil) {
				return
			}
		}
		if l.fails != nil {
			yield(journal.Entry{}, l.fails)
		}
	}
}

func (l *closedShelf) Dead(_ context.Context, state journal.ShelfState, contest string) iter.Seq2[journal.DeadLetter, error] {
	return func(yield func(journal.DeadLetter, error) bool) {
		for _, d := range l.letters {
			if d.State == state && d.Contest == contest && !yield(d, nil) {
				return
			}
		}
	}
}

func (l *closedShelf) Statement(_ context.Context, contest string) (journal.Statement, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, ok := l.stated[contest]
	return s, ok, nil
}

func (l *closedShelf) Declare(_ context.Context, contest string, at time.Time, text []byte) (journal.Statement, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.stated[contest]; !ok {
		l.stated[contest] = journal.Statement{Contest: contest, At: at, Digest: fmt.Sprint(len(text)), Text: string(text)}
	}
	if err := l.lost; err != nil {
		l.lost = nil
		return journal.Statement{}, err
	}
	return l.stated[contest], nil
}

func (l *closedShelf) bury(t *testing.T, e event.Event, b events.Box) {
	t.Helper()
	text, err := e.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	l.letters = append(l.letters, journal.DeadLetter{ID: e.ID(), Contest: b.Contest, Votes: int64(len(b.Votes)), State: journal.Shelved, Event: text})
}

// play is what happens on a stage until a contest is final. One vote lands in
// Kafka long after the closing, though it was received before; late ones come
// too, and are refused, also while the votes are counted.
func (s *stage) play() {
	first := box("b1", events.ByGRPC, time.Minute, "Alux Nahual", "Trébol", "Alux Nahual")
	refused := because(box("b2", events.ByHTTP, time.Minute, "Nadie"), events.BandUnknown)
	last := box("b3", events.ByHTTP, time.Millisecond, "Trébol")
	late := because(box("b4", events.ByHTTP, 0, "Trébol", "Trébol"), events.TooLate)
	elsewhere := box("b5", events.ByHTTP, time.Minute, "Trébol")
	elsewhere.Contest = "jazz"

	s.put(events.VotesCast, 0, castOf(first), castOf(refused), castOf(elsewhere))
	s.put(events.VotesDead, 1, castOf(elsewhere))
	s.script[20*time.Second] = func() { s.put(events.VotesCast, 1, castOf(last), castOf(late)) }
	s.script[29*time.Second] = func() { // past the landing: screen is behind
		s.commit("screen", events.VotesCast, 0, 3)
		s.commit("screen", events.VotesCast, 1, 1)
		s.put(events.VotesAccepted, 0, first.Event(events.TypeAccepted, "screen"), last.Event(events.TypeAccepted, "screen"))
		s.put(events.VotesRefused, 1, refused.Event(events.TypeRefused, "screen"))
	}
	s.script[35*time.Second] = func() {
		s.commit("screen", events.VotesCast, 1, 2)
		s.put(events.VotesRefused, 1, late.Event(events.TypeRefused, "screen"))
		s.put(events.VotesCast, 1, castOf(because(box("b6", events.ByHTTP, -30*time.Second, "Trébol"), ""))) // later still: nobody waits for it
	}
	s.script[40*time.Second] = func() { s.commit("tally", events.VotesAccepted, 0, 2) }
	s.script[45*time.Second] = func() {
		s.end(first, events.Counted, events.Counted, events.Duplicate)
		s.end(refused, events.Refused)
		s.end(last, events.Counted)
		s.end(late, events.Refused, events.Refused)
		s.commit("tally", events.VotesRefused, 1, 2)
		s.put(events.VotesCounted, 0, first.Event(events.TypeCounted, "tally"))
	}
	s.script[48*time.Second] = func() { s.commit("notary", events.VotesCounted, 0, 1) }
	s.script[50*time.Second] = func() {
		s.put(events.VotesDead, 1, castOf(elsewhere)) // it cannot be shelved, and comes round again
		s.commit("shelve", events.VotesDead, 1, 1)
	}
	s.script[55*time.Second] = func() {
		s.commit("shelve", events.VotesDead, 1, 2)
		s.commit("screen", events.VotesCast, 1, 3)
		// Redis has refused one more late vote than the log shows yet.
		b6 := because(box("b6", events.ByHTTP, -30*time.Second, "Trébol"), events.TooLate)
		if err := s.redis.Add(counts.Entry{ID: "b6/refused", Box: b6}, []events.State{events.Refused}); err != nil {
			s.t.Error(err)
		}
	}
}

// A contest becomes final when all that was received before it closed has gone
// its whole way: not when it closes, not while a vote may still land, and not
// before each function has handled what the one before it made of the votes.
func TestCloseGoesTheWholeWay(t *testing.T) {
	s := newStage(t)
	s.play()
	end, err := s.closing().run(t.Context())
	if err != nil {
		t.Fatalf("%v, after %+v", err, s.said)
	}
	if want := []string{"closing", "landing", "screen", "tally", "notary", "shelve", "counting"}; !slices.Equal(s.steps(), want) {
		t.Errorf("steps are %v, want %v", s.steps(), want)
	}
	if at := s.at.Sub(closes); at != 55*time.Second {
		t.Errorf("it is final %s after the closing", at)
	}
	if !end.Declared || end.Phase != events.Final || string(end.Statement) != s.log.stated[finale.ID].Text {
		t.Errorf("result is %+v", end)
	}
	golden(t, "statement.json", append(end.Statement, '\n'))
	told := s.said[slices.IndexFunc(s.said, func(p progress) bool { return p.Step == "screen" })]
	if told.Records != 5 || !maps.Equal(told.Behind, map[int32]int64{0: 3, 1: 2}) || told.Group != "marimba-screen" || told.Topic != events.VotesCast {
		t.Errorf("screen is told to be behind by %+v", told)
	}

	// What comes later changes nothing: the statement that is there is shown.
	s.end(box("b9", events.ByGRPC, time.Hour, "Trébol"), events.Counted)
	again, err := s.closing().run(t.Context())
	if err != nil || again.Declared || string(again.Statement) != string(end.Statement) || again.Digest != end.Digest {
		t.Errorf("a second time it is %+v, %v", again, err)
	}
}

// Whoever does not wait is told what is missing.
func TestCloseWithoutWaiting(t *testing.T) {
	s := newStage(t)
	s.put(events.VotesCast, 1, castOf(box("b1", events.ByGRPC, time.Minute, "Trébol")))
	for _, step := range []struct {
		after time.Duration
		do    func()
		want  string
		phase events.Phase
	}{
		{-time.Millisecond, func() {}, "it closes at 2026-11-24T12:00:00Z", events.Open},
		{0, func() {}, "may still come to Kafka until 2026-11-24T12:00:27Z", events.Closed},
		{27 * time.Second, func() {}, "marimba-screen has 1 records of votes.cast to handle, in partitions 1", events.Closed},
		{time.Minute, func() {
			s.put(events.VotesAccepted, 0, box("b1", events.ByGRPC, time.Minute, "Trébol").Event(events.TypeAccepted, "screen"))
			s.commit("screen", events.VotesCast, 1, 1)
		}, "marimba-tally has 1 records of votes.accepted", events.Closed},
	} {
		s.at = closes.Add(step.after)
		step.do()
		c := s.closing()
		c.wait = false
		end, err := c.run(t.Context())
		if err == nil || !strings.Contains(err.Error(), step.want) || end.Phase != step.phase {
			t.Errorf("after %s: got %+v, %v, want %q", step.after, end, err, step.want)
		}
	}
	s.end(box("b1", events.ByGRPC, time.Minute, "Trébol"), events.Counted)
	s.all()
	c := s.closing()
	c.wait = false
	if end, err := c.run(t.Context()); err != nil || end.Phase != events.Final {
		t.Errorf("when all is handled: %+v, %v", end, err)
	}
}

// A contest that is extended while its closing is waited for closes when it
// closes now.
func TestCloseFollowsAnExtension(t *testing.T) {
	s := newStage(t)
	s.script[-500*time.Millisecond] = func() {
		extended := finale
		extended.ClosesAt = closes.Add(10 * time.Minute)
		s.contests[finale.ID] = extended
	}
	s.put(events.VotesCast, 0, castOf(box("b1", events.ByGRPC, -9*time.Minute, "Trébol")))
	s.end(box("b1", events.ByGRPC, -9*time.Minute, "Trébol"), events.Counted)
	s.all()
	end, err := s.closing().run(t.Context())
	if err != nil || !strings.Contains(string(end.Statement), `"closes_at":"2026-11-24T12:10:00Z"`) || !strings.Contains(string(end.Statement), `"cast":1`) {
		t.Errorf("got %s, %v", end.Statement, err)
	}
	if at := s.at.Sub(closes); at < 10*time.Minute+landing(10*time.Second) {
		t.Errorf("it is final %s after it closed first", at)
	}
}

// A contest whose books are not in order does not become final, and is told why.
func TestCloseRefuses(t *testing.T) {
	good := box("b1", events.ByGRPC, time.Minute, "Trébol", "Alux Nahual")
	tests := map[string]struct {
		do        func(s *stage)
		leaveDead bool
		want      string // "" is that it becomes final
	}{
		"all is well": {do: func(*stage) {}},
		"a vote was lost": {do: func(s *stage) {
			s.put(events.VotesCast, 0, castOf(box("b2", events.ByGRPC, time.Minute, "Trébol")))
		}, want: "grpc: 3 votes were cast, 2 are in a final state"},
		"a vote was never cast": {do: func(s *stage) {
			s.end(box("b2", events.ByHTTP, time.Minute, "Trébol"), events.Counted)
		}, want: "http: 0 votes were cast, 1 are in a final state"},
		"a box was cast twice, as a replay does": {do: func(s *stage) { s.put(events.VotesCast, 1, castOf(good)) }},
		"a record is no box": {do: func(s *stage) {
			s.put(events.VotesCast, 1, good.Event(events.TypeAccepted, "screen"))
		}},
		"Redis lost its counts": {do: func(s *stage) {
			*s.redis.Recount, s.lost = *counts.NewRecount(finale), true
		}},
		"Redis lost its counts, and another rebuilds them": {do: func(s *stage) {
			*s.redis.Recount, s.lost, s.locked = *counts.NewRecount(finale), true, 2
		}},
		"the counts are not the log's": {do: func(s *stage) { s.log.entries[0].Box.Votes[0].Name = "Alux Nahual" }, want: "log and counts differ"},
		"the figures are not the log's": {do: func(s *stage) {
			b := box("b2", events.ByHTTP, time.Minute, "Trébol")
			s.put(events.VotesCast, 0, castOf(b))
			s.log.entries = append(s.log.entries, journal.Entry{ID: "b2/accepted", Box: b, States: []events.State{events.Duplicate}})
		}, want: "log and figures differ"},
		"a late vote was counted": {do: func(s *stage) {
			b := box("b2", events.ByHTTP, 0, "Trébol")
			s.put(events.VotesCast, 0, castOf(b))
			s.end(b, events.Counted)
		}, want: "vote b2.0 was received at 2026-11-24T12:00:00Z, when the contest had closed, and is counted"},
		"votes are dead": {do: func(s *stage) {
			b := box("b2", events.ByHTTP, time.Minute, "Trébol", "Nadie")
			s.put(events.VotesCast, 0, castOf(b))
			s.log.bury(s.t, castOf(b), b)
		}, want: "2 votes of finale are dead: replay them"},
		"votes are dead, and left so": {do: func(s *stage) {
			b := box("b2", events.ByHTTP, time.Minute, "Trébol", "Nadie")
			s.put(events.VotesCast, 0, castOf(b))
			s.log.bury(s.t, castOf(b), b)
			s.log.bury(s.t, b.Event(events.TypeAccepted, "screen"), b) // and once more behind screen
		}, leaveDead: true},
		"dead letters of votes that were handled": {do: func(s *stage) { s.log.bury(s.t, castOf(good), good) }},
		"dead letters of late votes": {do: func(s *stage) {
			b := box("b2", events.ByHTTP, -time.Second, "Trébol")
			s.put(events.VotesCast, 0, castOf(b))
			s.log.bury(s.t, castOf(b), b)
		}},
		"the log breaks off": {do: func(s *stage) { s.log.fails = errors.New("cut") }, want: "cut"},
		"the contest has no end": {do: func(s *stage) {
			endless := finale
			endless.ClosesAt = time.Time{}
			s.contests[finale.ID] = endless
		}, want: "finale has no closes_at"},
		"there is no such contest": {do: func(s *stage) { delete(s.contests, finale.ID) }, want: `there is no contest "finale"`},
		"a function stands still": {do: func(s *stage) {
			s.script[time.Second] = func() { s.put(events.VotesCast, 0, castOf(box("b2", events.ByGRPC, time.Second, "Trébol"))) }
		}, want: "not final yet: marimba-screen has 1 records"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.put(events.VotesCast, 0, castOf(good))
			s.end(good, events.Counted, events.Counted)
			test.do(s)
			s.all()
			c := s.closing()
			c.leaveDead = test.leaveDead
			end, err := c.run(t.Context())
			if test.want == "" {
				if err != nil || end.Phase != events.Final || len(s.log.stated) != 1 {
					t.Errorf("got %+v, %v", end, err)
				}
				if dead := strings.Contains(string(end.Statement), `"dead":2`); dead != test.leaveDead {
					t.Errorf("statement is %s", end.Statement)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.want) || len(s.log.stated) != 0 {
				t.Errorf("got %+v, %v, want %q", end, err, test.want)
			}
		})
	}
}

// result is what a statement says of the votes, without what it rests on.
func result(t *testing.T, text []byte) string {
	t.Helper()
	var s statement
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	s.Votes.Late = 0 // as many as had come when the closing was begun
	return fmt.Sprint(s.Votes, s.Board.Totals, s.Tally, s.MadeAt)
}

// A closing that is cut off at any of its pauses, or at the very end, and begun
// again comes to the one statement, which says the same of the votes.
func TestCloseCutOffAnywhere(t *testing.T) {
	want, err := os.ReadFile(filepath.Join("testdata", "statement.json"))
	if err != nil {
		t.Fatal(err)
	}
	var pauses int
	for cut := 0; ; cut++ {
		s := newStage(t)
		s.play()
		if cut%2 == 1 {
			s.log.lost = errors.New("MongoDB went away, after it had written")
		}
		c := s.closing()
		usual := c.sleep
		left := 10 * cut
		c.sleep = func(ctx context.Context, d time.Duration) error {
			if left--; left < 0 {
				return context.Canceled
			}
			return usual(ctx, d)
		}
		_, err := c.run(t.Context())
		uncut := left >= 0
		if !uncut && !errors.Is(err, context.Canceled) {
			t.Fatalf("cut off after %d pauses: %v", 10*cut, err)
		}
		end, err := s.closing().run(t.Context())
		if err == nil && end.Phase != events.Final {
			err = fmt.Errorf("phase is %s", end.Phase)
		}
		if err != nil && s.log.lost == nil && cut%2 == 1 {
			end, err = s.closing().run(t.Context())
		}
		if err != nil {
			t.Fatalf("begun again after %d pauses: %v", 10*cut, err)
		}
		if got, want := result(t, end.Statement), result(t, want); got != want {
			t.Errorf("begun again after %d pauses it says\n%s, want\n%s", 10*cut, got, want)
		}
		if uncut {
			pauses = 10 * cut
			break
		}
	}
	if pauses < 100 {
		t.Errorf("there are only %d pauses", pauses)
	}
}

// Kafka may go away while it is waited for, and come back.
func TestCloseWaitsForKafka(t *testing.T) {
	s := newStage(t)
	s.play()
	c := s.closing()
	c.topics = &flaky{c.topics, 3}
	if _, err := c.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(s.said, func(p progress) bool { return strings.Contains(p.Error, "away") }) {
		t.Errorf("it is not told: %+v", s.said)
	}
	s = newStage(t)
	s.at = closes.Add(time.Hour)
	c = s.closing()
	c.topics, c.wait = &flaky{c.topics, 1}, false
	if _, err := c.run(t.Context()); err == nil || !strings.Contains(err.Error(), "away") {
		t.Errorf("who does not wait is told %v", err)
	}
}

// flaky topics do not answer every other time, so many times.
type flaky struct {
	of interface {
		Reach(context.Context, events.Topic) (kafka.Reach, error)
		Committed(context.Context, string, events.Topic) (map[int32]int64, error)
	}
	fails int
}

func (f *flaky) Reach(ctx context.Context, topic events.Topic) (kafka.Reach, error) {
	if f.fails--; f.fails >= 0 {
		return nil, errors.New("away")
	}
	return f.of.Reach(ctx, topic)
}

func (f *flaky) Committed(ctx context.Context, group string, topic events.Topic) (map[int32]int64, error) {
	if f.fails--; f.fails >= 0 {
		return nil, errors.New("away")
	}
	return f.of.Committed(ctx, group, topic)
}

// The groups that a closing waits for are those of the manifests' sources.
func TestGroupsAreTheManifests(t *testing.T) {
	files, err := filepath.Glob("../../../knative/base/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("manifests are %v, %v", files, err)
	}
	source := regexp.MustCompile(`(?m)^  consumerGroup: (\S+)`)
	var groups, want []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range source.FindAllStringSubmatch(string(text), -1) {
			groups = append(groups, match[1])
		}
	}
	for _, route := range events.Routes {
		if len(route.Reads) > 0 {
			want = append(want, events.GroupOf(route.Function))
		}
	}
	slices.Sort(groups)
	slices.Sort(want)
	if !slices.Equal(groups, want) {
		t.Errorf("groups are %v, want %v", groups, want)
	}
}

// A contest is not final as long as a counted vote has no leaf, whatever the groups
// say; and then its statement has the checkpoint of all.
func TestCloseNeedsEveryLeaf(t *testing.T) {
	s := newStage(t)
	s.play()
	s.missing = 1
	if end, err := s.closing().run(t.Context()); err == nil || !strings.Contains(err.Error(), "3 votes of finale are counted, and its public log has 2") || len(s.log.stated) > 0 {
		t.Fatalf("%+v, %v", end, err)
	}
	s.missing = 0
	end, err := s.closing().run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var said statement
	if err := json.Unmarshal(end.Statement, &said); err != nil {
		t.Fatal(err)
	}
	if said.Log == nil || *said.Log != (sealedAs{"test/" + finale.ID, 3, strings.Repeat("ab", 32)}) || said.Rules != rules.Digest() {
		t.Errorf("the statement has %+v and rules %s", said.Log, said.Rules)
	}
}

// A call that is wrong is told so before anything is asked.
func TestCloseUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"a", "b"}, {"-timeout", "0s", "a"}, {"-colour", "a"}} {
		if _, err := runClose(t.Context(), args, nil); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
	if _, err := runClose(t.Context(), []string{"a"}, nil); err == nil || !strings.Contains(err.Error(), "KAFKA_BROKER") {
		t.Errorf("without settings: %v", err)
	}
}
