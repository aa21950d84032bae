package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"marimba/events"
	"marimba/functions/internal/counts"
	"marimba/functions/internal/journal"
	"marimba/functions/internal/kafka"
)

// reckoning is what became of a contest's votes that were received before it
// closed. Late ones, which go on coming, are kept apart: so the numbers are the
// same whenever they are reckoned again.
type reckoning struct {
	closesAt time.Time
	recount  *counts.Recount // of the log
	dead     map[events.Channel]int64
	cast     map[events.Channel]int64
	late     int64 // of what was cast
}

// inTime returns the votes of a box that were received before the contest closed.
func (r *reckoning) inTime(votes []events.Vote) []events.Vote {
	var early []events.Vote
	for i := range votes {
		if votes[i].At.Before(r.closesAt) {
			early = append(early, votes[i])
		}
	}
	return early
}

// readLog counts the votes of the log, and those that are dead: shelved, and not
// in the log. It takes memory for each dead vote.
func (r *reckoning) readLog(ctx context.Context, c events.Contest, log closedLog) error {
	r.recount, r.dead = counts.NewRecount(c), make(map[events.Channel]int64)
	dead := make(map[string]map[int]events.Channel) // by box and index
	for letter, err := range log.Dead(ctx, journal.Shelved, c.ID) {
		if err != nil {
			return err
		}
		if isAnnouncement(letter) {
			continue
		}
		box, err := letter.Box()
		if err != nil {
			continue // it never was one: no vote was lost with it
		}
		for _, v := range r.inTime(box.Votes) {
			if dead[box.ID] == nil {
				dead[box.ID] = make(map[int]events.Channel)
			}
			dead[box.ID][v.Index] = box.Channel
		}
	}
	for e, err := range log.Entries(ctx, c.ID) {
		if err != nil {
			return err
		}
		early := counts.Entry{ID: e.ID, Box: e.Box}
		early.Box.Votes = nil
		var states []events.State
		for i, v := range e.Box.Votes {
			if v.At.Before(r.closesAt) {
				early.Box.Votes, states = append(early.Box.Votes, v), append(states, e.States[i])
				delete(dead[e.Box.ID], v.Index)
			} else if e.States[i] != events.Refused {
				return fmt.Errorf("vote %s was received at %s, when the contest had closed, and is %s: a clock or the contest's file was wrong",
					events.Receipt(e.Box.ID, v.Index), v.At.Format(time.RFC3339Nano), e.States[i])
			}
		}
		if err := r.recount.Add(early, states); err != nil {
			return err
		}
	}
	for _, votes := range dead {
		for _, channel := range votes {
			r.dead[channel]++
		}
	}
	return nil
}

// readCast counts what was cast, each box once: one that died and was sent again
// is there twice. It takes memory for the id of each box.
func (r *reckoning) readCast(ctx context.Context, c events.Contest, topic castVotes, within kafka.Reach) error {
	r.cast, r.late = make(map[events.Channel]int64), 0
	met := make(map[string]bool)
	for rec, err := range topic.Records(ctx, within) {
		if err != nil {
			return err
		}
		if rec.foreign != nil || rec.box.Contest != c.ID || met[rec.box.ID] {
			continue
		}
		met[rec.box.ID] = true
		early := int64(len(r.inTime(rec.box.Votes)))
		r.cast[rec.box.Channel] += early
		r.late += int64(len(rec.box.Votes)) - early
	}
	return nil
}

// votes adds up the reckoning. Each state is in it, if with 0.
func (r *reckoning) votes() statedVotes {
	figures := r.recount.Figures()
	s := statedVotes{
		States:   make(map[events.State]int64),
		Channels: make(map[events.Channel]map[events.State]int64),
		Refusals: figures.Reasons, Replaced: figures.Replaced, Late: r.late,
	}
	for _, channel := range events.Channels {
		in := make(map[events.State]int64)
		for _, state := range events.States {
			n := figures.Votes[channel][state]
			if state == events.Dead {
				n = r.dead[channel]
			}
			in[state] = n
			s.States[state] += n
		}
		s.Channels[channel] = in
		s.Cast += r.cast[channel]
	}
	return s
}

// balance returns an error unless each vote that was cast is in one final state.
func (r *reckoning) balance() error {
	var faults []error
	for channel, states := range r.votes().Channels {
		var ended int64
		for _, n := range states {
			ended += n
		}
		if cast := r.cast[channel]; cast != ended {
			faults = append(faults, fmt.Errorf("%s: %d votes were cast, %d are in a final state", channel, cast, ended))
		}
	}
	return errors.Join(faults...)
}

// countedNow is what Redis counts.
type countedNow interface {
	Tally(ctx context.Context, c events.Contest) (counts.Histogram, error)
	Figures(ctx context.Context, c events.Contest) (counts.Figures, error)
}

// agree returns an error unless Redis counts what the log says. Late votes are
// left aside: they are refused as they come, in the one a moment before the other.
func (r *reckoning) agree(ctx context.Context, c events.Contest, store countedNow) error {
	tally, err := store.Tally(ctx, c)
	if err != nil {
		return err
	}
	if err := r.recount.Tally().Differ(tally); err != nil {
		return fmt.Errorf("log and counts differ: %w", err)
	}
	figures, err := store.Figures(ctx, c)
	if err != nil {
		return err
	}
	if err := withoutLate(r.recount.Figures()).Differ(withoutLate(figures)); err != nil {
		return fmt.Errorf("log and figures differ: %w", err)
	}
	return nil
}

// withoutLate leaves out what late votes change: their reason, and the number of
// refused votes of each channel, of which the other reasons say enough.
func withoutLate(f counts.Figures) counts.Figures {
	out := counts.Figures{Votes: make(map[events.Channel]map[events.State]int64), Reasons: maps.Clone(f.Reasons), Replaced: f.Replaced}
	delete(out.Reasons, events.TooLate)
	for channel, states := range f.Votes {
		out.Votes[channel] = maps.Clone(states)
		delete(out.Votes[channel], events.Refused)
	}
	return out
}
