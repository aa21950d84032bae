package rehearse

import (
	"testing"
	"time"

	"marimba/config"
	"marimba/events"
	"marimba/events/rules"
)

// Every vote that is made for a contest is one that its rules admit, by a voter
// who has cast no other; and the bands do not share them evenly.
func TestBallotsAreAdmitted(t *testing.T) {
	roll, err := config.Contests{}.Load()
	if err != nil {
		t.Fatal(err)
	}
	contests := []events.Contest{{
		ID: "marks", OpenRoster: true, AlbumRequired: true, VoterRequired: true, RankMode: events.Score, RankMax: 50, YearMin: 2020, YearMax: 2020, Shards: 1,
	}}
	for _, id := range roll.IDs() {
		c, _ := roll.Contest(id)
		contests = append(contests, c)
	}
	now := time.Date(2026, 11, 25, 18, 0, 0, 0, time.UTC)
	for _, c := range contests {
		judge, ballots := rules.New(c), NewBallots(c, now)
		voters, bands := map[string]bool{}, map[string]int{}
		for i := range 500 {
			row := ballots.Next(i)
			var reading events.Reading
			v, no := reading.Read(row.Ballot)
			if no != nil {
				t.Fatalf("%s: %+v cannot be read: %v", c.ID, row.Ballot, no)
			}
			v.At = now
			v.VoterKey = []byte(row.Ballot.Voter)
			if no, err := judge.Judge(&v); no != nil || err != nil {
				t.Fatalf("%s: %+v is refused: %v, %v", c.ID, row.Ballot, no, err)
			}
			voters[row.Ballot.Voter] = true
			bands[v.Name]++
		}
		most := 0
		for _, n := range bands {
			most = max(most, n)
		}
		if len(voters) != 500 || len(bands) < 3 || most < 100 {
			t.Errorf("%s: %d voters, votes by band %v", c.ID, len(voters), bands)
		}
	}
}
