package desk

import (
	"testing"

	"marimba/events"
	"marimba/events/rules/rulestest"
)

func newDeskWith(rules events.Module) *Desk {
	d := New(contestsOf{
		"default": {ID: "default", OpenRoster: true, RankMax: events.MaxRank, YearMin: 1900},
		"rock":    {ID: "rock", OpenRoster: true, RankMax: events.MaxRank, YearMin: 1900, Rules: rules},
	}, plainKeys{})
	return d
}

// A contest's own rule refuses what it does not admit, with its own words, and
// admits the rest; other contests do not know it.
func TestOwnRule(t *testing.T) {
	d := newDeskWith(rulestest.Example(t))
	for _, c := range []struct{ contest, album, want string }{
		{"rock", "Alto al Fuego (en vivo)", "album: rule_broken"},
		{"rock", "Alto al Fuego", ""},
		{"default", "Alto al Fuego (en vivo)", ""},
	} {
		_, v, no := d.Admit(new(events.Reading), events.Ballot{Name: "Alux", Album: c.album, Year: "1987", Rank: "2", Contest: c.contest})
		switch {
		case c.want == "" && (no != nil || v.Album != c.album):
			t.Errorf("%s: %+v %v", c.album, v, no)
		case c.want != "" && (no == nil || no.Error() != c.want || no.Params["rule"] != "no_live_albums" || no.Params["message"] == ""):
			t.Errorf("%s: %v %v", c.album, no, no.Params)
		}
	}
}

// Rules that break give no vote and no verdict: the ballot may be handed in
// again.
func TestBrokenRuleIsNoVerdict(t *testing.T) {
	d := newDeskWith(rulestest.Broken())
	_, v, no := d.Admit(new(events.Reading), events.Ballot{Name: "Alux", Year: "1987", Rank: "2", Contest: "rock"})
	if no == nil || no.Code != events.Unavailable || v.Name != "" {
		t.Errorf("%+v %v", v, no)
	}
	if _, _, no := d.Admit(new(events.Reading), events.Ballot{Name: "Alux", Year: "1987", Rank: "2"}); no != nil {
		t.Errorf("of another contest: %v", no)
	}
}
