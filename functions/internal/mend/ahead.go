package mend

import (
	"context"
	"iter"

	"marimba/functions/internal/journal"
)

// readAhead bounds the entries that wait to be added; each is up to some hundred
// kilobytes.
const readAhead = 16

// ahead reads entries while earlier ones are being added, so that the log and
// Redis work at the same time.
func ahead(ctx context.Context, entries iter.Seq2[journal.Entry, error]) iter.Seq2[journal.Entry, error] {
	type read struct {
		entry journal.Entry
		err   error
	}
	return func(yield func(journal.Entry, error) bool) {
		ctx, stop := context.WithCancel(ctx)
		ready := make(chan read, readAhead)
		go func() {
			defer close(ready)
			for e, err := range entries {
				select {
				case ready <- read{e, err}:
				case <-ctx.Done():
					return
				}
			}
		}()
		defer func() {
			stop()
			for range ready { // until the reading has ended
			}
		}()
		for r := range ready {
			if !yield(r.entry, r.err) {
				return
			}
		}
		if err := context.Cause(ctx); err != nil {
			yield(journal.Entry{}, err)
		}
	}
}
