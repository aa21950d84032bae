package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"marimba/events"
	"marimba/functions/internal/counts"
	"marimba/functions/internal/kafka"
)

// readCast goes through the votes that were cast, and holds against each what
// the log says of it. First come those that had been cast when the audit began.
func (a *audit) readCast(ctx context.Context, first, last kafka.Reach) error {
	later := make(kafka.Reach)
	for partition, e := range last {
		later[partition] = kafka.Extent{From: max(e.From, first[partition].To), To: e.To}
		if begin := max(e.From, first[partition].From); begin > 0 {
			a.faults.tell(castCut, "", 0, "partition %d begins at offset %d", partition, begin)
		}
	}
	for _, part := range []struct {
		within kafka.Reach
		newer  bool
	}{{first, false}, {later, true}} {
		for rec, err := range a.topic.Records(ctx, part.within) {
			if err != nil {
				return err
			}
			a.read.Records++
			if rec.foreign != nil {
				a.read.Foreign++
				continue
			}
			if a.only == "" || rec.box.Contest == a.only {
				if err := a.castBox(ctx, rec, part.newer); err != nil {
					return err
				}
			}
		}
	}
	a.checkCast()
	return nil
}

// castBox holds a box that was cast against the log.
func (a *audit) castBox(ctx context.Context, rec castRecord, newer bool) error {
	b := rec.box
	of := a.account(b.Contest)
	id, digest := a.ledger.id(b.ID), a.ledger.recordDigest(rec.value)
	in := a.ledger.boxes[id]
	if in.record != 0 {
		if in.record != digest { // else it was sent again
			a.faults.tell(castChanged, b.Contest, len(b.Votes), "box %s, again at partition %d, offset %d", b.ID, rec.partition, rec.offset)
		}
		return nil
	}
	in.record = digest
	a.ledger.boxes[id] = in
	a.place(b, in)

	row := of.row(b.Channel)
	recount := counts.Entry{ID: b.ID, Box: events.Box{ID: b.ID, Contest: b.Contest, Channel: b.Channel}}
	var states []events.State
	var met [events.MaxBoxVotes]bool
	for i := range b.Votes {
		v := &b.Votes[i]
		if met[v.Index] {
			a.faults.tell(castMalformed, b.Contest, 1, "%s is the receipt of two votes", events.Receipt(b.ID, v.Index))
			continue
		}
		met[v.Index] = true
		a.read.Votes++
		judged, err := of.judged(*v)
		if err != nil {
			return err
		}
		number := a.places[v.Index]
		a.places[v.Index] = 0
		if number == 0 {
			a.unlogged(of, row, &b, v, judged, newer)
			continue
		}
		row.Cast++
		a.compare(ctx, &b, v, &judged, number-1)
		a.checkLeaf(of, b.ID, v.Index, number-1, newer)
		recount.Box.Votes = append(recount.Box.Votes, judged)
		states = append(states, a.ledger.standings[number-1].state())
	}
	_ = of.cast.Add(recount, states) // as many states as votes
	a.displace(b.Contest, b.ID, in)
	return nil
}

// place notes where the ledger has the votes of a box.
func (a *audit) place(b events.Box, in loggedBox) {
	for _, s := range [...]span{in.accepted, in.refused} {
		for number := s.first; number < s.first+uint32(s.n); number++ {
			at := &a.places[a.ledger.index[number]]
			if *at != 0 {
				a.faults.tell(loggedTwice, b.Contest, 1, "%s", events.Receipt(b.ID, int(a.ledger.index[number])))
			}
			*at = number + 1
		}
	}
}

// displace ends place: what is still there was not met.
func (a *audit) displace(contest, box string, in loggedBox) {
	for _, s := range [...]span{in.accepted, in.refused} {
		for number := s.first; number < s.first+uint32(s.n); number++ {
			at := &a.places[a.ledger.index[number]]
			if *at != 0 {
				a.faults.tell(notCast, contest, 1, "%s: there is no such vote in its box", events.Receipt(box, int(a.ledger.index[number])))
			}
			*at = 0
		}
	}
}

// compare holds a vote that was cast, and what the rules make of it, against the
// one in the log.
func (a *audit) compare(ctx context.Context, b *events.Box, v, judged *events.Vote, number uint32) {
	var failed check
	switch {
	case a.ledger.castDigest(b, v) != a.ledger.cast[number]:
		failed = voteChanged
	case a.ledger.judgedDigest(judged) != a.ledger.judged[number]:
		failed = judgedOtherwise
	default:
		return
	}
	receipt := events.Receipt(b.ID, v.Index)
	if !a.faults.curious(failed, b.Contest) {
		a.faults.tell(failed, b.Contest, 1, "%s", receipt)
		return
	}
	row, ok, err := a.journal.Vote(ctx, b.ID, v.Index)
	if err != nil || !ok { // the example goes without details
		a.faults.tell(failed, b.Contest, 1, "%s", receipt)
		return
	}
	logged := row.Vote
	said := []pair{
		{"contest", b.Contest, row.Contest}, {"channel", b.Channel, row.Channel}, {"id", v.ID, logged.ID},
		{"year", v.Year, logged.Year}, {"rank", events.FormatRank(v.Rank), events.FormatRank(logged.Rank)},
		{"voter's key", fmt.Sprintf("%.4x", v.VoterKey), fmt.Sprintf("%.4x", logged.VoterKey)},
		{"received", v.At.UTC(), logged.At.UTC()}, {"cast_at", v.CastAt.UTC(), logged.CastAt.UTC()},
	}
	if failed == judgedOtherwise {
		said = []pair{
			{"name", judged.Name, logged.Name}, {"album", judged.Album, logged.Album},
			{"reason", judged.Reason, logged.Reason}, {"field", judged.Field, logged.Field},
		}
	}
	a.faults.tell(failed, b.Contest, 1, "%s: %s", receipt, differing(said))
}

// pair is what should be and what the log says.
type pair struct {
	what         string
	should, says any
}

func differing(pairs []pair) string {
	var out []string
	for _, p := range pairs {
		if p.should != p.says {
			out = append(out, fmt.Sprintf("%s %s, the log says %s", p.what, orNone(p.should), orNone(p.says)))
		}
	}
	if len(out) == 0 {
		return "it is in the log as another too"
	}
	return strings.Join(out, "; ")
}

func orNone(value any) string {
	if text := fmt.Sprint(value); text != "" {
		return text
	}
	return "none"
}

// unlogged says where a vote is that was cast and is not in the log: among the
// dead, left aside, or on its way.
func (a *audit) unlogged(of *account, row *auditRow, b *events.Box, v *events.Vote, judged events.Vote, newer bool) {
	in := a.letters[b.ID]
	digest, died := in.votes[v.Index]
	s := isOpen
	switch {
	case died:
		s = isDead
		row.Cast++
		row.Dead++
		if digest != a.ledger.castDigest(b, v) {
			a.faults.tell(deadChanged, b.Contest, 1, "%s: the letter holds another vote than was cast", events.Receipt(b.ID, v.Index))
		}
	case newer:
		a.read.Newer++
		of.moving.add(b.Channel, &judged)
	default:
		row.Cast++
		row.InFlight++
		of.moving.add(b.Channel, &judged)
		since := v.At
		if in.replayed.After(since) {
			since = in.replayed
		}
		if age := a.began.Sub(since); age > a.young || a.young == 0 {
			a.faults.tell(inFlight, b.Contest, 1, "%s, received at %s", events.Receipt(b.ID, v.Index), v.At.Format("2006-01-02 15:04:05.000"))
		}
	}
	if judged.Reason != "" {
		return
	}
	of.ids = append(of.ids, mark{key: a.ledger.idKey(v), standing: s})
	if key, limited := a.ledger.limitKey(of.contest, &judged); limited {
		of.limited = append(of.limited, mark{key: key, standing: s})
	}
}

// checkCast looks for votes that the log or the dead letters have, and that
// were never cast.
func (a *audit) checkCast() {
	for id, in := range a.ledger.boxes {
		if in.record != 0 {
			continue
		}
		// Of what contest it is the ledger does not know; no more does the audit.
		for _, s := range [...]span{in.accepted, in.refused} {
			for number := s.first; number < s.first+uint32(s.n); number++ {
				a.faults.tell(notCast, "", 1, "%s: its box was never cast", events.Receipt(a.ledger.name(id), int(a.ledger.index[number])))
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(a.letters)) {
		in := a.letters[id]
		if len(in.votes) > 0 && a.ledger.boxes[a.ledger.id(id)].record == 0 {
			a.faults.tell(deadNotCast, in.contest, len(in.votes), "box %s", id)
		}
	}
}
