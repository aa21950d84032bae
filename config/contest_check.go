package config

import (
	"fmt"
	"math"
	"slices"
	"time"

	"marimba/events"
)

// Bounds that the schema states too.
const (
	maxBands  = 5000
	maxShards = 256
	maxPoints = 1_000_000

	maxAmendments = 100
	maxReason     = 500

	maxAppealDays = 3650
)

// check returns what is wrong with a contest whose file is well formed. The id
// is that of the file's name.
func (f *contestFile) check(id string) []fault {
	var c checking
	c.names(f, id)
	c.bounds(f)
	c.amendments(f)
	c.showing(f)
	c.counting(f)
	c.roster(f)
	c.rules(f)
	return c.faults
}

type checking struct{ faults []fault }

// need notes a fault at a line if a condition does not hold. What is not in the
// file at all has line 0, which is told of the file.
func (c *checking) need(holds bool, line int, text string, args ...any) {
	if !holds {
		c.faults = append(c.faults, fault{line, fmt.Sprintf(text, args...)})
	}
}

func (c *checking) names(f *contestFile, id string) {
	c.need(events.IsContestID(f.ID.value), f.ID.line, "id: %q is not 1 to 63 of a-z, 0-9 and inner hyphens", f.ID.value)
	c.need(f.ID.value == id, f.ID.line, "id: %q is not the file's name, %q", f.ID.value, id)
	for _, language := range []string{"es", "en"} {
		title, no := events.CleanText("title", f.Title.value[language], events.MaxAlbum)
		c.need(no == nil && title != "" && title == f.Title.value[language], f.Title.line,
			"title: %s is missing, too long or not in its clean form", language)
	}
}

func (c *checking) bounds(f *contestFile) {
	c.need(f.RankMode.value == events.Position || f.RankMode.value == events.Score,
		f.RankMode.line, "rank_mode: is not position or score")
	rank := f.RankMax.value
	c.need(rank > 0 && rank <= events.MaxRank/100, f.RankMax.line, "rank_max: is not above 0 and at most %d", events.MaxRank/100)
	c.need(math.Abs(rank*100-math.Round(rank*100)) < 1e-6, f.RankMax.line, "rank_max: has more than 2 decimals")
	from, to := f.YearMin.or(defaultYearMin), f.YearMax.value
	c.need(from >= 1 && from <= events.MaxYear, f.YearMin.line, "year_min: is not 1 to %d", events.MaxYear)
	c.need(f.YearMax.line == 0 || to >= from && to <= events.MaxYear, f.YearMax.line, "year_max: is not year_min to %d", events.MaxYear)
	c.need(f.OpensAt.value.IsZero() || f.ClosesAt.value.IsZero() || f.OpensAt.value.Before(f.ClosesAt.value),
		f.ClosesAt.line, "closes_at: is not after opens_at")
}

// amendments checks that each changes one bound that had not passed when it was
// made, to an instant that was still to come. So no vote that had been received
// by then is judged differently because of it.
func (c *checking) amendments(f *contestFile) {
	c.need(len(f.Amendments) <= maxAmendments, 0, "amendments: more than %d", maxAmendments)
	opensAt, closesAt := f.OpensAt.value, f.ClosesAt.value
	var before time.Time
	for _, a := range f.Amendments {
		made, line := a.At.value, a.At.line
		c.need(line > 0 && !made.Before(before), line, "amendments: at is missing or before that of the amendment above")
		c.plain("by", a.By, events.MaxName)
		c.plain("reason", a.Reason, maxReason)
		c.need((a.OpensAt.line > 0) != (a.ClosesAt.line > 0), line, "amendments: is not of either opens_at or closes_at")
		if a.OpensAt.line > 0 {
			c.need(made.Before(opensAt), a.OpensAt.line, "amendments: opens_at had passed or was not set when it was changed")
			c.need(made.Before(a.OpensAt.value), a.OpensAt.line, "amendments: opens_at is not after at")
			opensAt = a.OpensAt.value
		}
		if a.ClosesAt.line > 0 {
			c.need(closesAt.IsZero() || made.Before(closesAt), a.ClosesAt.line, "amendments: closes_at had passed when it was changed")
			c.need(made.Before(a.ClosesAt.value), a.ClosesAt.line, "amendments: closes_at is not after at")
			closesAt = a.ClosesAt.value
		}
		c.need(opensAt.IsZero() || closesAt.IsZero() || opensAt.Before(closesAt), line, "amendments: closes_at is not after opens_at")
		before = made
	}
}

// showing checks that what is withheld is shown in the end, and what is kept for
// appeals is let go of: only a contest that closes becomes final.
func (c *checking) showing(f *contestFile) {
	days := f.AppealDays.or(defaultAppealDays)
	c.need(days >= 0 && days <= maxAppealDays, f.AppealDays.line, "appeal_days: is not 0 to %d", maxAppealDays)
	hidden, frozen := f.Results.HiddenUntil, f.Results.FrozenFrom
	c.need(hidden.line == 0 || hidden.value == events.Closed || hidden.value == events.Final, hidden.line, "results: hidden_until is not closed or final")
	closesAt := f.ClosesAt.value
	for _, a := range f.Amendments {
		if a.ClosesAt.line > 0 {
			closesAt = a.ClosesAt.value
		}
	}
	c.need(hidden.line == 0 && frozen.line == 0 || !closesAt.IsZero(), max(hidden.line, frozen.line), "results: need closes_at, or they would never be shown")
	c.need(frozen.line == 0 || closesAt.IsZero() || frozen.value.Before(closesAt), frozen.line, "results: frozen_from is not before closes_at")
	c.need(frozen.line == 0 || f.Limit.Mode.value != events.Replace, frozen.line, "results: frozen_from has no meaning with limit replace: later votes take earlier ones away")
}

// plain checks a text that people read.
func (c *checking) plain(of string, text at[string], most int) bool {
	clean, no := events.CleanText(of, text.value, most)
	holds := no == nil && clean != "" && clean == text.value
	c.need(holds, text.line, "%s: %q is empty, longer than %d or not in its clean form", of, text.value, most)
	return holds
}

func (c *checking) counting(f *contestFile) {
	switch mode := f.Limit.Mode.or(events.NoLimit); mode {
	case events.PerContest, events.PerBand:
		c.need(f.Limit.Votes.value >= 1, f.Limit.Mode.line, "limit: %s needs votes, 1 or more", mode)
	case events.NoLimit, events.Replace:
		c.need(f.Limit.Votes.line == 0, f.Limit.Votes.line, "limit: votes has no meaning with mode %s", mode)
	default:
		c.need(false, f.Limit.Mode.line, "limit: mode is not none, per_contest, per_band or replace")
	}
	for i, p := range f.Points {
		c.need(p.value >= 0 && p.value <= maxPoints, p.line, "points: %d is not 0 to %d", p.value, maxPoints)
		c.need(i == 0 || p.value <= f.Points[i-1].value, p.line, "points: %d for rank %d is more than for the rank before", p.value, i+1)
	}
	if len(f.Points) > 0 {
		c.need(f.RankMode.value == events.Position, f.Points[0].line, "points: are for rank_mode position")
		c.need(float64(len(f.Points)) <= f.RankMax.value, f.Points[0].line, "points: are more than there are ranks")
	}
	var used []events.Metric
	for _, metric := range append([]at[events.Metric]{f.Standing}, f.TieBreak...) {
		if metric.line == 0 {
			metric.value = events.ByVotes
		}
		c.metric(f, metric)
		c.need(!slices.Contains(used, metric.value), metric.line, "tie_break: %s has been used before", metric.value)
		used = append(used, metric.value)
	}
	c.need(f.MeanFrom.or(defaultMeanFrom) >= 1, f.MeanFrom.line, "mean_from: is less than 1")
	shards := f.Shards.or(defaultShards)
	c.need(shards >= 1 && shards <= maxShards, f.Shards.line, "shards: is not 1 to %d", maxShards)
}

// metric tells whether bands can be put in order by a metric.
func (c *checking) metric(f *contestFile, m at[events.Metric]) {
	switch m.value {
	case events.ByVotes, events.ByMean:
	case events.BySum:
		// A low position is good and a high number of votes too: their sum is neither.
		c.need(f.RankMode.value != events.Position, m.line, "standing and tie_break: sum has no meaning with rank_mode position")
	case events.ByPoints:
		c.need(len(f.Points) > 0, m.line, "standing and tie_break: points needs the table points")
	default:
		c.need(false, m.line, "standing and tie_break: %q is not votes, points, mean or sum", m.value)
	}
}

// roster checks that each spelling of a band is of one band only, and each
// spelling of an album of one album of its band.
func (c *checking) roster(f *contestFile) {
	c.need(f.OpenRoster.value || len(f.Bands) > 0, f.OpenRoster.line, "bands: there are none, and open_roster is not true")
	c.need(len(f.Bands) <= maxBands, 0, "bands: more than %d", maxBands)
	bands := make(spellings)
	for _, band := range f.Bands {
		c.spelling(bands, "band", band.Name, events.MaxName)
		for _, alias := range band.Aliases {
			c.spelling(bands, "band", alias, events.MaxName)
		}
		albums := make(spellings)
		for _, album := range band.Albums {
			c.spelling(albums, "album", album.Title, events.MaxAlbum)
			for _, alias := range album.Aliases {
				c.spelling(albums, "album", alias, events.MaxAlbum)
			}
			c.need(album.Year.line == 0 || album.Year.value >= 1 && album.Year.value <= events.MaxYear,
				album.Year.line, "album %q: year is not 1 to %d", album.Title.value, events.MaxYear)
		}
	}
}

// spellings holds the texts that were met, by their folded form.
type spellings map[string]at[string]

func (c *checking) spelling(known spellings, of string, text at[string], most int) {
	if !c.plain(of, text, most) {
		return
	}
	folded := events.Fold(text.value)
	if other, taken := known[folded]; taken {
		c.need(false, text.line, "%s: %q is the same as %q in line %d when folded", of, text.value, other.value, other.line)
		return
	}
	known[folded] = text
}
