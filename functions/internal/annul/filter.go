package annul

import (
	"errors"
	"fmt"
	"time"

	"marimba/events"
)

// Filter chooses counted votes. What is empty chooses all, but one that chooses all
// votes of a contest is none: that is a contest called off, not an annulment.
type Filter struct {
	Channel events.Channel `json:"channel,omitempty"`
	Band    string         `json:"band,omitempty"` // in any spelling that folds alike
	From    time.Time      `json:"from,omitzero"`  // received at or after it
	To      time.Time      `json:"to,omitzero"`    // received before it
}

// check returns what is wrong with a filter.
func (f Filter) check() error {
	known := f.Channel == ""
	for _, channel := range events.Channels {
		known = known || channel == f.Channel
	}
	band, no := events.CleanText("band", f.Band, events.MaxName)
	switch {
	case f == (Filter{}):
		return errors.New("the filter is empty: name a channel, a band or times")
	case !known:
		return fmt.Errorf("channel %q is none of %v", f.Channel, events.Channels)
	case no != nil || band != f.Band:
		return fmt.Errorf("band %q is longer than %d or not in its clean form", f.Band, events.MaxName)
	case !f.From.IsZero() && !f.To.IsZero() && !f.From.Before(f.To):
		return errors.New("from is not before to")
	}
	return nil
}

// Has reports whether a counted vote is chosen.
func (f Filter) Has(channel events.Channel, v *events.Vote) bool {
	return (f.Channel == "" || f.Channel == channel) &&
		(f.From.IsZero() || !v.At.Before(f.From)) &&
		(f.To.IsZero() || v.At.Before(f.To)) &&
		(f.Band == "" || events.Fold(v.Name) == events.Fold(f.Band))
}
