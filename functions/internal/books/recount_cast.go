package main

import (
	"context"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"marimba/events"
	"marimba/functions/internal/journal"
	"marimba/functions/internal/replay"
)

// sentAtOnce bounds the boxes that are on their way to Kafka again.
const sentAtOnce = 16

// shelf is what is known of dead letters.
type shelf interface {
	replay.Shelf
	logged
}

// sendMissing sends each cast box again of which a vote is neither in the log nor
// on the shelf: the log has lost it, or it is on its way. It goes the whole way
// once more, under its own id; what had been done of it already is not done twice.
// only is a contest, or "" for all. It returns how many boxes and votes it sent.
//
// It remembers a number for each box in the log, and no more of a box that was
// cast than those that are being sent.
func sendMissing(ctx context.Context, topic castVotes, kept shelf, to replay.Sender, only string) (boxes, votes int64, err error) {
	within, err := topic.Reach(ctx)
	if err != nil {
		return 0, 0, err
	}
	ended := make(map[string]int) // votes in the log, by box
	for e, err := range kept.Entries(ctx, only) {
		if err != nil {
			return 0, 0, err
		}
		ended[e.Box.ID] += len(e.Box.Votes)
	}
	dead := make(map[string]bool) // ids of events on the shelf
	for d, err := range kept.DeadList(ctx, journal.Shelved, only) {
		if err != nil {
			return 0, 0, err
		}
		dead[d.ID] = true
	}
	var sentBoxes, sentVotes atomic.Int64
	work, working := errgroup.WithContext(ctx)
	work.SetLimit(sentAtOnce)
	for rec, err := range topic.Records(working, within) {
		if err != nil {
			if failed := work.Wait(); failed != nil {
				err = failed // which ended the reading
			}
			return sentBoxes.Load(), sentVotes.Load(), err
		}
		b := rec.box
		if rec.foreign != nil || only != "" && b.Contest != only || ended[b.ID] >= len(b.Votes) ||
			dead[b.ID] || dead[b.ID+"/accepted"] || dead[b.ID+"/refused"] {
			continue
		}
		ended[b.ID] = len(b.Votes) // one that was cast twice is sent once
		work.Go(func() error {
			if err := to.Send(working, b.Event(events.TypeCast, "books")); err != nil {
				return fmt.Errorf("send %s: %w", b.ID, err)
			}
			sentBoxes.Add(1)
			sentVotes.Add(int64(len(b.Votes)))
			return nil
		})
	}
	err = work.Wait()
	return sentBoxes.Load(), sentVotes.Load(), err
}
