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
	"marimba/events/seal"
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

// receiptAnswer is what everybody may know of a receipt: that there is such a vote,
// and how it ended; not what it is for.
type receiptAnswer struct {
	Receipt string       `json:"receipt"`
	Contest string       `json:"contest,omitempty"` // while it is on its way it is not known
	State   events.State `json:"state"`
	// ReceivedAt is when the door sent it to Kafka, as its box's id says.
	ReceivedAt *time.Time `json:"received_at,omitempty"`
}

// receiptRow is what the holder of a receipt's secret is shown: the vote, and the
// proof that it is in the public log, once it is.
type receiptRow struct {
	row
	Proof *proof `json:"proof,omitempty"`
}

// showReceipt tells what became of one vote: exactly, from the log. What it was for
// is shown to who has its secret, or the token; id and voter's key with the token
// only.
func (r *results) showReceipt(w http.ResponseWriter, req *http.Request) error {
	full, err := r.access.given(req)
	if err != nil {
		return err
	}
	w.Header().Add("Vary", secretHeader)
	receipt := req.PathValue("receipt")
	answer, from, err := r.receipt(req.Context(), receipt)
	if err != nil {
		return err
	}
	given := req.Header.Values(secretHeader)
	if len(given) == 0 && !full || from == nil {
		return write(w, req, keptBy(full || len(given) > 0), "", answer)
	}
	if !full && !r.isSecret(given, from.Contest, receipt) {
		return events.Refuse(events.SecretWrong, "receipt")
	}
	out := receiptRow{row: rowOf(*from, full)}
	out.Receipt = receipt
	if out.AnnulledBy = r.annulledBy(req.Context(), *from); out.AnnulledBy > 0 {
		out.State = events.Annulled
	}
	out.Way = wayOf(*from, full)
	if out.Proof, err = r.prove(req.Context(), *from); err != nil {
		return err
	}
	return write(w, req, forNobody, "", out)
}

// secretHeader has a receipt's secret: in an address it would be kept by whoever
// passes it on.
const secretHeader = "Receipt-Secret"

// isSecret reports whether a request's header has the secret of a receipt.
func (r *results) isSecret(given []string, contest, receipt string) bool {
	if len(given) != 1 {
		return false
	}
	secret, ok := seal.ParseSecret(given[0])
	return ok && r.secrets.Of(contest, receipt).Equal(secret)
}

// receipt returns what everybody may know of a receipt, and its row if the log has
// it. What is not known is a refusal.
func (r *results) receipt(ctx context.Context, receipt string) (receiptAnswer, *journal.Row, error) {
	box, index, ok := parseReceipt(receipt)
	if !ok {
		return receiptAnswer{}, nil, events.Refuse(events.VoteUnknown, "receipt")
	}
	done, err := r.search(ctx)
	if err != nil {
		return receiptAnswer{}, nil, err
	}
	defer done()
	from, found, err := r.journal.Vote(ctx, box, index)
	if err != nil {
		return receiptAnswer{}, nil, err
	}
	answer := receiptAnswer{Receipt: receipt, State: pending}
	at, timed := timeOf(box)
	if timed {
		answer.ReceivedAt = &at
	}
	if found {
		answer.Contest, answer.State = from.Contest, from.State
		return answer, &from, nil
	}
	if timed && r.onItsWay(at) {
		return answer, nil, nil
	}
	return receiptAnswer{}, nil, events.Refuse(events.VoteUnknown, "receipt")
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

func wayOf(from journal.Row, full bool) *way {
	box, _, _ := parseReceipt(from.Receipt)
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
	// Receipt is shown with the token, and to who has its secret: to everybody else
	// it would join a vote to who holds the receipt.
	Receipt string `json:"receipt,omitempty"`
	// Key names the row in a list, and leads back to nothing.
	Key     string           `json:"key,omitempty"`
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
		Contest: from.Contest, Channel: from.Channel, At: v.At,
		Name: v.Name, Album: v.Album, Year: v.Year, Rank: board.Hundredths(v.Rank),
		State: from.State, Reason: v.Reason, Field: v.Field, Cause: from.Cause,
	}
	if full {
		out.Receipt = from.Receipt
		out.private = &private{v.ID, hex.EncodeToString(v.VoterKey), from.Way.Trace}
	}
	return out
}
