package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"marimba/events"
	"marimba/events/rules"
	boards "marimba/functions/internal/board"
	"marimba/functions/internal/counts"
)

// statement is the last word on a contest: what its result is, and what that
// rests on. All of it can be found again in the log and in votes.cast, whatever
// has come since.
type statement struct {
	Contest    string             `json:"contest"`
	Title      map[string]string  `json:"title"`
	MadeAt     time.Time          `json:"made_at"`
	OpensAt    *time.Time         `json:"opens_at"`
	ClosesAt   time.Time          `json:"closes_at"`
	Amendments []events.Amendment `json:"amendments"`
	Revision   string             `json:"contest_sha256"` // of the contest's file
	// Offsets are where each partition ended when the votes that were received in
	// time had come in, and for the topics behind it, when those had been judged.
	// All before them had been handled.
	Offsets map[events.Topic]map[int32]int64 `json:"offsets"`
	Votes   statedVotes                      `json:"votes"`
	Board   boards.Board                     `json:"board"`
	Tally   string                           `json:"tally_sha256"` // of all counted votes: tallyDigest
	// Rules is the SHA-256 of the house's rules, as the audit judged by them.
	Rules string `json:"rules_sha256"`
	// Log is the checkpoint of the public log that has each counted vote; null if
	// none is counted.
	Log *sealedAs `json:"log"`
}

// statedVotes says how the votes ended that were received before the contest
// closed.
type statedVotes struct {
	Cast     int64                                     `json:"cast"`
	States   map[events.State]int64                    `json:"states"`
	Channels map[events.Channel]map[events.State]int64 `json:"channels"`
	Refusals map[events.Code]int64                     `json:"refusals"`
	Replaced int64                                     `json:"replaced"`
	Late     int64                                     `json:"late"` // cast when the contest had closed; in no other number
}

// Bounds of the board of a statement: the first pair is for nearly all contests.
// In one of open roster there may be more bands than a document can hold.
var stateAtMost = [][2]int{{5000, 500}, {1000, 50}, {200, 20}}

const maxBoard = 8 << 20

// makeStatement puts together what has been counted.
func makeStatement(c events.Contest, offsets map[events.Topic]map[int32]int64, r reckoning, log *sealedAs, at time.Time) (statement, error) {
	tally := r.recount.Tally()
	s := statement{
		Contest: c.ID, Title: c.Title, MadeAt: at.UTC().Truncate(time.Millisecond), ClosesAt: c.ClosesAt,
		Amendments: c.Amendments, Revision: c.Revision, Offsets: offsets, Votes: r.votes(), Tally: tallyDigest(tally),
		Rules: rules.Digest(), Log: log,
	}
	if !c.OpensAt.IsZero() {
		s.OpensAt = &c.OpensAt
	}
	if s.Amendments == nil {
		s.Amendments = []events.Amendment{}
	}
	whole := boards.Make(c, tally, s.MadeAt)
	for _, most := range stateAtMost {
		s.Board = whole.Cut(most[0], most[1])
		text, err := json.Marshal(s.Board)
		if err != nil {
			return statement{}, fmt.Errorf("write board: %w", err)
		}
		if len(text) <= maxBoard {
			break
		}
	}
	return s, nil
}

// canonical returns the statement in the canonical form of RFC 8785: whoever reads
// it, in whatever language, comes to the same bytes and so to the same digest.
func (s statement) canonical() ([]byte, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("write statement: %w", err)
	}
	value := jsontext.Value(text)
	if err := value.Canonicalize(); err != nil {
		return nil, fmt.Errorf("write statement: %w", err)
	}
	return value, nil
}

// tallyDigest is of all counted votes.
func tallyDigest(tally counts.Histogram) string { return tally.Digest() }
