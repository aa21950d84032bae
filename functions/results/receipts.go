package main

import (
	"context"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"marimba/events"
	"marimba/functions/internal/board"
	"marimba/functions/internal/journal"
)

// located is where Redis knows a vote by its id.
type located interface {
	StateOf(ctx context.Context, c events.Contest, voterKey []byte, id string) (events.State, bool, error)
}

// pending is what a vote is that Kafka has and no log yet: it is on its way.
const pending events.State = "pending"

// A vote is taken to be on its way for this long after its receipt; a clock may
// run ahead of ours by this much.
const (
	pendingFor = time.Hour
	clockSkew  = time.Minute
)

// voteAnswer is what became of a vote that was asked for by its id.
type voteAnswer struct {
	Contest string       `json:"contest"`
	ID      string       `json:"id"`
	State   events.State `json:"state"`
}

// showReceipt tells what became of one vote: exactly, from the log. Who has the
// receipt may see it; id and voter's key are shown with the token only.
func (r *results) showReceipt(w http.ResponseWriter, req *http.Request) error {
	full, err := r.access.given(req)
	if err != nil {
		return err
	}
	receipt := req.PathValue("receipt")
	state, found, err := r.receipt(req.Context(), receipt, full)
	if err != nil {
		return err
	}
	if found != nil {
		return write(w, req, keptBy(full), "", found)
	}
	return write(w, req, keptBy(full), "", struct {
		Receipt string       `json:"receipt"`
		State   events.State `json:"state"`
	}{receipt, state})
}

// receipt returns the state of the vote of a receipt, and its row if the log has
// it. What is not known is a refusal.
func (r *results) receipt(ctx context.Context, receipt string, full bool) (events.State, *row, error) {
	box, index, ok := parseReceipt(receipt)
	if !ok {
		return "", nil, events.Refuse(events.VoteUnknown, "receipt")
	}
	done, err := r.search(ctx)
	if err != nil {
		return "", nil, err
	}
	defer done()
	from, found, err := r.journal.Vote(ctx, box, index)
	if err != nil {
		return "", nil, err
	}
	if found {
		out := r.shown(ctx, from, full)
		out.Way = wayOf(from, box, full)
		return out.State, &out, nil
	}
	if at, ok := timeOf(box); ok && r.onItsWay(at) {
		return pending, nil, nil
	}
	return "", nil, events.Refuse(events.VoteUnknown, "receipt")
}

// findVote tells what became of the vote of an id, as far as Redis knows. An id
// belongs to its voter: of a vote that named one it is known under the voter's
// key only, which is not public. All else is told by a receipt.
func (r *results) findVote(w http.ResponseWriter, req *http.Request) error {
	full, err := r.access.given(req)
	if err != nil {
		return err
	}
	c, err := r.contestOf(req)
	if err != nil {
		return err
	}
	q := parameters(req)
	key, err := hex.DecodeString(q.text("voter_key"))
	if err != nil || len(key) > 64 {
		q.refuse("voter_key", "hexadecimal")
	}
	if err := q.refusal(); err != nil {
		return err
	}
	if len(key) > 0 && !full {
		return events.Refuse(events.TokenRequired, "")
	}
	id := req.PathValue("id")
	if !events.IsID(id) {
		return events.Refuse(events.VoteUnknown, "id")
	}
	state, known, err := r.counts.StateOf(req.Context(), c, key, id)
	if err != nil {
		return err
	}
	if !known {
		at, ok := timeOf(id)
		if !ok || !r.onItsWay(at) {
			return events.Refuse(events.VoteUnknown, "id")
		}
		state = pending
	}
	return write(w, req, keptBy(full), "", voteAnswer{c.ID, id, state})
}

// way is what the log and the ids in it tell of a vote's way. What is not known is
// left out.
type way struct {
	Box   string     `json:"box"`
	BoxAt *time.Time `json:"box_at,omitempty"` // when the door sent it to Kafka, as its id says
	Index int        `json:"index"`            // of the vote in the box
	// Event is what brought it to the log, or what died: its id, the topic of such
	// events, and "<partition>/<offset>" there.
	Event string       `json:"event"`
	Topic events.Topic `json:"topic,omitempty"`
	Place string       `json:"place,omitempty"`
	// Ended is when it was brought to the log or, dead, to the shelf.
	Ended time.Time `json:"ended_at,omitzero"`
	// Life is that of the counts in which it was decided.
	Life int64 `json:"life,omitempty"`
	// CastAt is when it was cast by its sender's clock; with the token only.
	CastAt time.Time `json:"cast_at,omitzero"`
}

func wayOf(from journal.Row, box string, full bool) *way {
	w := &way{Box: box, Index: from.Vote.Index, Event: from.Way.Event, Topic: from.Way.Topic, Place: from.Way.Place, Ended: from.Way.Ended}
	if from.Way.Attempt != "" {
		w.Life = journal.LifeOf(from.Way.Attempt)
	}
	if at, ok := timeOf(box); ok {
		w.BoxAt = &at
	}
	if full {
		w.CastAt = from.Vote.CastAt
	}
	return w
}

func (r *results) onItsWay(at time.Time) bool {
	age := r.now().Sub(at)
	return age < pendingFor && age > -clockSkew
}

// parseReceipt takes "<box id>.<index>" apart.
func parseReceipt(receipt string) (box string, index int, ok bool) {
	at := strings.LastIndexByte(receipt, '.')
	if at < 0 || !events.IsID(receipt[:at]) {
		return "", 0, false
	}
	index, err := strconv.Atoi(receipt[at+1:])
	if err != nil || index < 0 || index >= events.MaxBoxVotes || strconv.Itoa(index) != receipt[at+1:] {
		return "", 0, false
	}
	return receipt[:at], index, true
}

// timeOf is the time in an id that is a UUID of version 7 (RFC 9562, 5.7): its
// first 48 bits are Unix time in ms.
func timeOf(id string) (time.Time, bool) {
	u, err := uuid.Parse(id)
	if err != nil || u.Version() != 7 {
		return time.Time{}, false
	}
	var ms int64
	for _, b := range u[:6] {
		ms = ms<<8 | int64(b)
	}
	return time.UnixMilli(ms).UTC(), true
}

func keptBy(full bool) string {
	if full {
		return forNobody
	}
	return forAMoment
}

// row is a vote as the log shows it.
type row struct {
	Receipt string           `json:"receipt"`
	Contest string           `json:"contest"`
	Channel events.Channel   `json:"channel"`
	At      time.Time        `json:"at"`
	Name    string           `json:"name"`
	Album   string           `json:"album"`
	Year    int32            `json:"year"`
	Rank    board.Hundredths `json:"rank"`
	State   events.State     `json:"state"`
	// AnnulledBy is the number of the case that annuls it.
	AnnulledBy int         `json:"annulled_by,omitempty"`
	Reason     events.Code `json:"reason,omitempty"` // why it was refused
	Field      string      `json:"field,omitempty"`  // which the reason concerns
	Cause      string      `json:"cause,omitempty"`  // why it is dead
	Way        *way        `json:"way,omitempty"`    // of one that was asked for by its receipt
	// Withheld: what the vote is for is not public yet, and left out here.
	Withheld bool `json:"withheld,omitempty"`
	*private
}

// private is what a row shows with the token only.
type private struct {
	ID       string `json:"id"`
	VoterKey string `json:"voter_key"` // hexadecimal; empty: none
	TraceID  string `json:"trace_id,omitempty"`
}

func rowOf(from journal.Row, full bool) row {
	v := from.Vote
	out := row{
		Receipt: from.Receipt, Contest: from.Contest, Channel: from.Channel, At: v.At,
		Name: v.Name, Album: v.Album, Year: v.Year, Rank: board.Hundredths(v.Rank),
		State: from.State, Reason: v.Reason, Field: v.Field, Cause: from.Cause,
	}
	if full {
		out.private = &private{v.ID, hex.EncodeToString(v.VoterKey), from.Way.Trace}
	}
	return out
}
