package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"marimba/config"
	"marimba/events"
	"marimba/functions/internal/counts"
	"marimba/functions/internal/journal"
	"marimba/functions/internal/kafka"
)

var errAway = errors.New("away")

// redisTwin is counts in memory.
type redisTwin struct {
	mu      sync.Mutex
	votes   counts.Histogram
	version int64
	figures counts.Figures
	pending map[events.State]int64
	seconds []counts.Second
	minutes []counts.Minute
	newest  []counts.Recent
	known   map[string]events.State // by id and voter's key
	away    error
	dead    bool          // the counts have no life
	tallied int           // how often the tally was read
	asked   chan struct{} // if set, gets an entry each time that the version is read
}

func (r *redisTwin) Life(context.Context, events.Contest) (int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dead {
		return 0, &counts.LifeError{Why: "lost"}
	}
	return 1, r.away
}

func (r *redisTwin) Version(context.Context, events.Contest) (int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.asked != nil {
		select {
		case r.asked <- struct{}{}:
		default:
		}
	}
	return r.version, r.away
}

func (r *redisTwin) Tally(context.Context, events.Contest) (counts.Histogram, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tallied++
	copied := make(counts.Histogram)
	for band, albums := range r.votes {
		copied[band] = make(map[string]map[int32]int64)
		for title, ranks := range albums {
			copied[band][title] = make(map[int32]int64)
			for rank, n := range ranks {
				copied[band][title][rank] = n
			}
		}
	}
	return copied, r.away
}

// vote counts n more votes of a band.
func (r *redisTwin) vote(band string, n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.votes == nil {
		r.votes = make(counts.Histogram)
	}
	if r.votes[band] == nil {
		r.votes[band] = map[string]map[int32]int64{"Uno": {100: 0}}
	}
	r.votes[band]["Uno"][100] += n
	r.version++
}

func (r *redisTwin) leave(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.away = err
}

func (r *redisTwin) Figures(context.Context, events.Contest) (counts.Figures, error) {
	return r.figures, r.away
}

func (r *redisTwin) Pending(context.Context, events.Contest) (map[events.State]int64, error) {
	return r.pending, r.away
}

func (r *redisTwin) Seconds(_ context.Context, _ events.Contest, from, to time.Time) ([]counts.Second, error) {
	return slices.DeleteFunc(slices.Clone(r.seconds), func(s counts.Second) bool { return s.At.Before(from) || !s.At.Before(to) }), r.away
}

func (r *redisTwin) Minutes(_ context.Context, _ events.Contest, from, to time.Time) ([]counts.Minute, error) {
	return slices.DeleteFunc(slices.Clone(r.minutes), func(m counts.Minute) bool { return m.At.Before(from) || !m.At.Before(to) }), r.away
}

func (r *redisTwin) Newest(_ context.Context, n int, of ...events.Contest) ([]counts.Recent, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []counts.Recent
	for _, v := range r.newest {
		if slices.ContainsFunc(of, func(c events.Contest) bool { return c.ID == v.Contest }) && len(out) < n {
			out = append(out, v)
		}
	}
	return out, r.away
}

func (r *redisTwin) StateOf(_ context.Context, c events.Contest, key []byte, id string) (events.State, bool, error) {
	state, ok := r.known[c.ID+"/"+id+"/"+string(key)]
	return state, ok, r.away
}

// mongoTwin is a journal in memory.
type mongoTwin struct {
	rows    []journal.Row            // newest first
	breaks  int                      // if set, Rows fails after so many
	entries map[string]journal.Entry // of the rows, by box, once one was asked for
	dead    []journal.DeadLetter
	deads   int               // how often dead votes were counted
	stated  map[string]string // statements by contest
	lives   int64
	finals  int // how often it was asked which contests are final
	away    error
	mu      sync.Mutex
	asked   journal.Filter
	acts    []journal.Ruling
	entered chan struct{} // if set, a page says that it was asked for
	hold    chan struct{} // if set, a page waits for it
}

func (m *mongoTwin) Latest(context.Context, string) (int64, error) { return m.lives, m.away }

func (m *mongoTwin) ask(f journal.Filter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = f
}

func (m *mongoTwin) Page(ctx context.Context, f journal.Filter, after string, limit int) ([]journal.Row, string, error) {
	m.ask(f)
	if m.hold != nil {
		m.entered <- struct{}{}
		select {
		case <-m.hold:
		case <-ctx.Done():
			return nil, "", ctx.Err()
		}
	}
	if m.away != nil {
		return nil, "", m.away
	}
	at := 0
	if after != "" {
		at = slices.IndexFunc(m.rows, func(r journal.Row) bool { return r.Receipt == after }) + 1
		if at == 0 {
			return nil, "", journal.ErrCursor
		}
	}
	rest := m.rows[at:]
	if len(rest) <= limit {
		return rest, "", nil
	}
	return rest[:limit], rest[limit-1].Receipt, nil
}

func (m *mongoTwin) Rows(_ context.Context, f journal.Filter) iter.Seq2[journal.Row, error] {
	m.ask(f)
	return func(yield func(journal.Row, error) bool) {
		if m.away != nil {
			yield(journal.Row{}, m.away)
			return
		}
		for i, row := range m.rows {
			if !f.To.IsZero() && !row.Vote.At.Before(f.To) {
				continue
			}
			if m.breaks > 0 && i == m.breaks {
				yield(journal.Row{}, errAway)
				return
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}

func (m *mongoTwin) Vote(_ context.Context, box string, index int) (journal.Row, bool, error) {
	for _, row := range m.rows {
		if row.Receipt == events.Receipt(box, index) {
			return row, true, m.away
		}
	}
	return journal.Row{}, false, m.away
}

func (m *mongoTwin) DeadVotes(_ context.Context, contest string) (map[events.Channel]int64, error) {
	m.deads++
	out := make(map[events.Channel]int64)
	for _, d := range m.dead {
		if d.Contest == contest {
			out[d.Channel] += d.Votes
		}
	}
	return out, m.away
}

func (m *mongoTwin) DeadList(_ context.Context, state journal.ShelfState, contest string) iter.Seq2[journal.DeadLetter, error] {
	return func(yield func(journal.DeadLetter, error) bool) {
		if m.away != nil {
			yield(journal.DeadLetter{}, m.away)
			return
		}
		for _, d := range m.dead {
			d.Event, d.Raw = nil, nil
			if d.State == state && (contest == "" || d.Contest == contest) && !yield(d, nil) {
				return
			}
		}
	}
}

func (m *mongoTwin) Letter(_ context.Context, id string) (journal.DeadLetter, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range m.dead {
		if d.ID == id {
			return d, true, m.away
		}
	}
	return journal.DeadLetter{}, false, m.away
}

func (m *mongoTwin) MarkReplayed(_ context.Context, d journal.DeadLetter, at time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.dead {
		if of := &m.dead[i]; of.ID == d.ID && of.State == journal.Shelved && of.At.Equal(d.At) {
			of.State, of.ReplayedAt = journal.Replayed, at
			return true, m.away
		}
	}
	return false, m.away
}

func (m *mongoTwin) Statement(_ context.Context, contest string) (journal.Statement, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	text, ok := m.stated[contest]
	return journal.Statement{Contest: contest, At: noon, Digest: hexOf(text), Text: text}, ok, m.away
}

// Entries makes the boxes of the rows that it has, by their receipts.
func (m *mongoTwin) Entries(_ context.Context, contest string) iter.Seq2[journal.Entry, error] {
	return func(yield func(journal.Entry, error) bool) {
		boxes := make(map[string]*journal.Entry)
		var ids []string
		for _, r := range m.rows {
			id, index, ok := parseReceipt(r.Receipt)
			if !ok || contest != "" && r.Contest != contest {
				continue
			}
			if boxes[id] == nil {
				boxes[id] = &journal.Entry{ID: id + "/accepted", Box: events.Box{ID: id, Contest: r.Contest, Channel: r.Channel}}
				ids = append(ids, id)
			}
			v := r.Vote
			v.Index = index
			boxes[id].Box.Votes, boxes[id].States = append(boxes[id].Box.Votes, v), append(boxes[id].States, r.State)
		}
		for _, id := range ids {
			if !yield(*boxes[id], m.away) {
				return
			}
		}
	}
}

func (m *mongoTwin) EntryOf(ctx context.Context, box string) (journal.Entry, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.entries == nil {
		m.entries = make(map[string]journal.Entry)
		for e := range m.Entries(ctx, "") {
			m.entries[e.Box.ID] = e
		}
	}
	e, ok := m.entries[box]
	return e, ok, m.away
}

func (m *mongoTwin) Ruling(_ context.Context, contest string, number int) (journal.Ruling, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.acts {
		if r.Contest == contest && r.Number == number {
			return r, true, m.away
		}
	}
	return journal.Ruling{}, false, m.away
}

func (m *mongoTwin) Rule(_ context.Context, r journal.Ruling) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.acts = append(m.acts, r)
	return m.away
}

func (m *mongoTwin) Final(context.Context) (map[string]bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.finals++
	final := make(map[string]bool)
	for contest := range m.stated {
		final[contest] = true
	}
	return final, m.away
}

func hexOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// state declares a statement.
func (m *mongoTwin) state(contest, text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stated = map[string]string{contest: text}
}

// kafkaTwin is Kafka's offsets in memory, and takes what is sent.
type kafkaTwin struct {
	mu        sync.Mutex
	reach     map[events.Topic]kafka.Reach
	committed map[string]map[int32]int64 // by group and topic
	asked     int                        // how often the first topic was asked for
	sent      []event.Event
	fails     int // so many are taken, then it is away; 0: all
	away      error
}

func (k *kafkaTwin) Reach(_ context.Context, topic events.Topic) (kafka.Reach, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if topic == events.VotesCast {
		k.asked++
	}
	return k.reach[topic], k.away
}

func (k *kafkaTwin) Committed(_ context.Context, group string, topic events.Topic) (map[int32]int64, error) {
	return k.committed[group+" "+string(topic)], k.away
}

func (k *kafkaTwin) Send(_ context.Context, e event.Event) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.away != nil || k.fails > 0 && len(k.sent) == k.fails {
		return errAway
	}
	k.sent = append(k.sent, e)
	return nil
}

// roll is contests in memory.
type roll []events.Contest

func (r roll) Contest(id string) (events.Contest, bool) {
	i := slices.IndexFunc(r, func(c events.Contest) bool { return c.ID == id })
	if i < 0 {
		return events.Contest{}, false
	}
	return r[i], true
}

// Text is a stand-in for a contest's file.
func (r roll) Text(id string) ([]byte, error) {
	if _, ok := r.Contest(id); !ok {
		return nil, errAway
	}
	return []byte("id: " + id + "\n"), nil
}

func (r roll) IDs() []string {
	var ids []string
	for _, c := range r {
		ids = append(ids, c.ID)
	}
	return ids
}

var twoContests = roll{
	{
		ID: "default", Title: map[string]string{"es": "Abierta", "en": "Open"}, OpenRoster: true,
		RankMode: events.Position, RankMax: 100, YearMin: 1900, Standing: events.ByVotes, MeanFrom: 1,
		Limit: events.Limit{Mode: events.NoLimit},
	},
	{
		ID: "rock", Title: map[string]string{"es": "Roca", "en": "Rock"}, RankMode: events.Position, RankMax: 1000, YearMin: 1970, YearMax: 2030,
		OpensAt: noon.Add(-time.Hour), ClosesAt: noon.Add(time.Hour), Limit: events.Limit{Mode: events.PerContest, N: 5},
		Points: []int64{12, 10}, Standing: events.ByPoints, TieBreak: []events.Metric{events.ByVotes}, MeanFrom: 2,
		Amendments: []events.Amendment{{
			At: noon.Add(-2 * time.Hour), By: "Ana", Bound: events.ClosesAt, From: noon, To: noon.Add(time.Hour), Reason: "Llueve",
		}},
		Bands: []events.Band{{Name: "Trébol", Aliases: []string{"T"}, Albums: []events.Album{{Title: "Uno", Year: 1999}, {Title: "Dos"}}}},
	},
}

const (
	token         config.Secret = "open sesame"
	receiptSecret config.Secret = "the receipts' secret"
)

// house is results on twins, at noon.
type house struct {
	*results
	redis *redisTwin
	mongo *mongoTwin
	kafka *kafkaTwin
	log   *logTwin

	mended mendingTwin
}

func newHouse(ctx context.Context) *house {
	h := &house{redis: &redisTwin{known: make(map[string]events.State)}, mongo: &mongoTwin{}, kafka: &kafkaTwin{}, log: &logTwin{}}
	h.results = newResults(ctx, twoContests, h.redis, h.mongo, h.kafka, h.log, &h.mended, keys{token, receiptSecret})
	h.now = func() time.Time { return noon }
	return h
}
