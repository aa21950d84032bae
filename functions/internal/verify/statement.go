package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"marimba/events"
	"marimba/events/seal"
	"marimba/functions/internal/board"
)

// statement is what a final statement says, as far as an archive can tell whether it
// is so.
type statement struct {
	Contest  string    `json:"contest"`
	MadeAt   time.Time `json:"made_at"`
	ClosesAt time.Time `json:"closes_at"`
	Revision string    `json:"contest_sha256"`
	Rules    string    `json:"rules_sha256"`
	Votes    struct {
		Cast     int64                                     `json:"cast"`
		States   map[events.State]int64                    `json:"states"`
		Channels map[events.Channel]map[events.State]int64 `json:"channels"`
		Replaced int64                                     `json:"replaced"`
	} `json:"votes"`
	Board board.Board `json:"board"`
	Tally string      `json:"tally_sha256"`
	Log   *statedLog  `json:"log"`
}

// statedLog is the public log's checkpoint that a statement was made with.
type statedLog struct {
	Origin string    `json:"origin"`
	Size   uint64    `json:"size"`
	Root   seal.Hash `json:"root"`
}

// read takes in the statement. It is looked at on its own: what it says of the votes
// is for later.
func (e *examiner) readStatement(text []byte) {
	c := e.check(statedSo)
	e.report.Statement = digestOf(text)
	if err := json.Unmarshal(text, &e.stated); err != nil {
		c.fault("it cannot be read: %v", err)
		return
	}
	canonical := jsontext.Value(bytes.Clone(text))
	if err := canonical.Canonicalize(); err != nil || !bytes.Equal(canonical, text) {
		c.fault("it is not in its canonical form: it was edited")
	}
	if e.expected.Statement != "" && e.expected.Statement != e.report.Statement {
		c.fault("its SHA-256 is %s, not %s", e.report.Statement, e.expected.Statement)
	}
	if e.stated.Contest != e.report.Contest {
		c.fault("it is of contest %q", e.stated.Contest)
	}
	var cast int64
	for _, state := range events.States {
		n := e.stated.Votes.States[state]
		cast += n
		var by int64
		for _, channel := range events.Channels {
			by += e.stated.Votes.Channels[channel][state]
		}
		if by != n {
			c.fault("%d votes are %s, and by channel %d", n, state, by)
		}
	}
	if cast != e.stated.Votes.Cast {
		c.fault("%d votes were cast, and %d are in a final state", e.stated.Votes.Cast, cast)
	}
}

// endStatement holds the statement to the log that the votes make.
func (e *examiner) endStatement() {
	c := e.check(statedSo)
	of := e.stated.Log
	switch {
	case of == nil:
		e.report.note("the statement names no checkpoint of the public log: that the log is the one of this contest's end rests on its key alone")
	case e.checkpoint == nil:
		c.fault("it names a checkpoint of %d leaves, and the archive has none to hold it to", of.Size)
	case *of != statedLog{e.checkpoint.Origin, e.checkpoint.Size, e.checkpoint.Root}:
		c.fault("it names the checkpoint %s, %d, %s, and the archive's is %s, %d, %s", of.Origin, of.Size, of.Root,
			e.checkpoint.Origin, e.checkpoint.Size, e.checkpoint.Root)
	}
	c.say("its SHA-256 is %s", e.report.Statement)
}

// counts holds the statement's numbers to the openings.
func (e *examiner) endCounts() {
	c := e.check(countsAgree)
	for _, channel := range events.Channels {
		if stated, n := e.stated.Votes.Channels[channel][events.Counted], e.channels[channel]; stated != n {
			c.fault("%s: the statement counts %d votes, the log %d", channel, stated, n)
		}
	}
	if stated := e.stated.Votes.States[events.Counted]; stated != int64(e.opened.tree.Size()) {
		c.fault("the statement counts %d votes, the log %d", stated, e.opened.tree.Size())
	}
	if stated := e.stated.Votes.Replaced; stated != e.replaced {
		c.fault("the statement says that %d were replaced, the archive marks %d", stated, e.replaced)
	}
	if digest := e.tally.Folded().Digest(); digest != e.stated.Tally {
		c.fault("the digest of all counted votes is %s, not %s", digest, e.stated.Tally)
	}
	c.say("%d counted, of which %d were replaced by later ones", e.opened.tree.Size(), e.replaced)
}

// endBoard holds the statement's board to the one that the openings make.
func (e *examiner) endBoard() {
	c := e.check(boardAgrees)
	if e.contest.ID == "" {
		c.fault("without the contest's file there is no board")
		return
	}
	made := board.Make(e.contest, e.tally.Folded(), e.stated.Board.AsOf)
	if fault := differ(made, e.stated.Board); fault != "" {
		c.fault("%s", fault)
	}
	if len(made.Bands) > 0 {
		c.say("%s", inShort(made.Bands[0]))
	} else {
		c.say("no band")
	}
}

func digestOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// hashText shortens a hash for people.
func hashText(h seal.Hash) string { return fmt.Sprintf("%.16s…", h.String()) }
