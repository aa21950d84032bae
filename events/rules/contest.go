package rules

import (
	"encoding/json"
	"fmt"
	"time"

	"marimba/events"
)

// terms is a contest as a rules module is given it: what has a bearing on votes,
// in the form that GET /v1/contests/{contest} has.
type terms struct {
	ID            string          `json:"id"`
	OpenRoster    bool            `json:"open_roster"`
	AlbumRequired bool            `json:"album_required"`
	VoterRequired bool            `json:"voter_required"`
	RankMode      events.RankMode `json:"rank_mode"`
	RankMax       json.Number     `json:"rank_max"`
	YearMin       int32           `json:"year_min"`
	YearMax       *int32          `json:"year_max"`
	OpensAt       *time.Time      `json:"opens_at"`
	ClosesAt      *time.Time      `json:"closes_at"`
	Bands         []band          `json:"bands"`
}

type band struct {
	Name    string   `json:"name"`
	Aliases []string `json:"aliases"`
	Albums  []album  `json:"albums"`
}

type album struct {
	Title   string   `json:"title"`
	Aliases []string `json:"aliases"`
	Year    *int32   `json:"year"`
}

func termsOf(c *events.Contest) ([]byte, error) {
	t := terms{
		ID: c.ID, OpenRoster: c.OpenRoster, AlbumRequired: c.AlbumRequired, VoterRequired: c.VoterRequired,
		RankMode: c.RankMode, RankMax: json.Number(events.FormatRank(c.RankMax)),
		YearMin: c.YearMin, YearMax: unlessZero(c.YearMax),
		Bands: make([]band, len(c.Bands)),
	}
	if !c.OpensAt.IsZero() {
		t.OpensAt = &c.OpensAt
	}
	if !c.ClosesAt.IsZero() {
		t.ClosesAt = &c.ClosesAt
	}
	for i, b := range c.Bands {
		t.Bands[i] = band{Name: b.Name, Aliases: listed(b.Aliases), Albums: make([]album, len(b.Albums))}
		for k, a := range b.Albums {
			t.Bands[i].Albums[k] = album{a.Title, listed(a.Aliases), unlessZero(a.Year)}
		}
	}
	data, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("write the contest for its rules: %w", err)
	}
	return data, nil
}

// listed is a list that JSON writes as one, even if it is empty.
func listed(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func unlessZero(n int32) *int32 {
	if n == 0 {
		return nil
	}
	return &n
}
