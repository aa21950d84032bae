package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"marimba/events"
	"marimba/functions/internal/annul"
	"marimba/functions/internal/counts"
	"marimba/functions/internal/journal"
)

// readLog notes what the log says became of each vote.
func (a *audit) readLog(ctx context.Context) error {
	recounts := make(map[string]*counts.Recount) // let go of before the cast votes are recounted
	books := make(map[string]*annul.Book)
	for e, err := range a.journal.Entries(ctx, a.only) {
		if err != nil {
			return err
		}
		a.read.Entries++
		if a.ledger.votes()+len(e.Box.Votes) > maxVotes {
			return fmt.Errorf("the log has more than %d votes", int64(maxVotes))
		}
		of, recount := a.account(e.Box.Contest), recounts[e.Box.Contest]
		if recount == nil {
			book, err := annul.Read(ctx, a.journal, of.contest.ID)
			if err != nil {
				return err
			}
			recount = counts.NewRecount(of.contest)
			recount.Annul(book.Annuls())
			recounts[e.Box.Contest], books[e.Box.Contest] = recount, book
		}
		if err := recount.Add(counts.Entry{ID: e.ID, Box: e.Box}, e.States); err != nil {
			return err
		}
		if err := a.logEntry(of, e); err != nil {
			a.faults.tell(logMalformed, of.contest.ID, len(e.Box.Votes), "%s: %v", e.ID, err)
		}
	}
	for id, recount := range recounts {
		of, sum := a.accounts[id], annul.Sum(recount.Annulled())
		of.log, of.annulled = side{recount.Tally(), recount.Figures()}, sum.Channels
		if effect := books[id].Effect; effect != nil {
			if err := effect.Differ(sum); err != nil {
				a.faults.tell(annulledDiffer, id, 0, "as ruled and by the log: %v", err)
			}
		}
	}
	return nil
}

// logEntry takes a document of the log into the ledger. An error says what is
// wrong with the document as such; its votes are left out then.
func (a *audit) logEntry(of *account, e journal.Entry) error {
	refusal := strings.HasSuffix(e.ID, "/refused")
	if !refusal && !strings.HasSuffix(e.ID, "/accepted") {
		return errors.New("is neither an accepted nor a refused box")
	}
	if len(e.Box.Votes) > events.MaxBoxVotes {
		return fmt.Errorf("has %d votes", len(e.Box.Votes))
	}
	for i, v := range e.Box.Votes {
		s, ok := standingOf(e.States[i])
		if !ok || (s == isRefused) != refusal || (v.Reason != "") != refusal {
			return fmt.Errorf("vote %d is %s for reason %q", v.Index, e.States[i], v.Reason)
		}
		if v.Index < 0 || v.Index >= events.MaxBoxVotes {
			return fmt.Errorf("vote %d: there is no such place in a box", v.Index)
		}
	}
	id := a.ledger.id(e.Box.ID)
	in := a.ledger.boxes[id]
	at := &in.accepted
	if refusal {
		at = &in.refused
	}
	if at.n > 0 {
		a.faults.tell(loggedTwice, of.contest.ID, len(e.Box.Votes), "document %s", e.ID)
		return nil
	}
	*at = span{uint32(a.ledger.votes()), uint16(len(e.Box.Votes))}
	in.contest = a.ledger.contest(of.contest.ID)
	a.ledger.boxes[id] = in
	for i := range e.Box.Votes {
		v := &e.Box.Votes[i]
		s, _ := standingOf(e.States[i])
		number := uint32(a.ledger.votes())
		a.ledger.add(&e.Box, v, s)
		if s == isRefused {
			continue
		}
		of.ids = append(of.ids, mark{key: a.ledger.idKey(v), vote: number, standing: s})
		key, limited := a.ledger.limitKey(of.contest, v)
		switch {
		case limited && s != isDuplicate:
			of.limited = append(of.limited, mark{key, v.At.UnixMilli(), number, s})
		case s == isOverLimit:
			a.faults.tell(overLimitEarly, of.contest.ID, 1, "%s: no limit applies to it", events.Receipt(e.Box.ID, v.Index))
		}
	}
	return nil
}

// deadBox is what the dead letters hold of a box.
type deadBox struct {
	contest  string
	votes    map[int]uint64 // digests of what was cast, by index; of shelved letters
	replayed time.Time      // when it was last sent again; zero: never
}

// readDead notes the votes that are dead, and the boxes that were sent again.
func (a *audit) readDead(ctx context.Context) error {
	for d, err := range a.journal.Dead(ctx, journal.Shelved, a.only) {
		if err != nil {
			return err
		}
		a.read.Letters++
		if isAnnouncement(d) {
			box, _, _ := strings.Cut(d.ID, "/")
			a.unannounced[box] = true
			continue
		}
		b, err := d.Box()
		if err != nil {
			continue // it holds no votes
		}
		in := a.letters[b.ID]
		in.contest = b.Contest
		if in.votes == nil {
			in.votes = make(map[int]uint64, len(b.Votes))
		}
		for i := range b.Votes {
			v := &b.Votes[i]
			digest := a.ledger.castDigest(&b, v)
			if was, ok := in.votes[v.Index]; ok && was != digest {
				a.faults.tell(deadChanged, b.Contest, 1, "%s: two letters differ", events.Receipt(b.ID, v.Index))
			}
			in.votes[v.Index] = digest
		}
		a.letters[b.ID] = in
	}
	for d, err := range a.journal.DeadList(ctx, journal.Replayed, a.only) {
		if err != nil {
			return err
		}
		if d.Votes == 0 || isAnnouncement(d) {
			continue
		}
		box, _, _ := strings.Cut(d.ID, "/")
		in := a.letters[box]
		if d.ReplayedAt.After(in.replayed) {
			in.replayed = d.ReplayedAt
		}
		a.letters[box] = in
	}
	return nil
}
