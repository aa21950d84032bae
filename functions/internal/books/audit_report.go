package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"marimba/events"
	"marimba/functions/internal/kafka"
)

// check is what an audit looks at. The names are for machines too, and stay.
type check string

const (
	castCut         check = "cast_cut"
	castChanged     check = "cast_changed"
	castMalformed   check = "cast_malformed"
	notCast         check = "not_cast"
	deadNotCast     check = "dead_not_cast"
	deadChanged     check = "dead_changed"
	logMalformed    check = "log_malformed"
	loggedTwice     check = "logged_twice"
	voteChanged     check = "vote_changed"
	judgedOtherwise check = "judged_otherwise"
	idTwice         check = "id_twice"
	duplicateAlone  check = "duplicate_alone"
	limitExceeded   check = "limit_exceeded"
	overLimitEarly  check = "over_limit_early"
	inFlight        check = "in_flight"
	countsLost      check = "counts_lost"
	pendingLeft     check = "pending"
	unbalanced      check = "unbalanced"
	boardsDiffer    check = "boards_differ"
	figuresDiffer   check = "figures_differ"
	leavesFew       check = "leaves_few"
	leavesMany      check = "leaves_many"
	leavesUnknown   check = "leaves_unknown"
	logForged       check = "log_forged"
	annulledDiffer  check = "annulled_differ"
)

// checks says what each failed check means, in the order in which they are told.
var checks = []struct {
	name check
	says string
}{
	{castCut, "votes.cast no longer has its beginning, so not all votes can be accounted for"},
	{castMalformed, "two votes of a box that was cast have one receipt"},
	{castChanged, "a box was cast twice, and not with the same votes"},
	{unbalanced, "the votes that were cast are not those in a final state and in flight"},
	{notCast, "votes are in the log that were never cast"},
	{deadNotCast, "votes are among the dead letters that were never cast"},
	{deadChanged, "a dead letter does not hold the vote that was cast"},
	{logMalformed, "a document of the log cannot be right"},
	{loggedTwice, "a vote is in the log twice"},
	{voteChanged, "the vote in the log is not the vote that was cast"},
	{judgedOtherwise, "the contest's rules, as they are now, do not say of the vote what the log says"},
	{idTwice, "an id was counted more than once"},
	{duplicateAlone, "votes are duplicates of none"},
	{limitExceeded, "more votes of a voter are counted than the contest's limit lets"},
	{overLimitEarly, "votes are over the limit of a voter who has not used it up"},
	{inFlight, "votes are in no final state"},
	{countsLost, "Redis has lost counts: they are rebuilt with the next vote, when somebody looks at the board, or by `recount`"},
	{pendingLeft, "Redis has decided on votes that it does not know to be in the log: if they are dead, replay them"},
	{boardsDiffer, "the boards of Redis, the log and votes.cast are not the same"},
	{figuresDiffer, "the figures in Redis are not those of the log"},
	{leavesFew, "votes are counted that have no leaf in the public log"},
	{leavesMany, "the public log has leaves that no counted vote stands for"},
	{leavesUnknown, "the public log has leaves of votes that the log of votes does not know"},
	{logForged, "the public log is not what its checkpoints have signed"},
	{annulledDiffer, "the annulments in force choose other votes of the log now than when they were ruled: `annul reckon` reckons them again"},
}

// maxExamples bounds the examples of a failed check.
const maxExamples = 10

// fault is a check that failed.
type fault struct {
	Check    check    `json:"check"`
	Contest  string   `json:"contest,omitempty"`
	Says     string   `json:"says"`
	Votes    int64    `json:"votes"` // 0: not of single votes
	Examples []string `json:"examples"`
}

type faultKey struct {
	check   check
	contest string
}

// faults are the checks that failed, each once for a contest.
type faults map[faultKey]*fault

// tell notes that votes fail a check, with an example as long as there are few.
func (f faults) tell(failed check, contest string, votes int, example string, args ...any) {
	key := faultKey{failed, contest}
	one := f[key]
	if one == nil {
		one = &fault{Check: failed, Contest: contest}
		f[key] = one
	}
	one.Votes += int64(votes)
	if len(one.Examples) < maxExamples {
		one.Examples = append(one.Examples, fmt.Sprintf(example, args...))
	}
}

// curious reports whether a further example would be kept.
func (f faults) curious(failed check, contest string) bool {
	one := f[faultKey{failed, contest}]
	return one == nil || len(one.Examples) < maxExamples
}

// list returns the faults in the order of the checks, and by contest.
func (f faults) list() []fault {
	out := []fault{}
	for _, c := range checks {
		for _, key := range slices.SortedFunc(maps.Keys(f), func(a, b faultKey) int { return cmp.Compare(a.contest, b.contest) }) {
			if key.check == c.name {
				one := *f[key]
				one.Says = c.says
				out = append(out, one)
			}
		}
	}
	return out
}

// audited is the result of an audit.
type audited struct {
	Agree    bool             `json:"agree"` // each check holds
	InFlight int64            `json:"in_flight"`
	Contests []auditedContest `json:"contests"`
	Faults   []fault          `json:"faults"`
	Read     auditRead        `json:"read"`
	Offsets  map[string]int64 `json:"offsets"` // of votes.cast when the audit began, by partition
	Began    time.Time        `json:"began"`
	Seconds  float64          `json:"seconds"`
}

// auditRead says how much was read.
type auditRead struct {
	Records int64 `json:"records"` // of votes.cast
	Foreign int64 `json:"foreign"` // of them no boxes of ours
	Votes   int64 `json:"votes"`   // in the others
	Newer   int64 `json:"newer"`   // of them left aside: cast after the audit began, and not in the log yet
	Entries int64 `json:"entries"` // documents of the log
	Letters int64 `json:"letters"` // that are shelved
}

type auditedContest struct {
	Contest string                 `json:"contest"`
	Rows    []auditRow             `json:"rows"` // by channel
	Total   auditRow               `json:"total"`
	Pending map[events.State]int64 `json:"pending"`
	Board   board                  `json:"board"`
	Log     auditedLog             `json:"public_log"`
}

// auditRow is one line of the balance.
type auditRow struct {
	Channel   events.Channel `json:"channel,omitempty"`
	Cast      int64          `json:"cast"`
	Counted   int64          `json:"counted"` // and not annulled
	Annulled  int64          `json:"annulled"`
	Duplicate int64          `json:"duplicate"`
	OverLimit int64          `json:"over_limit"`
	Refused   int64          `json:"refused"`
	Dead      int64          `json:"dead"`
	InFlight  int64          `json:"in_flight"`
}

func (r auditRow) accounted() int64 {
	return r.Counted + r.Annulled + r.Duplicate + r.OverLimit + r.Refused + r.Dead + r.InFlight
}

func (r *auditRow) add(other auditRow) {
	r.Cast += other.Cast
	r.Counted += other.Counted
	r.Annulled += other.Annulled
	r.Duplicate += other.Duplicate
	r.OverLimit += other.OverLimit
	r.Refused += other.Refused
	r.Dead += other.Dead
	r.InFlight += other.InFlight
}

// result adds up the books.
func (a *audit) result(first kafka.Reach) audited {
	out := audited{Contests: []auditedContest{}, Began: a.began.UTC(), Offsets: make(map[string]int64)}
	for partition, e := range first {
		out.Offsets[strconv.Itoa(int(partition))] = e.To
	}
	for _, id := range slices.Sorted(maps.Keys(a.accounts)) {
		of := a.accounts[id]
		c := auditedContest{Contest: id, Rows: []auditRow{}, Pending: of.pending, Log: of.sealed}
		if c.Pending == nil {
			c.Pending = map[events.State]int64{}
		}
		logged := of.log.figures.Votes
		for _, channel := range union(of.rows, logged) {
			row := *of.row(channel)
			row.Counted, row.Duplicate = logged[channel][events.Counted], logged[channel][events.Duplicate]
			row.Annulled = of.annulled[channel]
			row.Counted -= row.Annulled
			row.OverLimit, row.Refused = logged[channel][events.OverLimit], logged[channel][events.Refused]
			if row.Cast != row.accounted() {
				a.faults.tell(unbalanced, id, 0, "%s: %d cast, %d accounted for", channel, row.Cast, row.accounted())
			}
			c.Rows = append(c.Rows, row)
			c.Total.add(row)
		}
		out.InFlight += c.Total.InFlight
		c.Board = of.compareBoards()
		a.checkBoards(of, &c.Board)
		if c.Total != (auditRow{}) || c.Board.Votes != (threefold{}) || len(c.Pending) > 0 || c.Log.Leaves > 0 {
			out.Contests = append(out.Contests, c)
		}
	}
	out.Faults = a.faults.list()
	out.Agree = len(out.Faults) == 0
	out.Read = a.read
	out.Seconds = a.now().Sub(a.began).Seconds()
	return out
}
