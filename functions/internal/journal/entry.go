package journal

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"marimba/events"
)

// Entry is a box in the log: the votes of one cast box that were admitted, or
// those that were refused, with what became of each.
type Entry struct {
	ID      string // of the event that carried it: "<box id>/accepted"
	Box     events.Box
	Attempt string
	States  []events.State // one for each vote
	// Place is where the event was in its topic, "<partition>/<offset>", and Logged
	// when the box was brought to the log. Nothing rests on them: they are shown to
	// who asks for the way of a vote, and empty where they are not known.
	Place  string
	Logged time.Time
	// Trace is that in which it was written, in hexadecimal; "" if it was in none.
	Trace string
}

// document is an Entry as MongoDB keeps it.
type document struct {
	ID      string         `bson:"_id"`
	Contest string         `bson:"contest"`
	Channel events.Channel `bson:"channel"`
	At      time.Time      `bson:"at"`
	Attempt string         `bson:"attempt"`
	Place   string         `bson:"place,omitempty"`
	Logged  time.Time      `bson:"logged,omitempty"`
	Bands   []string       `bson:"bands"`
	States  []events.State `bson:"states"`
	Votes   string         `bson:"votes"`
	Trace   string         `bson:"trace,omitempty"`
}

// columns of a vote's line. The order is what the log was written with: columns
// are only ever added, at the end.
const (
	columnIndex = iota
	columnID
	columnName
	columnAlbum
	columnYear
	columnRank
	columnAt
	columnState
	columnReason
	columnField
	columnVoter
	columnCastAt
	columns
)

func (e Entry) encode() (bson.Raw, error) {
	if len(e.States) != len(e.Box.Votes) || len(e.States) == 0 {
		return nil, fmt.Errorf("%d states for %d votes", len(e.States), len(e.Box.Votes))
	}
	d := document{
		ID: e.ID, Contest: e.Box.Contest, Channel: e.Box.Channel, Attempt: e.Attempt,
		At: e.Box.Votes[0].At, Place: e.Place, Logged: e.Logged, Trace: e.Trace,
	}
	named := make(map[string]bool)
	lines := make([]byte, 0, 160*len(e.Box.Votes))
	for i := range e.Box.Votes {
		v := &e.Box.Votes[i]
		if v.At.Before(d.At) {
			d.At = v.At
		}
		if !named[v.Name] {
			named[v.Name] = true
			if folded := events.Fold(v.Name); !slices.Contains(d.Bands, folded) {
				d.Bands = append(d.Bands, folded)
			}
		}
		if !slices.Contains(d.States, e.States[i]) {
			d.States = append(d.States, e.States[i])
		}
		for _, text := range [...]string{v.ID, v.Name, v.Album, string(v.Reason), v.Field} {
			if strings.ContainsAny(text, "\t\n") {
				return nil, fmt.Errorf("vote %d: a text holds a tab or line end", v.Index)
			}
		}
		if i > 0 {
			lines = append(lines, '\n')
		}
		lines = appendLine(lines, v, e.States[i])
	}
	d.Votes = string(lines)
	raw, err := bson.Marshal(d)
	if err != nil {
		return nil, err
	}
	return raw, nil
}

func appendLine(out []byte, v *events.Vote, state events.State) []byte {
	text := func(s string) { out = append(append(out, '\t'), s...) }
	number := func(n int64) { out = strconv.AppendInt(append(out, '\t'), n, 10) }
	out = strconv.AppendInt(out, int64(v.Index), 10)
	text(v.ID)
	text(v.Name)
	text(v.Album)
	number(int64(v.Year))
	number(int64(v.Rank))
	number(v.At.UnixMilli())
	text(string(state))
	text(string(v.Reason))
	text(v.Field)
	out = base64.RawStdEncoding.AppendEncode(append(out, '\t'), v.VoterKey)
	if v.CastAt.IsZero() {
		return append(out, '\t')
	}
	number(v.CastAt.UnixMilli())
	return out
}

func (d document) entry() (Entry, error) {
	n := strings.Count(d.Votes, "\n") + 1
	e := Entry{
		ID:      d.ID,
		Box:     events.Box{ID: boxOf(d.ID), Contest: d.Contest, Channel: d.Channel, Votes: make([]events.Vote, 0, n)},
		Attempt: d.Attempt,
		Place:   d.Place,
		States:  make([]events.State, 0, n),
		Trace:   d.Trace,
	}
	if !d.Logged.IsZero() {
		e.Logged = d.Logged.UTC()
	}
	for line := range strings.SplitSeq(d.Votes, "\n") {
		v, state, err := parseLine(line)
		if err != nil {
			return Entry{}, fmt.Errorf("box %s in the log: vote %d: %w", d.ID, len(e.States), err)
		}
		e.Box.Votes = append(e.Box.Votes, v)
		e.States = append(e.States, state)
	}
	return e, nil
}

func parseLine(line string) (events.Vote, events.State, error) {
	at := strings.Split(line, "\t")
	if len(at) < columns {
		return events.Vote{}, "", fmt.Errorf("%d columns", len(at))
	}
	var failed error
	number := func(column, bits int) int64 {
		n, err := strconv.ParseInt(at[column], 10, bits)
		if err != nil && failed == nil {
			failed = fmt.Errorf("column %d: %w", column, err)
		}
		return n
	}
	v := events.Vote{
		Index: int(number(columnIndex, 32)), ID: at[columnID], Name: at[columnName], Album: at[columnAlbum],
		Year: int32(number(columnYear, 32)), Rank: int32(number(columnRank, 32)),
		At:     time.UnixMilli(number(columnAt, 64)).UTC(),
		Reason: events.Code(at[columnReason]), Field: at[columnField],
	}
	if at[columnVoter] != "" {
		key, err := base64.RawStdEncoding.DecodeString(at[columnVoter])
		if err != nil {
			return events.Vote{}, "", fmt.Errorf("column %d: %w", columnVoter, err)
		}
		v.VoterKey = key
	}
	if at[columnCastAt] != "" {
		v.CastAt = time.UnixMilli(number(columnCastAt, 64)).UTC()
	}
	return v, events.State(at[columnState]), failed
}

// boxOf cuts the stage's outcome off an event's id.
func boxOf(eventID string) string {
	box, _, _ := strings.Cut(eventID, "/")
	return box
}
