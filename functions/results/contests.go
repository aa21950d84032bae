package main

import (
	"context"
	"net/http"
	"strings"
	"time"

	"marimba/events"
	"marimba/functions/internal/board"
)

type contestLine struct {
	ID          string            `json:"id"`
	Title       map[string]string `json:"title"`
	Phase       events.Phase      `json:"phase"`
	Provisional bool              `json:"provisional"` // until the contest is final
	OpensAt     *time.Time        `json:"opens_at"`
	ClosesAt    *time.Time        `json:"closes_at"`
}

type contestSheet struct {
	contestLine
	Amendments    []events.Amendment `json:"amendments"`
	OpenRoster    bool               `json:"open_roster"`
	AlbumRequired bool               `json:"album_required"`
	VoterRequired bool               `json:"voter_required"`
	RankMode      events.RankMode    `json:"rank_mode"`
	RankMax       board.Hundredths   `json:"rank_max"`
	YearMin       int32              `json:"year_min"`
	YearMax       *int32             `json:"year_max"`
	Limit         limit              `json:"limit"`
	Results       showing            `json:"results"`
	Points        []int64            `json:"points"`
	Standing      events.Metric      `json:"standing"`
	TieBreak      []events.Metric    `json:"tie_break"`
	MeanFrom      int64              `json:"mean_from"`
	Bands         []rosterBand       `json:"bands"`
}

type limit struct {
	Mode  events.LimitMode `json:"mode"`
	Votes *int64           `json:"votes"`
}

type showing struct {
	HiddenUntil *events.Phase `json:"hidden_until"`
	FrozenFrom  *time.Time    `json:"frozen_from"`
}

type rosterBand struct {
	Name    string        `json:"name"`
	Aliases []string      `json:"aliases"`
	Albums  []rosterAlbum `json:"albums"`
}

type rosterAlbum struct {
	Title   string   `json:"title"`
	Aliases []string `json:"aliases"`
	Year    *int32   `json:"year"`
}

func (r *results) listContests(w http.ResponseWriter, req *http.Request) error {
	list := struct {
		Contests []contestLine `json:"contests"`
	}{[]contestLine{}}
	for _, id := range r.contests.IDs() {
		if c, ok := r.contests.Contest(id); ok {
			list.Contests = append(list.Contests, r.lineOf(req.Context(), c))
		}
	}
	return write(w, req, forAMoment, "", list)
}

func (r *results) showContest(w http.ResponseWriter, req *http.Request) error {
	c, err := r.contestOf(req)
	if err != nil {
		return err
	}
	sheet := contestSheet{
		contestLine: r.lineOf(req.Context(), c),
		Amendments:  listed(c.Amendments),
		OpenRoster:  c.OpenRoster, AlbumRequired: c.AlbumRequired, VoterRequired: c.VoterRequired,
		RankMode: c.RankMode, RankMax: board.Hundredths(c.RankMax), YearMin: c.YearMin, YearMax: unlessZero(c.YearMax),
		Limit:   limit{c.Limit.Mode, unlessZero(c.Limit.N)},
		Results: showing{FrozenFrom: timeOrNull(c.Showing.FrozenFrom)},
		Points:  listed(c.Points), Standing: c.Standing, TieBreak: listed(c.TieBreak), MeanFrom: c.MeanFrom,
		Bands: make([]rosterBand, len(c.Bands)),
	}
	if until := c.Showing.HiddenUntil; until != "" {
		sheet.Results.HiddenUntil = &until
	}
	for i, band := range c.Bands {
		entry := rosterBand{band.Name, listed(band.Aliases), make([]rosterAlbum, len(band.Albums))}
		for k, album := range band.Albums {
			entry.Albums[k] = rosterAlbum{album.Title, listed(album.Aliases), unlessZero(album.Year)}
		}
		sheet.Bands[i] = entry
	}
	return write(w, req, forAMoment, "", sheet)
}

func (r *results) lineOf(ctx context.Context, c events.Contest) contestLine {
	phase := r.finals.phaseOf(ctx, c)
	return contestLine{
		ID: c.ID, Title: c.Title, Phase: phase, Provisional: phase != events.Final,
		OpensAt: timeOrNull(c.OpensAt), ClosesAt: timeOrNull(c.ClosesAt),
	}
}

func timeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// unlessZero is null for what a contest leaves out.
func unlessZero[N int32 | int64](n N) *N {
	if n == 0 {
		return nil
	}
	return &n
}

// listed is a list that JSON writes as one, even if it is empty.
func listed[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// sameTag reports whether a request's reader has what the tag names already.
func sameTag(req *http.Request, tag string) bool {
	for _, have := range strings.Split(req.Header.Get("If-None-Match"), ",") {
		have = strings.TrimPrefix(strings.TrimSpace(have), "W/")
		if have == "*" || have == `"`+tag+`"` {
			return true
		}
	}
	return false
}
