package rules

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"marimba/events"
)

var update = flag.Bool("update", false, "write what the module answers into the golden table")

const goldenFile = "testdata/golden.json"

// golden is the table of votes × contests that every host of the rules is held
// against: this one, the crate as it runs natively (crate/tests/golden.rs), and
// Node's WebAssembly (testdata/golden.mjs).
type golden struct {
	At       int64                      `json:"at"` // when votes are received, unless a case says otherwise
	Contests map[string]json.RawMessage `json:"contests"`
	Cases    []goldenCase               `json:"cases"`
}

type goldenCase struct {
	Say     string   `json:"say"`
	Contest string   `json:"contest"`
	At      int64    `json:"at,omitempty"`
	Lenient bool     `json:"lenient,omitempty"`
	JSON    string   `json:"json,omitempty"`
	Hex     string   `json:"hex,omitempty"` // for bytes that are not UTF-8
	Want    []string `json:"want"`
}

func (c goldenCase) data(t *testing.T) []byte {
	if c.Hex == "" {
		return []byte(c.JSON)
	}
	data, err := hex.DecodeString(c.Hex)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func readGolden(t *testing.T) golden {
	t.Helper()
	data, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	for i := range g.Cases {
		if g.Cases[i].At == 0 {
			g.Cases[i].At = g.At
		}
	}
	return g
}

// contestOf makes a contest of the form that modules are given.
func contestOf(t *testing.T, data []byte) events.Contest {
	t.Helper()
	var form terms
	if err := json.Unmarshal(data, &form); err != nil {
		t.Fatal(err)
	}
	rank, no := new(events.Reading).Read(events.Ballot{Name: "x", Year: "1", Rank: form.RankMax.String()})
	if no != nil {
		t.Fatal(no)
	}
	c := events.Contest{
		ID: form.ID, OpenRoster: form.OpenRoster, AlbumRequired: form.AlbumRequired, VoterRequired: form.VoterRequired,
		RankMode: form.RankMode, RankMax: rank.Rank, YearMin: form.YearMin,
	}
	if form.YearMax != nil {
		c.YearMax = *form.YearMax
	}
	if form.OpensAt != nil {
		c.OpensAt = *form.OpensAt
	}
	if form.ClosesAt != nil {
		c.ClosesAt = *form.ClosesAt
	}
	for _, b := range form.Bands {
		into := events.Band{Name: b.Name, Aliases: b.Aliases}
		for _, a := range b.Albums {
			record := events.Album{Title: a.Title, Aliases: a.Aliases}
			if a.Year != nil {
				record.Year = *a.Year
			}
			into.Albums = append(into.Albums, record)
		}
		c.Bands = append(c.Bands, into)
	}
	return c
}

// saidOf writes what became of a vote as the table has it.
func saidOf(v events.Vote, b events.Ballot, no *events.Refusal) []string {
	if no != nil {
		said := []string{"refused", string(no.Code), no.Field}
		for _, name := range slices.Sorted(maps.Keys(no.Params)) {
			said = append(said, name, no.Params[name])
		}
		return said
	}
	castAt := ""
	if !v.CastAt.IsZero() {
		castAt = strconv.FormatInt(v.CastAt.UnixMilli(), 10)
	}
	return []string{"admitted", v.Name, v.Album, strconv.Itoa(int(v.Year)), strconv.Itoa(int(v.Rank)), b.Voter, b.ID, b.Contest, castAt}
}

// The module answers what the table says, and so does its twin.
func TestGolden(t *testing.T) {
	g := readGolden(t)
	rules, twins := make(map[string]*Rules), make(map[string]*twin)
	for id, data := range g.Contests {
		c := contestOf(t, data)
		rules[id], twins[id] = New(c), newTwin(c)
	}
	for i, c := range g.Cases {
		data := c.data(t)
		var v events.Vote
		b, no, err := Read(data, !c.Lenient)
		if err != nil {
			t.Fatalf("%s: %v", c.Say, err)
		}
		if no == nil {
			if v, no = new(events.Reading).Read(b); no != nil {
				t.Fatalf("%s: what was read is refused: %v", c.Say, no)
			}
			v.At, v.VoterKey = time.UnixMilli(c.At), []byte(b.Voter)
			if no, err = rules[c.Contest].Judge(&v); err != nil {
				t.Fatalf("%s: %v", c.Say, err)
			}
		}
		got := saidOf(v, b, no)
		if *update {
			g.Cases[i].Want = got
		} else if !slices.Equal(got, c.Want) {
			t.Errorf("%s: got\n%q, want\n%q", c.Say, got, c.Want)
		}

		v, b, no = twinRead(data, !c.Lenient)
		if no == nil {
			v.At, v.VoterKey = time.UnixMilli(c.At), []byte(b.Voter)
			no = twins[c.Contest].judge(&v)
		}
		if other := saidOf(v, b, no); !slices.Equal(other, got) && (no == nil || no.Params["reason"] == "") {
			t.Errorf("%s: got\n%q, the twin's is\n%q", c.Say, got, other)
		}
	}
	if *update {
		writeGolden(t, g)
	}
}

// writeGolden writes the table with a line for each case.
func writeGolden(t *testing.T, g golden) {
	var out bytes.Buffer
	line := func(v any) string {
		var text strings.Builder
		e := json.NewEncoder(&text)
		e.SetEscapeHTML(false)
		if err := e.Encode(v); err != nil {
			t.Fatal(err)
		}
		return strings.TrimSuffix(text.String(), "\n")
	}
	out.WriteString("{\n\"at\": " + line(g.At) + ",\n\"contests\": {\n")
	for i, id := range slices.Sorted(maps.Keys(g.Contests)) {
		if i > 0 {
			out.WriteString(",\n")
		}
		out.WriteString(line(id) + ": " + line(g.Contests[id]))
	}
	out.WriteString("\n},\n\"cases\": [\n")
	for i, c := range g.Cases {
		if i > 0 {
			out.WriteString(",\n")
		}
		if c.At == g.At {
			c.At = 0
		}
		out.WriteString(line(c))
	}
	out.WriteString("\n]\n}\n")
	if err := os.WriteFile(goldenFile, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Node's WebAssembly answers what the table says, too: what a browser does with
// the same bytes.
func TestGoldenInNode(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("no node")
	}
	out, err := exec.CommandContext(t.Context(), node, "testdata/golden.mjs").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if want := strconv.Itoa(len(readGolden(t).Cases)) + " cases"; !strings.Contains(string(out), want) {
		t.Errorf("node says %q, without %q", out, want)
	}
}
