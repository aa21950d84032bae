package config

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"marimba/events"
)

// The contests that a binary brings along are right, also by the schema, which
// is not looked at when a function starts.
func TestBuiltInContestsAreRight(t *testing.T) {
	roll, err := readRoll(contestFiles, "contests", new(Roll), true)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"default", "rock-gt"}; !slices.Equal(roll.IDs(), want) {
		t.Errorf("contests are %v, want %v", roll.IDs(), want)
	}
	if _, ok := roll.Contest("nowhere"); ok {
		t.Error("there is a contest that there is not")
	}
	for _, id := range roll.IDs() {
		if c, ok := roll.Contest(id); !ok || c.ID != id {
			t.Errorf("contest %q is %q, %v", id, c.ID, ok)
		}
	}
}

// Every field of a file reaches the contest, and what a file leaves out is as
// the schema says.
func TestContestOfFile(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "all.yaml", `
id: all
title: {es: Todo, en: All}
open_roster: true
bands:
  - name: Trébol
    aliases: [Tréboles]
    albums: [{title: Uno, aliases: [One], year: 1999}]
album_required: false
voter_required: true
rank_mode: position
rank_max: 12.25
year_min: 1950
year_max: 2000
opens_at: 2026-11-01T00:00:00-06:00
closes_at: 2026-12-01T00:00:00-06:00
amendments:
  - {at: 2026-10-01T00:00:00Z, by: Ana, opens_at: 2026-11-02T00:00:00-06:00, reason: El salón no está listo}
  - {at: 2026-11-30T23:59:59.999-06:00, by: Luis, closes_at: 2026-12-01T01:00:00-06:00, reason: "One hour more"}
limit: {mode: per_band, votes: 2}
results: {hidden_until: closed, frozen_from: 2026-11-30T20:00:00-06:00}
appeal_days: 12
points: [5, 3, 3, 0]
standing: points
tie_break: [mean, votes]
mean_from: 7
shards: 4
`)
	write(t, dir, "least.yaml", "id: least\ntitle: {es: Poco, en: Little}\nopen_roster: true\nrank_mode: score\nrank_max: 10\n")
	write(t, dir, "notes.txt", "not a contest")
	write(t, dir, ".hidden.yaml", "not a contest either")
	roll, err := Contests{Dir: dir}.Load()
	if err != nil {
		t.Fatal(err)
	}
	got, _ := roll.Contest("all")
	if again, _ := roll.Contest("least"); len(got.Revision) != 64 || got.Revision == again.Revision {
		t.Errorf("revisions are %q and %q", got.Revision, again.Revision)
	}
	got.Revision = ""
	want := events.Contest{
		ID: "all", Title: map[string]string{"es": "Todo", "en": "All"}, OpenRoster: true,
		Bands: []events.Band{{
			Name: "Trébol", Aliases: []string{"Tréboles"},
			Albums: []events.Album{{Title: "Uno", Aliases: []string{"One"}, Year: 1999}},
		}},
		VoterRequired: true, RankMode: events.Position, RankMax: 1225, YearMin: 1950, YearMax: 2000,
		OpensAt:  time.Date(2026, 11, 2, 6, 0, 0, 0, time.UTC),
		ClosesAt: time.Date(2026, 12, 1, 7, 0, 0, 0, time.UTC),
		Amendments: []events.Amendment{{
			At: time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC), By: "Ana", Bound: events.OpensAt,
			From: time.Date(2026, 11, 1, 6, 0, 0, 0, time.UTC), To: time.Date(2026, 11, 2, 6, 0, 0, 0, time.UTC), Reason: "El salón no está listo",
		}, {
			At: time.Date(2026, 12, 1, 5, 59, 59, 999e6, time.UTC), By: "Luis", Bound: events.ClosesAt,
			From: time.Date(2026, 12, 1, 6, 0, 0, 0, time.UTC), To: time.Date(2026, 12, 1, 7, 0, 0, 0, time.UTC), Reason: "One hour more",
		}},
		Limit:      events.Limit{Mode: events.PerBand, N: 2},
		Showing:    events.Showing{HiddenUntil: events.Closed, FrozenFrom: time.Date(2026, 12, 1, 2, 0, 0, 0, time.UTC)},
		AppealDays: 12,
		Points:     []int64{5, 3, 3, 0}, Standing: events.ByPoints,
		TieBreak: []events.Metric{events.ByMean, events.ByVotes}, MeanFrom: 7, Shards: 4,
	}
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("contest is\n%+v, want\n%+v", got, want)
	}
	got, _ = roll.Contest("least")
	got.Revision = ""
	want = events.Contest{
		ID: "least", Title: map[string]string{"es": "Poco", "en": "Little"}, OpenRoster: true,
		Bands: []events.Band{}, AlbumRequired: true, RankMode: events.Score, RankMax: 1000, YearMin: 1900,
		Limit: events.Limit{Mode: events.NoLimit}, Standing: events.ByVotes, MeanFrom: 1, Shards: 1, AppealDays: 30,
	}
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("contest is\n%+v, want\n%+v", got, want)
	}
}

// A contest file with faults is told all of them, each with its line.
func TestContestFaults(t *testing.T) {
	const head = "id: bad\ntitle: {es: Mal, en: Bad}\nrank_mode: position\nrank_max: 10\n" // lines 1 to 4
	tests := map[string]struct {
		file string
		want []string
	}{
		"empty":                  {"", []string{"bad.yaml: is empty"}},
		"comment only":           {"# nothing\n", []string{"bad.yaml: is empty"}},
		"not YAML":               {"id: [", []string{"bad.yaml:1: "}},
		"a list":                 {"- id\n", []string{"bad.yaml:1: got array, want object"}},
		"missing fields":         {"id: bad\n", []string{"bad.yaml:1: missing properties 'title', 'rank_mode', 'rank_max'"}},
		"unknown key":            {head + "open_roster: true\ncolour: red\n", []string{"additional properties 'colour' not allowed"}},
		"repeated key":           {head + "open_roster: true\nopen_roster: true\n", []string{`bad.yaml:6: "open_roster" is there already`}},
		"reference":              {head + "open_roster: &x true\nvoter_required: *x\n", []string{"bad.yaml:6: references are not taken"}},
		"two documents":          {head + "open_roster: true\n---\nid: bad\n", []string{"more than one document"}},
		"wrong types":            {head + "open_roster: maybe\nshards: many\n", []string{"bad.yaml:5: open_roster: got string, want boolean", "bad.yaml:6: shards: got string, want integer"}},
		"nested":                 {head + "open_roster: true\nbands: [[[[[[[[[[]]]]]]]]]]\n", []string{"bad.yaml:6: is nested too deep"}},
		"another's id":           {strings.Replace(head, "id: bad", "id: good", 1) + "open_roster: true\n", []string{`bad.yaml:1: id: "good" is not the file's name, "bad"`}},
		"no bands":               {head, []string{"bands: there are none"}},
		"times in order":         {head + "open_roster: true\nopens_at: 2026-02-01T00:00:00Z\ncloses_at: 2026-01-01T00:00:00Z\n", []string{"bad.yaml:7: closes_at: is not after opens_at"}},
		"time malformed":         {head + "open_roster: true\nopens_at: tomorrow\n", []string{"bad.yaml:6: opens_at: 'tomorrow' is not valid date-time"}},
		"year out":               {head + "open_roster: true\nyear_min: 2000\nyear_max: 1999\n", []string{"bad.yaml:7: year_max: is not year_min to 9999"}},
		"rank's decimals":        {strings.Replace(head, "10", "9.999", 1) + "open_roster: true\n", []string{"bad.yaml:4: rank_max: has more than 2 decimals"}},
		"limit's number":         {head + "open_roster: true\nlimit: {mode: per_contest}\n", []string{"bad.yaml:6: limit: per_contest needs votes"}},
		"limit without":          {head + "open_roster: true\nlimit: {mode: none, votes: 3}\n", []string{"bad.yaml:6: limit: votes has no meaning with mode none"}},
		"points rise":            {head + "open_roster: true\npoints: [3, 4, 2]\n", []string{"bad.yaml:6: points: 4 for rank 2 is more than for the rank before"}},
		"points of scores":       {strings.Replace(head, "position", "score", 1) + "open_roster: true\npoints: [3]\n", []string{"points: are for rank_mode position"}},
		"too many points":        {strings.Replace(head, "10", "2", 1) + "open_roster: true\npoints: [3, 2, 1]\n", []string{"points: are more than there are ranks"}},
		"results without an end": {head + "open_roster: true\nresults: {hidden_until: final}\n", []string{"bad.yaml:6: results: need closes_at, or they would never be shown"}},
		"results too late": {head + "open_roster: true\ncloses_at: 2026-11-24T12:00:00Z\nresults: {frozen_from: 2026-11-24T12:00:00Z}\n",
			[]string{"bad.yaml:7: results: frozen_from is not before closes_at"}},
		"results that move": {head + "open_roster: true\ncloses_at: 2026-11-24T12:00:00Z\nlimit: {mode: replace}\nresults: {frozen_from: 2026-11-24T11:00:00Z}\n",
			[]string{"bad.yaml:8: results: frozen_from has no meaning with limit replace: later votes take earlier ones away"}},
		"standing":         {head + "open_roster: true\nstanding: points\n", []string{"bad.yaml:6: standing and tie_break: points needs the table points"}},
		"sum of positions": {head + "open_roster: true\ntie_break: [sum]\n", []string{"sum has no meaning with rank_mode position"}},
		"tie-break twice":  {head + "open_roster: true\ntie_break: [mean, votes]\n", []string{"bad.yaml:6: tie_break: votes has been used before"}},
		"bands alike": {head + "bands:\n  - name: Trébol\n  - name: Otra\n    aliases: [TREBOL]\n",
			[]string{`bad.yaml:8: band: "TREBOL" is the same as "Trébol" in line 6 when folded`}},
		"albums alike": {head + "bands:\n  - name: A\n    albums: [{title: Uno}, {title: Dos, aliases: [úno]}]\n  - name: B\n    albums: [{title: Uno}]\n",
			[]string{`bad.yaml:7: album: "úno" is the same as "Uno" in line 7`}},
		"amendment without a bound": {head + "open_roster: true\namendments: [{at: 2026-01-01T00:00:00Z, by: A, reason: B}]\n",
			[]string{"bad.yaml:6: amendments/0: missing property"}},
		"amendment of both bounds": {head + "open_roster: true\namendments:\n" +
			"  - {at: 2026-01-01T00:00:00Z, by: A, reason: B, opens_at: 2026-01-02T00:00:00Z, closes_at: 2026-01-03T00:00:00Z}\n",
			[]string{"bad.yaml:7: amendments/0: 'oneOf' failed"}},
		"amendment by nobody": {head + "open_roster: true\namendments:\n  - {at: 2026-01-01T00:00:00Z, by: ' ', reason: B, closes_at: 2026-01-03T00:00:00Z}\n",
			[]string{`bad.yaml:7: by: " " is empty`}},
		"amendment after the closing": {head + "open_roster: true\ncloses_at: 2026-01-01T00:00:00Z\namendments:\n" +
			"  - {at: 2026-01-01T00:00:00Z, by: A, reason: B, closes_at: 2026-01-03T00:00:00Z}\n",
			[]string{"bad.yaml:8: amendments: closes_at had passed when it was changed"}},
		"amendment after the amended closing": {head + "open_roster: true\namendments:\n" +
			"  - {at: 2026-01-01T00:00:00Z, by: A, reason: B, closes_at: 2026-01-03T00:00:00Z}\n" +
			"  - {at: 2026-01-03T00:00:00Z, by: A, reason: B, closes_at: 2026-01-04T00:00:00Z}\n",
			[]string{"bad.yaml:8: amendments: closes_at had passed when it was changed"}},
		"closing in the past": {head + "open_roster: true\namendments:\n  - {at: 2026-01-03T00:00:00Z, by: A, reason: B, closes_at: 2026-01-03T00:00:00Z}\n",
			[]string{"bad.yaml:7: amendments: closes_at is not after at"}},
		"amendment after the opening": {head + "open_roster: true\nopens_at: 2026-01-01T00:00:00Z\namendments:\n" +
			"  - {at: 2026-01-02T00:00:00Z, by: A, reason: B, opens_at: 2026-01-03T00:00:00Z}\n",
			[]string{"bad.yaml:8: amendments: opens_at had passed or was not set"}},
		"opening of what is open": {head + "open_roster: true\namendments:\n  - {at: 2026-01-02T00:00:00Z, by: A, reason: B, opens_at: 2026-01-03T00:00:00Z}\n",
			[]string{"bad.yaml:7: amendments: opens_at had passed or was not set"}},
		"opening amended behind the closing": {head + "open_roster: true\nopens_at: 2026-02-01T00:00:00Z\ncloses_at: 2026-03-01T00:00:00Z\namendments:\n" +
			"  - {at: 2026-01-02T00:00:00Z, by: A, reason: B, opens_at: 2026-03-01T00:00:00Z}\n",
			[]string{"bad.yaml:9: amendments: closes_at is not after opens_at"}},
		"amendments in disorder": {head + "open_roster: true\namendments:\n" +
			"  - {at: 2026-01-02T00:00:00Z, by: A, reason: B, closes_at: 2026-02-01T00:00:00Z}\n" +
			"  - {at: 2026-01-01T00:00:00Z, by: A, reason: B, closes_at: 2026-02-02T00:00:00Z}\n",
			[]string{"bad.yaml:8: amendments: at is missing or before"}},
		"name not clean": {head + "bands: [{name: ' A'}]\n", []string{`bad.yaml:5: band: " A" is empty, longer than 120 or not in its clean form`}},
		"several": {head + "open_roster: true\nlimit: {mode: per_band}\nmean_from: 2\npoints: [1, 2]\n",
			[]string{"bad.yaml:6: limit", "bad.yaml:8: points"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "bad.yaml", test.file)
			_, err := Contests{Dir: dir}.Load()
			if err == nil {
				t.Fatal("no fault is told")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("told is\n%v\nwithout %q", err, want)
				}
			}
		})
	}
}

// The faults of all files of a folder are told, and a folder without contests,
// or none at all, is a fault.
func TestContestFolders(t *testing.T) {
	dir := t.TempDir()
	if _, err := (Contests{Dir: dir}).Load(); err == nil {
		t.Error("an empty folder is taken")
	}
	if _, err := (Contests{Dir: filepath.Join(dir, "nowhere")}).Load(); err == nil {
		t.Error("a folder that is not there is taken")
	}
	write(t, dir, "a.yaml", "id: a\n")
	write(t, dir, "b.yaml", "id: b\n")
	write(t, dir, "c.yaml", strings.Repeat("#", maxContestFile+1))
	_, err := Contests{Dir: dir}.Load()
	if err == nil {
		t.Fatal("no fault is told")
	}
	for _, want := range []string{"a.yaml:1: ", "b.yaml:1: ", "c.yaml: more than 1048576 bytes"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("told is\n%v\nwithout %q", err, want)
		}
	}
}

// The checks of decodeContest stand by themselves: built-in contests are not
// held against the schema when a function starts.
func TestDecodeIsStrict(t *testing.T) {
	for _, file := range []string{
		"colour: red\n",
		"id: a\nid: a\n",
		"shards: many\n",
		"bands: {name: A}\n",
		"bands: [{name: A, colour: red}]\n",
		"id: a\n---\nid: b\n",
	} {
		if _, faults := decodeContest([]byte(file)); len(faults) == 0 {
			t.Errorf("%q is taken", file)
		}
	}
}

// Whatever a contest file holds, reading it ends with a contest or with faults
// that are told, and schema and checks agree on what is well formed.
func FuzzReadContest(f *testing.F) {
	paths, err := fs.Glob(contestFiles, "contests/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		data, err := contestFiles.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("{id: x, title: {es: a, en: b}, rank_mode: score, rank_max: 1, open_roster: true, amendments: [{at: 2026-01-01T00:00:00Z, by: A, reason: B, closes_at: 2026-01-02T00:00:00Z}]}"))
	f.Add([]byte("{id: x, title: {es: a, en: b}, rank_mode: score, rank_max: .inf, open_roster: true}"))
	f.Add([]byte("rank_max: 1e400\nopens_at: 0000-00-00\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := readContest("x.yaml", "x", data, true)
		if err != nil {
			if err.Error() == "" {
				t.Error("a fault is told without words")
			}
			return
		}
		if c.ID != "x" || c.RankMax <= 0 || c.RankMax > events.MaxRank || c.Shards < 1 || c.MeanFrom < 1 {
			t.Errorf("contest is %+v", c)
		}
	})
}

// A function starts from zero with each vote that wakes it: reading the
// built-in contests must not be felt. It takes less than 1 ms.
func BenchmarkBuiltInContests(b *testing.B) {
	for b.Loop() {
		if _, err := (Contests{}).Load(); err != nil {
			b.Fatal(err)
		}
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
