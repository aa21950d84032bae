package events

import "time"

// RankMode says what a vote's rank means in a contest.
type RankMode string

// The meanings of a rank.
const (
	Position RankMode = "position" // a place in a chart: 1 is best
	Score    RankMode = "score"    // a mark: more is better
)

// LimitMode says how many votes of one voter count.
type LimitMode string

// The limits. NoLimit counts every vote; Replace counts a voter's latest only.
const (
	NoLimit    LimitMode = "none"
	PerContest LimitMode = "per_contest"
	PerBand    LimitMode = "per_band"
	Replace    LimitMode = "replace"
)

// Metric is a figure by which bands are put in order.
type Metric string

// The metrics of a board.
const (
	ByVotes  Metric = "votes"
	ByPoints Metric = "points"
	ByMean   Metric = "mean"
	BySum    Metric = "sum"
)

// Phase is where a contest is in its life.
type Phase string

// The phases, in their order. A contest is closed until all votes that were
// received in time have been counted; its final statement makes it final.
const (
	Draft  Phase = "draft" // not yet open
	Open   Phase = "open"
	Closed Phase = "closed" // takes no more votes; the result is provisional
	Final  Phase = "final"
)

// Bound is one of the two instants between which a contest takes votes.
type Bound string

// The bounds.
const (
	OpensAt  Bound = "opens_at"
	ClosesAt Bound = "closes_at"
)

// Amendment is a change of a bound that was made before the bound had passed.
// Only instants later than At are judged differently because of it, so a vote
// is judged the same whenever that happens.
type Amendment struct {
	At     time.Time `json:"at"` // when it was made
	By     string    `json:"by"`
	Bound  Bound     `json:"bound"`
	From   time.Time `json:"from,omitzero"` // zero: there was no such bound
	To     time.Time `json:"to"`
	Reason string    `json:"reason"`
}

// Contest is what the organiser decides.
type Contest struct {
	ID string
	// Revision names the text that the contest was read from: two contests of one
	// id are the same if it is.
	Revision string
	Title    map[string]string // by language: "es", "en"
	Bands    []Band
	// OpenRoster takes bands and albums that Bands does not list.
	OpenRoster    bool
	AlbumRequired bool
	VoterRequired bool
	RankMode      RankMode
	RankMax       int32 // hundredths
	YearMin       int32
	YearMax       int32 // 0 is the year after the vote's receipt
	OpensAt       time.Time
	ClosesAt      time.Time   // zero: not bounded
	Amendments    []Amendment // that led to OpensAt and ClosesAt
	Limit         Limit
	Showing       Showing
	// AppealDays is how long after ClosesAt its voters' key is kept at least.
	AppealDays int
	// Points gives points for chart positions: the first entry is for rank 1.
	Points []int64
	// Standing orders the board. What is equal in it is put in order by each of
	// TieBreak in turn; bands still equal share a place and stand by name.
	Standing Metric
	TieBreak []Metric
	// MeanFrom is how many votes a band needs before its mean is shown or
	// orders the board.
	MeanFrom int64
	// Rules is the contest's own module of rules, if it has one. It is asked about
	// the votes that all the above admits.
	Rules Module
	// Shards is how many Redis key sets the counts are spread over. It must not
	// change while a contest has votes, except by a recount.
	Shards int
}

// PhaseAt returns the contest's phase at an instant, as far as time decides it:
// whether it is final, the log knows.
func (c Contest) PhaseAt(t time.Time) Phase {
	switch {
	case !c.OpensAt.IsZero() && t.Before(c.OpensAt):
		return Draft
	case !c.ClosesAt.IsZero() && !t.Before(c.ClosesAt):
		return Closed
	}
	return Open
}

// Withheld says what of a contest's results is not public.
type Withheld string

// What is withheld: all that tells how the bands stand, or what came after the
// freeze.
const (
	Hidden Withheld = "hidden"
	Frozen Withheld = "frozen"
)

// Showing says when the public sees the results. What is final is seen by all.
type Showing struct {
	HiddenUntil Phase     // Closed or Final; empty: not hidden
	FrozenFrom  time.Time // the board stands still from then until it is final; zero: it does not
}

// At returns what is withheld in a phase, at an instant: the first is what votes
// of any time are withheld for, the second those that were received at
// FrozenFrom or later. Empty: nothing.
func (s Showing) At(phase Phase, t time.Time) Withheld {
	switch {
	case phase == Final:
		return ""
	case s.HiddenUntil == Final, s.HiddenUntil == Closed && phase != Closed:
		return Hidden
	case !s.FrozenFrom.IsZero() && !t.Before(s.FrozenFrom):
		return Frozen
	}
	return ""
}

// Module is rules in WebAssembly; events/rules tells their form.
type Module struct {
	File   string // beside the contest's
	SHA256 string // of Code, in hexadecimal digits
	Code   []byte
}

// Limit bounds how many votes of one voter count. It applies to votes that
// name a voter.
type Limit struct {
	Mode LimitMode
	N    int64 // for PerContest and PerBand
}

// Band is an entry of the roster. Name is the spelling that is shown.
type Band struct {
	Name    string
	Aliases []string
	Albums  []Album
}

// Album is a band's album. Two bands' albums of the same title are two albums.
type Album struct {
	Title   string
	Aliases []string
	Year    int32 // year of release; 0 if not stated
}
