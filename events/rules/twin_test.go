package rules

import (
	"strconv"
	"time"
	"unicode/utf8"

	"marimba/events"
	"marimba/events/votefile"
)

// twin is the same rules in Go: what the crate is held against. It is also what
// the benchmarks show beside it.
type twin struct {
	contest events.Contest
	bands   map[string]*twinBand // by folded name and alias
}

type twinBand struct {
	name   string
	albums map[string]string // folded title or alias → title as shown
}

func newTwin(c events.Contest) *twin {
	t := &twin{contest: c, bands: make(map[string]*twinBand, len(c.Bands))}
	for _, b := range c.Bands {
		entry := &twinBand{name: b.Name, albums: make(map[string]string, len(b.Albums))}
		for _, a := range b.Albums {
			for _, spelling := range append([]string{a.Title}, a.Aliases...) {
				entry.albums[events.Fold(spelling)] = a.Title
			}
		}
		for _, spelling := range append([]string{b.Name}, b.Aliases...) {
			t.bands[events.Fold(spelling)] = entry
		}
	}
	return t
}

func (t *twin) judge(v *events.Vote) *events.Refusal {
	c := &t.contest
	if no := tooLong(v); no != nil {
		return no
	}
	if !c.OpensAt.IsZero() && v.At.Before(c.OpensAt) {
		return events.Refuse(events.TooEarly, "", "opens_at", c.OpensAt.UTC().Format(time.RFC3339))
	}
	if !c.ClosesAt.IsZero() && !v.At.Before(c.ClosesAt) {
		return events.Refuse(events.TooLate, "", "closes_at", c.ClosesAt.UTC().Format(time.RFC3339))
	}
	name, album, no := t.spelling(v)
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

func (t *twin) spelling(v *events.Vote) (name, album string, no *events.Refusal) {
	if v.Album == "" && t.contest.AlbumRequired {
		return "", "", events.Refuse(events.AlbumMissing, "album")
	}
	// What is not UTF-8 names nothing.
	known := t.bands[events.Fold(v.Name)]
	if !utf8.ValidString(v.Name) {
		known = nil
	}
	switch {
	case known == nil && t.contest.OpenRoster:
		return v.Name, v.Album, nil
	case known == nil:
		return "", "", events.Refuse(events.BandUnknown, "name", "name", v.Name)
	case v.Album == "":
		return known.name, "", nil
	}
	title, ok := known.albums[events.Fold(v.Album)]
	switch {
	case ok && utf8.ValidString(v.Album):
		return known.name, title, nil
	case t.contest.OpenRoster:
		return known.name, v.Album, nil
	}
	return "", "", events.Refuse(events.AlbumUnknown, "album", "album", v.Album, "name", known.name)
}

// twinRead reads one vote from JSON, in Go.
func twinRead(data []byte, strict bool) (events.Vote, events.Ballot, *events.Refusal) {
	b, no := votefile.One(data, strict)
	if no != nil {
		return events.Vote{}, b, no
	}
	v, no := new(events.Reading).Read(b)
	return v, b, no
}
