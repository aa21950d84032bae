package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"marimba/events"
	"marimba/functions/internal/counts"
)

// cell is what a vote is for. Spellings that fold alike are one.
type cell struct {
	band, album string
	rank        int32
}

func cellOf(band, album string, rank int32) cell {
	return cell{events.Fold(band), events.Fold(album), rank}
}

// moving is the votes that Redis may have over the log: those that were cast
// and are not in it, as far as the rules admit them.
type moving struct {
	cells map[cell]int64
	votes map[events.Channel]int64 // the refused too
	all   int64
}

func (m *moving) add(channel events.Channel, judged *events.Vote) {
	m.all++
	m.votes[channel]++
	if judged.Reason == "" {
		m.cells[cellOf(judged.Name, judged.Album, judged.Rank)]++
	}
}

// board is a contest's board, three times.
type board struct {
	Agree    bool      `json:"agree"`
	Votes    threefold `json:"votes"`
	Bands    []bandRow `json:"bands"` // those that differ first, then by votes
	More     int       `json:"more"`  // bands that are not told
	Replaced threefold `json:"replaced"`
}

// threefold is a number of each of the three boards.
type threefold struct {
	Redis int64 `json:"redis"`
	Log   int64 `json:"log"`
	Cast  int64 `json:"cast"` // what was cast, judged again, in the states that the log gives it
}

func (t threefold) String() string {
	return fmt.Sprintf("%d in Redis, %d by the log, %d by what was cast", t.Redis, t.Log, t.Cast)
}

type bandRow struct {
	Band string `json:"band"`
	threefold
	Differs []string `json:"differs,omitempty"` // where
}

// Bounds of what is told of a board.
const (
	maxBands   = 1000
	maxDiffers = 5 // of a band
)

// compareBoards puts the three boards side by side. Log and votes.cast must be
// equal in each band, album and rank. Redis may have over them no more than the
// votes that move; in mode replace such a vote may also have taken one away.
func (of *account) compareBoards() board {
	redis, log, cast := of.redis.tally, of.log.tally, of.cast.Tally()
	cells := make(map[cell]*threefold)
	shown := make(map[string]string) // bands, by folded name
	add := func(h counts.Histogram, to func(*threefold) *int64) {
		for band, albums := range h {
			for album, ranks := range albums {
				for rank, n := range ranks {
					at := cellOf(band, album, rank)
					if cells[at] == nil {
						cells[at] = new(threefold)
					}
					*to(cells[at]) += n
					shown[at.band] = band
				}
			}
		}
	}
	add(redis, func(t *threefold) *int64 { return &t.Redis })
	add(cast, func(t *threefold) *int64 { return &t.Cast })
	add(log, func(t *threefold) *int64 { return &t.Log })

	rows := make(map[string]*bandRow)
	out := board{
		Agree: true, Votes: threefold{redis.Votes(), log.Votes(), cast.Votes()}, Bands: []bandRow{},
		Replaced: threefold{of.redis.figures.Replaced, of.log.figures.Replaced, of.cast.Figures().Replaced},
	}
	for at, n := range cells {
		row := rows[at.band]
		if row == nil {
			row = &bandRow{Band: shown[at.band]}
			rows[at.band] = row
		}
		row.Redis += n.Redis
		row.Log += n.Log
		row.Cast += n.Cast
		least, most := int64(0), of.moving.cells[at]
		if of.contest.Limit.Mode == events.Replace {
			least = -of.moving.all
		}
		if over := n.Redis - n.Log; n.Log != n.Cast || over < least || over > most {
			out.Agree = false
			row.Differs = append(row.Differs, fmt.Sprintf("album %s, rank %s: %s", orNone(at.album), events.FormatRank(at.rank), n))
		}
	}
	for _, row := range rows {
		slices.Sort(row.Differs)
		row.Differs = row.Differs[:min(len(row.Differs), maxDiffers)]
		out.Bands = append(out.Bands, *row)
	}
	slices.SortFunc(out.Bands, func(a, b bandRow) int {
		return cmp.Or(
			cmp.Compare(min(len(b.Differs), 1), min(len(a.Differs), 1)),
			cmp.Compare(b.Log, a.Log), cmp.Compare(a.Band, b.Band))
	})
	out.More = max(0, len(out.Bands)-maxBands)
	out.Bands = out.Bands[:len(out.Bands)-out.More]
	return out
}

// checkBoards tells whether boards and figures agree.
func (a *audit) checkBoards(of *account, b *board) {
	id, before := of.contest.ID, len(a.faults)
	defer func() {
		if of.lost != "" && len(a.faults) > before {
			a.faults.tell(countsLost, id, 0, "%s", of.lost)
		}
	}()
	switch differ := cmp.Or(of.log.tally.Differ(of.cast.Tally()), of.log.tally.Differ(of.redis.tally)); {
	case !b.Agree:
		for _, row := range b.Bands {
			for _, where := range row.Differs {
				a.faults.tell(boardsDiffer, id, 0, "%s: %s", row.Band, where)
			}
		}
	case differ != nil && of.moving.all == 0: // in what folding hides
		b.Agree = false
		a.faults.tell(boardsDiffer, id, 0, "a spelling that is shown: %v", differ)
	}
	redis, log := of.redis.figures, of.log.figures
	for _, channel := range union(redis.Votes, log.Votes) {
		for _, state := range events.States {
			over := redis.Votes[channel][state] - log.Votes[channel][state]
			if over < -of.pending[state] || over > of.moving.votes[channel] {
				a.faults.tell(figuresDiffer, id, 0, "%s %s: %d in Redis, %d in the log", channel, state,
					redis.Votes[channel][state], log.Votes[channel][state])
			}
		}
	}
	for _, reason := range union(redis.Reasons, log.Reasons) {
		over := redis.Reasons[reason] - log.Reasons[reason]
		if over < -of.pending[events.Refused] || over > of.moving.all {
			a.faults.tell(figuresDiffer, id, 0, "refused for %s: %d in Redis, %d in the log", reason, redis.Reasons[reason], log.Reasons[reason])
		}
	}
	if over := b.Replaced.Redis - b.Replaced.Log; b.Replaced.Log != b.Replaced.Cast || over < 0 || over > of.moving.all {
		a.faults.tell(figuresDiffer, id, 0, "replaced: %s", b.Replaced)
	}
	waiting := int64(0)
	for _, n := range of.pending {
		waiting += n
	}
	if waiting > 0 && a.young == 0 {
		a.faults.tell(pendingLeft, id, int(waiting), "%v", of.pending)
	}
}

// union returns the keys of two maps, sorted.
func union[K cmp.Ordered, V, W any](a map[K]V, b map[K]W) []K {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(keys)
	return slices.Compact(keys)
}
