package desk

import (
	"bytes"
	"errors"
	"sync"
	"testing"
	"time"

	"marimba/events"
)

var noon = time.Date(2026, 5, 1, 18, 0, 0, 0, time.UTC)

// contestsOf are the contests of a test. One of them is listed and not there.
type contestsOf map[string]events.Contest

func (c contestsOf) Contest(id string) (events.Contest, bool) { found, ok := c[id]; return found, ok }

func (c contestsOf) IDs() []string { return []string{"default", "rock", "gone"} }

// plainKeys makes keys that can be read.
type plainKeys struct{}

func (plainKeys) Key(contest, voter string) ([]byte, error) {
	if voter == "nobody" {
		return nil, errors.New("there is no key")
	}
	return []byte(contest + "/" + voter), nil
}

func newDesk() *Desk {
	d := New(contestsOf{
		"default": {ID: "default", OpenRoster: true, RankMax: events.MaxRank, YearMin: 1900},
		"rock": {ID: "rock", AlbumRequired: true, VoterRequired: true, RankMax: 1000, YearMin: 1970, ClosesAt: noon.Add(time.Hour),
			Bands: []events.Band{{Name: "Alux Nahual", Aliases: []string{"Alux"}, Albums: []events.Album{{Title: "Conquista"}}}}},
	}, plainKeys{})
	d.now = func() time.Time { return noon }
	return d
}

// What passes the desk is read, in the roster's spelling, with the voter's key
// and the time of receipt, and for the contest that it names or the default one.
func TestAdmit(t *testing.T) {
	d := newDesk()
	contest, v, no := d.Admit(new(events.Reading), events.Ballot{Name: " any  band", Year: "1982", Rank: "2"})
	if no != nil || contest != "default" || v.Name != "any band" || v.Rank != 200 || v.VoterKey != nil || !v.At.Equal(noon) || v.ID != "" {
		t.Errorf("%s %+v %v", contest, v, no)
	}
	contest, v, no = d.Admit(new(events.Reading), events.Ballot{Name: "ALUX", Album: "conquista", Year: "1982", Rank: "2", ID: "mine", Contest: "rock", Voter: "Rosa"})
	if no != nil || contest != "rock" || v.Name != "Alux Nahual" || v.Album != "Conquista" || v.ID != "mine" || !bytes.Equal(v.VoterKey, []byte("rock/Rosa")) {
		t.Errorf("%s %+v %v", contest, v, no)
	}
}

// What does not pass is told by the first thing that is wrong: the ballot, then
// the contest, then its rules; and then there is no vote.
func TestAdmitRefuses(t *testing.T) {
	good := events.Ballot{Name: "Alux", Album: "Conquista", Year: "1982", Rank: "2", Contest: "rock", Voter: "Rosa"}
	late := noon.Add(time.Hour)
	for _, c := range []struct {
		say    string
		change func(*events.Ballot)
		now    time.Time
		want   string
	}{
		{"ballot before contest", func(b *events.Ballot) { b.Name, b.Contest = "", "nowhere" }, noon, "name: field_missing"},
		{"contest before rules", func(b *events.Ballot) { b.Name, b.Contest = "Nobody", "nowhere" }, noon, "contest: contest_unknown"},
		{"contest that is not there", func(b *events.Ballot) { b.Contest = "gone" }, noon, "contest: contest_unknown"},
		{"rules", func(b *events.Ballot) { b.Name = "Nobody" }, noon, "name: band_unknown"},
		{"no voter", func(b *events.Ballot) { b.Voter = "" }, noon, "voter: voter_missing"},
		{"the time of receipt decides", func(b *events.Ballot) { b.CastAt = "2026-05-01T00:00:00Z" }, late, "too_late"},
	} {
		d := newDesk()
		d.now = func() time.Time { return c.now }
		b := good
		c.change(&b)
		contest, v, no := d.Admit(new(events.Reading), b)
		if no == nil || no.Error() != c.want || contest != "" || v.Name != "" || v.VoterKey != nil {
			t.Errorf("%s: %s %+v %v, want %s", c.say, contest, v, no, c.want)
		}
	}
}

func TestHas(t *testing.T) {
	d := newDesk()
	for contest, want := range map[string]bool{"default": true, "rock": true, "gone": false, "": false} {
		if no := d.Has(contest); (no == nil) != want {
			t.Errorf("%q: %v", contest, no)
		}
	}
}

// Many hand in at once.
func TestDeskServesMany(t *testing.T) {
	d := newDesk()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				if _, _, no := d.Admit(new(events.Reading), events.Ballot{Name: "Alux", Album: "Conquista", Year: "1982", Rank: "2", Contest: "rock", Voter: "Rosa"}); no != nil {
					t.Error(no)
				}
			}
		})
	}
	all.Wait()
}

// Without the contest's key a vote is not taken, and may be handed in again: under
// another key its voter would be another one.
func TestNoVoteWithoutItsVotersKey(t *testing.T) {
	_, _, no := newDesk().Admit(new(events.Reading), events.Ballot{Name: "Alux", Album: "Conquista", Year: "1982", Rank: "2", Contest: "rock", Voter: "nobody"})
	if no == nil || no.Code != events.Unavailable {
		t.Errorf("refused by %v", no)
	}
}
