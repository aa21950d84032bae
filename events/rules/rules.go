// Package rules says which well-formed votes a contest admits.
package rules

import (
	"strconv"
	"time"

	"marimba/events"
)

// Rules are one contest's rules, made ready for judging. They do not change
// and may be used by many goroutines at once.
type Rules struct {
	contest events.Contest
	bands   map[string]*band // by folded name and alias
}

type band struct {
	name   string
	albums map[string]string // folded title or alias → title as shown
}

// New makes a contest's rules ready.
func New(c events.Contest) *Rules {
	r := &Rules{contest: c, bands: make(map[string]*band, len(c.Bands))}
	for _, b := range c.Bands {
		entry := &band{name: b.Name, albums: make(map[string]string, len(b.Albums))}
		for _, a := range b.Albums {
			for _, spelling := range append([]string{a.Title}, a.Aliases...) {
				entry.albums[events.Fold(spelling)] = a.Title
			}
		}
		for _, spelling := range append([]string{b.Name}, b.Aliases...) {
			r.bands[events.Fold(spelling)] = entry
		}
	}
	return r
}

// Judge returns nil if the contest admits the vote, and sets its band and
// album to the roster's spelling; otherwise it returns why not and leaves the
// vote as it is. The vote's At decides whether it came in time, never the
// moment of judging: judging again gives the same answer.
func (r *Rules) Judge(v *events.Vote) *events.Refusal {
	c := &r.contest
	if !c.OpensAt.IsZero() && v.At.Before(c.OpensAt) {
		return events.Refuse(events.TooEarly, "", "opens_at", c.OpensAt.UTC().Format(time.RFC3339))
	}
	if !c.ClosesAt.IsZero() && !v.At.Before(c.ClosesAt) {
		return events.Refuse(events.TooLate, "", "closes_at", c.ClosesAt.UTC().Format(time.RFC3339))
	}
	name, album, no := r.spelling(v)
	if no != nil {
		return no
	}
	yearMax := c.YearMax
	if yearMax == 0 {
		yearMax = int32(v.At.UTC().Year()) + 1
	}
	if v.Year < c.YearMin || v.Year > yearMax {
		return events.Refuse(events.YearOutOfRange, "year",
			"min", strconv.Itoa(int(c.YearMin)), "max", strconv.Itoa(int(yearMax)))
	}
	if v.Rank > c.RankMax {
		return events.Refuse(events.RankOutOfRange, "rank", "min", "0", "max", events.FormatRank(c.RankMax))
	}
	if c.VoterRequired && len(v.VoterKey) == 0 {
		return events.Refuse(events.VoterMissing, "voter")
	}
	v.Name, v.Album = name, album
	return nil
}

// spelling finds the band and the album in the roster.
func (r *Rules) spelling(v *events.Vote) (name, album string, no *events.Refusal) {
	if v.Album == "" && r.contest.AlbumRequired {
		return "", "", events.Refuse(events.AlbumMissing, "album")
	}
	known := r.bands[events.Fold(v.Name)]
	switch {
	case known == nil && r.contest.OpenRoster:
		return v.Name, v.Album, nil
	case known == nil:
		return "", "", events.Refuse(events.BandUnknown, "name", "name", v.Name)
	case v.Album == "":
		return known.name, "", nil
	}
	title, ok := known.albums[events.Fold(v.Album)]
	switch {
	case ok:
		return known.name, title, nil
	case r.contest.OpenRoster:
		return known.name, v.Album, nil
	}
	return "", "", events.Refuse(events.AlbumUnknown, "album", "album", v.Album, "name", known.name)
}
