package main

import (
	"fmt"

	"marimba/events"
)

// checkIDs looks at the admitted votes of each id and voter: one of them is
// counted or over the limit, and all others are its duplicates. A vote that is
// dead or on its way may be that one.
func (a *audit) checkIDs(of *account) {
	var twice, alone [][]mark
	var extra, lone int
	groups(of.ids, func(of []mark) {
		var first, duplicates, unknown int
		for _, m := range of {
			switch m.standing {
			case isCounted, isOverLimit:
				first++
			case isDuplicate:
				duplicates++
			default:
				unknown++
			}
		}
		if first > 1 {
			extra += first - 1
			twice = keep(twice, of)
		}
		if first == 0 && duplicates > 0 && unknown == 0 {
			lone += duplicates
			alone = keep(alone, of)
		}
	})
	a.tellGroups(idTwice, of, extra, twice, "")
	a.tellGroups(duplicateAlone, of, lone, alone, "")
}

// checkLimits looks at the votes that the contest's limit counts together: no
// more are counted than it says, and none is over it before as many are. Votes
// that are dead or on their way may be among the counted.
func (a *audit) checkLimits(of *account) {
	var many, early [][]mark
	var beyond, soon int
	replace := of.contest.Limit.Mode == events.Replace
	groups(of.limited, func(votes []mark) {
		var n int64
		var latest int64
		known := true
		for _, m := range votes {
			switch m.standing {
			case isCounted:
				n++
				latest = max(latest, m.at)
			case isOpen, isDead:
				known = false
			}
		}
		if !replace && n > of.contest.Limit.N {
			beyond += int(n - of.contest.Limit.N)
			many = keep(many, votes)
		}
		if !known || !replace && n >= of.contest.Limit.N {
			return
		}
		tooSoon := 0
		for _, m := range votes {
			if m.standing == isOverLimit && (!replace || m.at > latest) {
				tooSoon++
			}
		}
		if tooSoon > 0 {
			soon += tooSoon
			early = keep(early, votes)
		}
	})
	limit := fmt.Sprintf("; the limit is %s %d", of.contest.Limit.Mode, of.contest.Limit.N)
	if replace {
		limit = "; the latest counts"
	}
	a.tellGroups(limitExceeded, of, beyond, many, limit)
	a.tellGroups(overLimitEarly, of, soon, early, limit)
}

// Bounds of examples of groups.
const (
	groupsTold = maxExamples
	votesTold  = 4 // of a group
)

// keep keeps some of a group's votes for an example, if there is room.
func keep(kept [][]mark, group []mark) [][]mark {
	if len(kept) >= groupsTold {
		return kept
	}
	var some []mark
	for _, wanted := range [...]standing{isCounted, isOverLimit, isDuplicate} {
		for _, m := range group {
			if m.standing == wanted && len(some) < votesTold {
				some = append(some, m)
			}
		}
	}
	return append(kept, some)
}

// tellGroups tells of groups of votes that fail a check together.
func (a *audit) tellGroups(failed check, of *account, votes int, kept [][]mark, why string) {
	if votes == 0 {
		return
	}
	var numbers []uint32
	for _, group := range kept {
		for _, m := range group {
			numbers = append(numbers, m.vote)
		}
	}
	receipts := a.ledger.receipts(numbers)
	for i, group := range kept {
		text := ""
		for k, m := range group {
			if k > 0 {
				text += ", "
			}
			text += fmt.Sprintf("%s is %s", receipts[m.vote], m.standing.state())
		}
		n := 0
		if i == 0 {
			n = votes
		}
		a.faults.tell(failed, of.contest.ID, n, "%s%s", text, why)
	}
}
