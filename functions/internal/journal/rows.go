package journal

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"marimba/events"
)

// Row is one vote of the log.
type Row struct {
	Receipt string // "<box id>.<index>"
	Contest string
	Channel events.Channel
	Vote    events.Vote // VoterKey included: not everyone may see it
	State   events.State
	Cause   string // of a dead vote: why it died
	Way     Way
}

// Way is how a vote came to where it is, as far as the log knows.
type Way struct {
	Event   string       // id of the event that brought it: "<box id>/accepted"
	Topic   events.Topic // that such events travel in
	Place   string       // of the event in it: "<partition>/<offset>"; "" if not known
	Attempt string       // the decision on its box, "<life>:<name>"
	// Ended is when it was brought to the log or, if it is dead, to the shelf; zero
	// if that is not known.
	Ended time.Time
	Trace string // in which its box was written, in hexadecimal; "" if in none
}

// Filter chooses votes of the log. What is empty chooses all.
type Filter struct {
	Contest string
	Band    string // in any spelling that folds alike
	Channel events.Channel
	State   events.State // dead votes are not in the log: see Dead
	From    time.Time    // received at or after it
	To      time.Time    // received before it
	Except  []string     // contests that are left out where Contest names none
	// Where chooses further, of the rows that all else chooses; nil chooses all.
	Where func(Row) bool
}

// All reports whether a filter chooses all votes, of one contest or of all.
func (f Filter) All() bool {
	return f.Band == "" && f.Channel == "" && f.State == "" && f.From.IsZero() && f.To.IsZero() && len(f.Except) == 0 && f.Where == nil
}

// MaxPage is the most rows of a page.
const MaxPage = 1000

// Votes of one box are received within the time that one delivery to Kafka may
// take, for which they gather. A box that began this long before a time has no
// vote after it.
const boxSpan = 2 * time.Minute

// documentsAtOnce bounds what a query holds in memory: a box is up to some
// hundred kilobytes.
const documentsAtOnce = 8

// ErrCursor says that a cursor is not one that Page gave.
var ErrCursor = errors.New("not a cursor of this log")

// Page returns the next rows after a cursor, newest first: limit at most, and at
// most MaxPage. The first page is after "". next is the cursor of the page that
// follows, or "" if none does.
//
// Rows are in the order of their boxes' times, and within a box from its last
// vote to its first. Votes that come in later than a page was read do not move
// the rows of the pages that follow.
func (j *Journal) Page(ctx context.Context, f Filter, after string, limit int) (rows []Row, next string, err error) {
	limit = min(max(limit, 1), MaxPage)
	var last cursor
	for at, err := range j.rows(ctx, f, after) {
		if err != nil {
			return nil, "", err
		}
		if len(rows) == limit {
			return rows, last.String(), nil
		}
		rows, last = append(rows, at.row), at.cursor
	}
	return rows, "", nil
}

// Rows returns all rows of a filter, in the order of pages. It holds a few boxes
// in memory, however many rows there are. After an error it ends.
func (j *Journal) Rows(ctx context.Context, f Filter) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for at, err := range j.rows(ctx, f, "") {
			if !yield(at.row, err) {
				return
			}
		}
	}
}

// placed is a row and the cursor behind it.
type placed struct {
	row    Row
	cursor cursor
}

func (j *Journal) rows(ctx context.Context, f Filter, after string) iter.Seq2[placed, error] {
	return func(yield func(placed, error) bool) {
		from, err := parseCursor(after)
		if err != nil {
			yield(placed{}, err)
			return
		}
		find := options.Find().SetBatchSize(documentsAtOnce).
			SetSort(bson.D{{Key: "at", Value: -1}, {Key: "_id", Value: -1}})
		for e, err := range j.entries(ctx, f.query(from), find) {
			if err != nil {
				yield(placed{}, err)
				return
			}
			for i := range slices.Backward(e.Box.Votes) {
				row := e.row(i)
				if !f.has(row) || e.ID == from.id && row.Vote.Index >= from.index {
					continue
				}
				if !yield(placed{row, cursor{e.at.UnixMilli(), e.ID, row.Vote.Index}}, nil) {
					return
				}
			}
		}
	}
}

// query chooses the boxes that may have rows of the filter.
func (f Filter) query(after cursor) bson.D {
	q := bson.D{}
	add := func(key string, value any) { q = append(q, bson.E{Key: key, Value: value}) }
	if f.Contest != "" {
		add("contest", f.Contest)
	} else if len(f.Except) > 0 {
		add("contest", bson.D{{Key: "$nin", Value: f.Except}})
	}
	at := bson.D{}
	if !f.From.IsZero() {
		at = append(at, bson.E{Key: "$gte", Value: f.From.Add(-boxSpan)})
	}
	latest := f.To
	if after.id != "" {
		// One more millisecond: the cursor's own box may have rows left.
		if by := time.UnixMilli(after.at + 1); latest.IsZero() || by.Before(latest) {
			latest = by
		}
		add("$or", bson.A{
			bson.D{{Key: "at", Value: bson.D{{Key: "$lt", Value: time.UnixMilli(after.at)}}}},
			bson.D{{Key: "_id", Value: bson.D{{Key: "$lte", Value: after.id}}}},
		})
	}
	if !latest.IsZero() {
		at = append(at, bson.E{Key: "$lt", Value: latest})
	}
	if len(at) > 0 {
		add("at", at)
	}
	if f.Band != "" {
		add("bands", events.Fold(f.Band))
	}
	if f.Channel != "" {
		add("channel", f.Channel)
	}
	if f.State != "" {
		add("states", f.State)
	}
	return q
}

// has tells whether a vote of a box that the query chose is of the filter.
func (f Filter) has(r Row) bool {
	return (f.State == "" || r.State == f.State) &&
		(f.From.IsZero() || !r.Vote.At.Before(f.From)) &&
		(f.To.IsZero() || r.Vote.At.Before(f.To)) &&
		(f.Band == "" || events.Fold(r.Vote.Name) == events.Fold(f.Band)) &&
		(f.Where == nil || f.Where(r))
}

func (e Entry) row(i int) Row {
	v := e.Box.Votes[i]
	return Row{
		Receipt: events.Receipt(e.Box.ID, v.Index), Contest: e.Box.Contest, Channel: e.Box.Channel,
		Vote: v, State: e.States[i],
		Way: Way{Event: e.ID, Topic: topicOf(e.ID), Place: e.Place, Attempt: e.Attempt, Ended: e.Logged, Trace: e.Trace},
	}
}

// topicOf returns the topic of an event of the log.
func topicOf(eventID string) events.Topic {
	switch {
	case strings.HasSuffix(eventID, "/accepted"):
		return events.VotesAccepted
	case strings.HasSuffix(eventID, "/refused"):
		return events.VotesRefused
	}
	return ""
}

// found is an entry and its time in the log.
type found struct {
	Entry
	at time.Time
}

// entries runs a query and decodes what it finds.
func (j *Journal) entries(ctx context.Context, query bson.D, find *options.FindOptionsBuilder) iter.Seq2[found, error] {
	return func(yield func(found, error) bool) {
		docs, err := j.boxes.Find(ctx, query, find)
		if err != nil {
			yield(found{}, fmt.Errorf("search the log: %w", err))
			return
		}
		defer docs.Close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing is lost by it
		for docs.Next(ctx) {
			var d document
			if err := docs.Decode(&d); err != nil {
				yield(found{}, fmt.Errorf("read the log: %w", err))
				return
			}
			e, err := d.entry()
			if !yield(found{e, d.At}, err) || err != nil {
				return
			}
		}
		if err := docs.Err(); err != nil {
			yield(found{}, fmt.Errorf("read the log: %w", err))
		}
	}
}

// Entries returns every box of the log that stands, or those of one contest (""
// is all), in no order. It is what counts are rebuilt from. After an error it
// ends.
func (j *Journal) Entries(ctx context.Context, contest string) iter.Seq2[Entry, error] {
	query := bson.D{}
	if contest != "" {
		query = bson.D{{Key: "contest", Value: contest}}
	}
	return j.standingEntries(ctx, query)
}

func (j *Journal) standingEntries(ctx context.Context, query bson.D) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		standing := j.standing()
		for e, err := range j.entries(ctx, query, options.Find().SetBatchSize(documentsAtOnce)) {
			if err != nil {
				yield(Entry{}, err)
				return
			}
			stands, err := standing.has(ctx, e.Entry)
			if err != nil {
				yield(Entry{}, fmt.Errorf("read the log: %w", err))
				return
			}
			if stands && !yield(e.Entry, nil) {
				return
			}
		}
	}
}

// Vote returns the vote of a receipt: from the log or, if it is not there, from
// the dead letters. ok is false if neither has it: then it is on its way, or the
// receipt is not ours.
func (j *Journal) Vote(ctx context.Context, boxID string, index int) (row Row, ok bool, err error) {
	for _, outcome := range outcomes {
		e, ok, err := j.entry(ctx, boxID+outcome)
		if err != nil {
			return Row{}, false, err
		}
		if !ok {
			continue
		}
		for i, v := range e.Box.Votes {
			if v.Index == index {
				return e.row(i), true, nil
			}
		}
	}
	return j.deadVote(ctx, boxID, index)
}

// outcomes are what screen makes of a box: the ends of its events' ids.
var outcomes = []string{accepted, "/refused"}

const accepted = "/accepted"

// entry returns the box of an event's id, and whether the log has it and it
// stands.
func (j *Journal) entry(ctx context.Context, eventID string) (e Entry, ok bool, err error) {
	var d document
	err = j.boxes.FindOne(ctx, bson.D{{Key: "_id", Value: eventID}}).Decode(&d)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return Entry{}, false, nil
	}
	if err == nil {
		e, err = d.entry()
	}
	if err == nil {
		ok, err = j.standing().has(ctx, e)
	}
	if err != nil {
		return Entry{}, false, fmt.Errorf("look for box %s: %w", eventID, err)
	}
	return e, ok, nil
}

// Held returns the entry of an event's id that the log holds, whether it stands or
// not.
func (j *Journal) Held(ctx context.Context, id string) (Entry, error) {
	var d document
	if err := j.boxes.FindOne(ctx, bson.D{{Key: "_id", Value: id}}).Decode(&d); err != nil {
		return Entry{}, fmt.Errorf("look for box %s: %w", id, err)
	}
	return d.entry()
}

// EntryOf returns what became of a box that was accepted, and whether the log has it
// and it stands.
func (j *Journal) EntryOf(ctx context.Context, boxID string) (Entry, bool, error) {
	return j.entry(ctx, boxID+accepted)
}

// cursor is the place of a row: the time and id of its box, and its index.
type cursor struct {
	at    int64 // Unix time in ms
	id    string
	index int
}

func (c cursor) String() string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d %d %s", c.at, c.index, c.id))
}

func parseCursor(text string) (cursor, error) {
	if text == "" {
		return cursor{}, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(text) > 512 {
		return cursor{}, ErrCursor
	}
	parts := strings.SplitN(string(raw), " ", 3)
	if len(parts) != 3 || parts[2] == "" {
		return cursor{}, ErrCursor
	}
	at, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil || at < 0 || at > 1<<47 {
		return cursor{}, ErrCursor
	}
	index, err := strconv.ParseInt(parts[1], 10, 32)
	if err != nil {
		return cursor{}, ErrCursor
	}
	return cursor{at, parts[2], int(index)}, nil
}
