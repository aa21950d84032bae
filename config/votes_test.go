package config

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"marimba/events"
	"marimba/events/rules"
)

// The demo's vote files show every state of a vote that the contest can give:
// with them the README and the end-to-end test know what to expect.
func TestVoteFilesOfTheDemo(t *testing.T) {
	roll, err := Contests{}.Load()
	if err != nil {
		t.Fatal(err)
	}
	contest, _ := roll.Contest("rock-gt")
	files, err := VoteFiles("rock-gt")
	if err != nil {
		t.Fatal(err)
	}
	states := make(map[events.State]int)
	reasons := make(map[events.Code]int)
	aliases, ordinals := 0, 0
	judge := rules.New(contest)
	seen, votes := make(map[string]bool), make(map[string]int64)
	for _, file := range files {
		for row, ballot := range ballots(t, file) {
			reading := events.Reading{Ordinals: strings.HasSuffix(file.Name, ".csv")}
			v, no := reading.Read(ballot)
			if no != nil {
				t.Fatalf("%s: row %d cannot be read: %v", file.Name, row+1, no)
			}
			ordinals += reading.Warnings
			v.At = time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
			written := v.Name
			no, err := judge.Judge(&v)
			if err != nil {
				t.Fatal(err)
			}
			if no != nil {
				states[events.Refused]++
				reasons[no.Code]++
				continue
			}
			if v.Name != written {
				aliases++
			}
			id := v.ID + " of " + ballot.Voter
			if v.ID == "" {
				id = fmt.Sprint(file.Name, row)
			}
			switch {
			case seen[id]:
				states[events.Duplicate]++
			case ballot.Voter != "" && votes[ballot.Voter] == contest.Limit.N:
				states[events.OverLimit]++
			default:
				states[events.Counted]++
			}
			if !seen[id] && ballot.Voter != "" && votes[ballot.Voter] < contest.Limit.N {
				votes[ballot.Voter]++
			}
			seen[id] = true
		}
	}
	want := map[events.State]int{events.Counted: 527, events.Duplicate: 2, events.OverLimit: 5, events.Refused: 6}
	if fmt.Sprint(states) != fmt.Sprint(want) {
		t.Errorf("states are %v, want %v", states, want)
	}
	wantReasons := map[events.Code]int{events.BandUnknown: 2, events.AlbumUnknown: 1, events.RankOutOfRange: 2, events.YearOutOfRange: 1}
	if fmt.Sprint(reasons) != fmt.Sprint(wantReasons) {
		t.Errorf("reasons are %v, want %v", reasons, wantReasons)
	}
	if aliases < 50 || ordinals == 0 {
		t.Errorf("%d votes use another spelling than the roster, %d an ordinal: too few to show it", aliases, ordinals)
	}
}

// A contest without vote files has none.
func TestVoteFilesOfOthers(t *testing.T) {
	for _, contest := range []string{events.DefaultContest, "nowhere"} {
		if files, err := VoteFiles(contest); err != nil || len(files) > 0 {
			t.Errorf("%s has %d vote files, %v", contest, len(files), err)
		}
	}
}

// Each album of the roster that a vote of the demo names has the year of the
// vote, if the roster states one.
func TestVoteFilesHaveTheAlbumsYears(t *testing.T) {
	roll, err := Contests{}.Load()
	if err != nil {
		t.Fatal(err)
	}
	contest, _ := roll.Contest("rock-gt")
	judge := rules.New(contest)
	released := make(map[string]int32)
	for _, band := range contest.Bands {
		for _, album := range band.Albums {
			released[band.Name+"/"+album.Title] = album.Year
		}
	}
	files, err := VoteFiles("rock-gt")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		for row, ballot := range ballots(t, file) {
			reading := events.Reading{Ordinals: true}
			v, no := reading.Read(ballot)
			if no == nil {
				if no, err = judge.Judge(&v); err != nil {
					t.Fatal(err)
				}
			}
			if no != nil {
				continue
			}
			if year := released[v.Name+"/"+v.Album]; year != v.Year {
				t.Errorf("%s: row %d: %s of %s is of %d, the vote says %d", file.Name, row+1, v.Album, v.Name, year, v.Year)
			}
		}
	}
}

// ballots reads a vote file of ours.
func ballots(t *testing.T, file VoteFile) []events.Ballot {
	t.Helper()
	var rows []map[string]string
	if strings.HasSuffix(file.Name, ".json") {
		var objects []map[string]any
		decoder := json.NewDecoder(bytes.NewReader(file.Data))
		decoder.UseNumber()
		if err := decoder.Decode(&objects); err != nil {
			t.Fatalf("%s: %v", file.Name, err)
		}
		for _, object := range objects {
			row := make(map[string]string)
			for key, value := range object {
				row[key] = fmt.Sprint(value)
			}
			rows = append(rows, row)
		}
	} else {
		lines, err := csv.NewReader(bytes.NewReader(file.Data)).ReadAll()
		if err != nil {
			t.Fatalf("%s: %v", file.Name, err)
		}
		for _, line := range lines[1:] {
			row := make(map[string]string)
			for i, value := range line {
				row[lines[0][i]] = value
			}
			rows = append(rows, row)
		}
	}
	out := make([]events.Ballot, len(rows))
	for i, row := range rows {
		out[i] = events.Ballot{
			Name: row["name"], Album: row["album"], Year: row["year"], Rank: row["rank"], ID: row["id"], Voter: row["voter"],
		}
	}
	return out
}
