// Package annul is how counted votes are set aside without being deleted: a filter
// is proposed with a reason, two people who did not propose it approve, and what
// it chooses no longer stands. It is undone in the same way. Each step is an act in
// the contest's book, which is only ever added to.
//
// The votes stay in the log and in the counts as they are. What the annulments in
// force amount to is reckoned from the log each time, for all of them together: a
// vote that two of them choose is annulled once, and what is revoked is as if it
// had not been.
package annul

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"marimba/events"
)

// Bounds of a book.
const (
	MaxActs   = 1000
	maxReason = 500
	approvals = 2 // that a change needs, besides its proposer
)

// Kind is what an act does.
type Kind string

// The kinds of acts.
const (
	Propose Kind = "propose" // an annulment
	Approve Kind = "approve" // what the case waits for: its annulment, or its revocation
	Revoke  Kind = "revoke"  // proposes that what is in force be undone; a proposal is withdrawn
	// Reckon changes no decision: what is in force is reckoned again, after votes were
	// counted that were dead before.
	Reckon Kind = "reckon"
)

// Act is one entry of a contest's book.
type Act struct {
	Contest string    `json:"contest"`
	Number  int       `json:"number"` // 1, 2, 3 …
	At      time.Time `json:"at"`
	Kind    Kind      `json:"kind"`
	Case    int       `json:"case,omitempty"` // number of the act that proposed the annulment
	By      string    `json:"by"`
	Reason  string    `json:"reason,omitempty"`
	Filter  *Filter   `json:"filter,omitempty"` // of one that proposes
	// Votes is how many votes the filter chose when it was proposed.
	Votes int64 `json:"votes,omitempty"`
	// Effect is what all that is in force comes to; of an act that changes it.
	Effect *Effect `json:"effect,omitempty"`
	// Before is the digest of the act before, as it is kept; empty of the first.
	Before string `json:"previous_sha256"`
}

// State is where a case stands.
type State string

// The states of a case.
const (
	Proposed  State = "proposed"
	Withdrawn State = "withdrawn"
	InForce   State = "in_force"
	Revoking  State = "revoking" // in force, until its revocation is approved
	Revoked   State = "revoked"
)

// Signed is a person's part in a case.
type Signed struct {
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason,omitempty"`
}

// Case is an annulment, from its proposal on.
type Case struct {
	Number     int       `json:"number"`
	State      State     `json:"state"`
	Filter     Filter    `json:"filter"`
	Votes      int64     `json:"votes"` // that its filter chose when it was proposed
	Proposed   Signed    `json:"proposed"`
	Approved   []Signed  `json:"approved"`
	Revocation *Signed   `json:"revocation,omitempty"`
	Agreed     []Signed  `json:"revocation_approved,omitempty"`
	Since      time.Time `json:"in_force_since,omitzero"`
	Until      time.Time `json:"in_force_until,omitzero"`
}

// Book is the acts of one contest, and what they have come to.
type Book struct {
	Contest string
	Acts    []Act
	Cases   []*Case // by number
	Effect  *Effect // the newest; nil: nothing was ever annulled

	last string // digest of the last act, as it is kept
}

// ErrAct is wrapped by the error of an act that the book's rules do not let.
var ErrAct = errors.New("not allowed")

func refuse(text string, args ...any) error {
	return fmt.Errorf("%w: "+text, append([]any{ErrAct}, args...)...)
}

// Case returns the case of a number; nil if there is none.
func (b *Book) Case(number int) *Case {
	for _, c := range b.Cases {
		if c.Number == number {
			return c
		}
	}
	return nil
}

// InForce returns the cases that are in force.
func (b *Book) InForce() []*Case {
	var out []*Case
	for _, c := range b.Cases {
		if c.State == InForce || c.State == Revoking {
			out = append(out, c)
		}
	}
	return out
}

// Alone is a book in which one filter is in force.
func Alone(f Filter) *Book { return &Book{Cases: []*Case{{Number: 1, State: InForce, Filter: f}}} }

// Clone returns a book of its own of the same acts.
func (b *Book) Clone() (*Book, error) {
	out := &Book{Contest: b.Contest, last: b.last}
	for _, a := range b.Acts {
		if _, err := out.Add(a); err != nil {
			return nil, fmt.Errorf("act %d of %s: %w", a.Number, b.Contest, err)
		}
	}
	return out, nil
}

// Of returns the number of the first case in force that annuls a counted vote, or 0
// if it stands.
func (b *Book) Of(channel events.Channel, v *events.Vote) int {
	for _, c := range b.Cases {
		if (c.State == InForce || c.State == Revoking) && c.Filter.Has(channel, v) {
			return c.Number
		}
	}
	return 0
}

// Annuls returns what tells of a counted vote whether it is annulled, as the book is
// now.
func (b *Book) Annuls() func(events.Channel, *events.Vote) bool {
	var filters []Filter
	for _, c := range b.InForce() {
		filters = append(filters, c.Filter)
	}
	return func(channel events.Channel, v *events.Vote) bool {
		return slices.ContainsFunc(filters, func(f Filter) bool { return f.Has(channel, v) })
	}
}

// Add adds the next act. Its effect is not looked at: changes tells whether it has to
// have one. An error leaves the book as it was.
func (b *Book) Add(a Act) (changes bool, err error) {
	switch {
	case a.Number != len(b.Acts)+1 || a.Contest != b.Contest:
		return false, fmt.Errorf("act %d of %s does not follow act %d of %s", a.Number, a.Contest, len(b.Acts), b.Contest)
	case a.Number > MaxActs:
		return false, refuse("the book of %s has %d acts, and takes no more", b.Contest, MaxActs)
	}
	if err := readable("by", a.By, events.MaxName, true); err != nil {
		return false, err
	}
	if err := readable("reason", a.Reason, maxReason, a.Kind == Propose || a.Kind == Revoke); err != nil {
		return false, err
	}
	switch a.Kind {
	case Propose:
		err = b.propose(a)
	case Approve:
		changes, err = b.approve(a)
	case Revoke:
		err = b.revoke(a)
	case Reckon:
		changes = true
		if b.Effect == nil {
			err = refuse("nothing was ever annulled in %s", b.Contest)
		}
	default:
		err = refuse("%q is no act", a.Kind)
	}
	if err != nil {
		return false, err
	}
	b.Acts = append(b.Acts, a)
	if a.Effect != nil {
		b.Effect = a.Effect
	}
	return changes, nil
}

func (b *Book) propose(a Act) error {
	if a.Filter == nil {
		return refuse("a proposal needs a filter")
	}
	if err := a.Filter.check(); err != nil {
		return refuse("%w", err)
	}
	b.Cases = append(b.Cases, &Case{
		Number: a.Number, State: Proposed, Filter: *a.Filter, Votes: a.Votes,
		Proposed: Signed{a.By, a.At, a.Reason}, Approved: []Signed{},
	})
	return nil
}

func (b *Book) approve(a Act) (changes bool, err error) {
	c := b.Case(a.Case)
	if c == nil {
		return false, refuse("there is no case %d", a.Case)
	}
	proposer, signed := c.Proposed.By, &c.Approved
	switch c.State {
	case Proposed:
	case Revoking:
		proposer, signed = c.Revocation.By, &c.Agreed
	default:
		return false, refuse("case %d is %s: there is nothing to approve", c.Number, c.State)
	}
	if same(a.By, proposer) {
		return false, refuse("%s proposed it, and cannot approve it too", proposer)
	}
	if slices.ContainsFunc(*signed, func(s Signed) bool { return same(s.By, a.By) }) {
		return false, refuse("%s has approved it already: two different people have to", a.By)
	}
	*signed = append(*signed, Signed{a.By, a.At, a.Reason})
	if len(*signed) < approvals {
		return false, nil
	}
	if c.State == Proposed {
		c.State, c.Since = InForce, a.At
	} else {
		c.State, c.Until = Revoked, a.At
	}
	return true, nil
}

func (b *Book) revoke(a Act) error {
	c := b.Case(a.Case)
	if c == nil {
		return refuse("there is no case %d", a.Case)
	}
	switch c.State {
	case InForce:
		c.State, c.Revocation = Revoking, &Signed{a.By, a.At, a.Reason}
	case Proposed:
		if !same(a.By, c.Proposed.By) {
			return refuse("case %d is only proposed: %s may withdraw it, others need not approve it", c.Number, c.Proposed.By)
		}
		c.State = Withdrawn
	default:
		return refuse("case %d is %s already", c.Number, c.State)
	}
	return nil
}

// same reports whether two names are of one person, as far as their spelling says.
func same(a, b string) bool { return events.Fold(a) == events.Fold(b) }

func readable(what, text string, most int, needed bool) error {
	clean, no := events.CleanText(what, text, most)
	if no != nil || clean != text || needed && text == "" {
		return refuse("%s %q is empty, longer than %d or not in its clean form", what, text, most)
	}
	return nil
}
