package main

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"marimba/events"
	"marimba/functions/internal/board"
	"marimba/functions/internal/counts"
)

// history is the votes by the time of their receipt. Redis keeps seconds for 3
// hours and minutes for 48.
type history interface {
	Seconds(ctx context.Context, c events.Contest, from, to time.Time) ([]counts.Second, error)
	Minutes(ctx context.Context, c events.Contest, from, to time.Time) ([]counts.Minute, error)
}

// How much of the history is shown unless a request says otherwise, and at
// most. Bands beyond historyBands are added up as others.
const (
	recentBySecond = 5 * time.Minute
	recentByMinute = 2 * time.Hour
	mostBySecond   = 3 * time.Hour
	mostByMinute   = 48 * time.Hour
	historyBands   = 20
)

type historyAnswer struct {
	Contest string    `json:"contest"`
	Step    string    `json:"step"`
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Points  any       `json:"points"` // of steps that have votes, earliest first
}

type secondPoint struct {
	At    time.Time              `json:"at"`
	Votes int64                  `json:"votes"`
	State map[events.State]int64 `json:"states"`
}

type minutePoint struct {
	At     time.Time        `json:"at"`
	Votes  int64            `json:"votes"` // counted ones
	Bands  map[string]int64 `json:"bands"`
	Others int64            `json:"others"`
}

func (r *results) showHistory(w http.ResponseWriter, req *http.Request) error {
	c, err := r.contestOf(req)
	if err != nil {
		return err
	}
	q := parameters(req)
	step := oneOf(q, "step", "minute", "second")
	recent, most := recentByMinute, mostByMinute
	if step == "second" {
		recent, most = recentBySecond, mostBySecond
	}
	from, to := q.time("from"), q.time("to")
	if to.IsZero() {
		to = r.now().UTC().Truncate(time.Second).Add(time.Second)
	}
	if from.IsZero() {
		from = to.Add(-recent)
	}
	if span := to.Sub(from); span <= 0 || span > most {
		q.refuse("from", "to − "+most.String()+" … to")
	}
	if err := q.refusal(); err != nil {
		return err
	}
	answer := historyAnswer{Contest: c.ID, Step: step, From: from, To: to}
	if step == "second" {
		answer.Points, err = r.seconds(req.Context(), c, from, to)
	} else {
		answer.Points, err = r.minutes(req.Context(), c, from, to)
	}
	if err != nil {
		return err
	}
	return write(w, req, forAMoment, "", answer)
}

func (r *results) seconds(ctx context.Context, c events.Contest, from, to time.Time) ([]secondPoint, error) {
	steps, err := r.counts.Seconds(ctx, c, from, to)
	if err != nil {
		return nil, err
	}
	annulled, err := r.undoneOf(ctx, c)
	if err != nil {
		return nil, err
	}
	points := make([]secondPoint, len(steps))
	for i, s := range steps {
		points[i] = secondPoint{At: s.At, State: s.Votes}
		annulled.from(s.At, s.Votes)
		for _, n := range s.Votes {
			points[i].Votes += n
		}
	}
	return points, nil
}

func (r *results) minutes(ctx context.Context, c events.Contest, from, to time.Time) ([]minutePoint, error) {
	steps, err := r.counts.Minutes(ctx, c, from, to)
	if err != nil {
		return nil, err
	}
	// The board may show another spelling of a band than these minutes would.
	b, _, err := r.boards.of(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	shown := make(map[string]string, len(b.Bands))
	for _, band := range b.Bands {
		shown[events.Fold(band.Name)] = band.Name
	}
	annulled, err := r.undoneOf(ctx, c)
	if err != nil {
		return nil, err
	}
	withheld := r.withheld(ctx, c)
	leading := leadingBands(steps)
	points := make([]minutePoint, len(steps))
	for i, s := range steps {
		points[i] = minutePoint{At: s.At, Bands: make(map[string]int64)}
		for name, n := range s.Bands {
			if n -= annulled.of(s.At, name); n <= 0 {
				continue
			}
			points[i].Votes += n
			late := s.At.Add(time.Minute).After(c.Showing.FrozenFrom)
			if !leading[name] || withheld == events.Hidden || withheld == events.Frozen && late {
				points[i].Others += n
				continue
			}
			points[i].Bands[cmp.Or(shown[events.Fold(name)], name)] += n
		}
	}
	return points, nil
}

// leadingBands are those with the most votes in the time shown.
func leadingBands(steps []counts.Minute) map[string]bool {
	votes := make(map[string]int64)
	for _, s := range steps {
		for name, n := range s.Bands {
			votes[name] += n
		}
	}
	names := make([]string, 0, len(votes))
	for name := range votes {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(votes[b], votes[a]), board.ByName(a, b)) })
	leading := make(map[string]bool)
	for _, name := range names[:min(historyBands, len(names))] {
		leading[name] = true
	}
	return leading
}
