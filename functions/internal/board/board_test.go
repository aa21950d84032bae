package board

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"marimba/events"
)

var update = flag.Bool("update", false, "write the golden files anew")

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// ranks are votes by rank in whole numbers.
func ranks(of map[int]int64) map[int32]int64 {
	out := make(map[int32]int64)
	for rank, n := range of {
		out[int32(rank*100)] = n
	}
	return out
}

// one album with n votes of a rank.
func album(title string, rank int, n int64) map[string]map[int32]int64 {
	return map[string]map[int32]int64{title: ranks(map[int]int64{rank: n})}
}

// The order of the bands and their places, for each way to stand and each tie.
func TestPlaces(t *testing.T) {
	chart := events.Contest{ID: "c", RankMode: events.Position, Points: []int64{10, 5, 1}, Standing: events.ByPoints, MeanFrom: 1}
	tests := map[string]struct {
		contest events.Contest
		change  func(*events.Contest)
		votes   Histogram
		want    string
	}{
		"by votes": {
			change: func(c *events.Contest) { c.Standing = events.ByVotes },
			votes:  Histogram{"A": album("x", 1, 1), "B": album("x", 3, 3), "C": album("x", 2, 2)},
			want:   "1 B, 2 C, 3 A",
		},
		"by points": {
			votes: Histogram{"A": album("x", 1, 1), "B": album("x", 3, 3), "C": album("x", 2, 1)},
			want:  "1 A, 2 C, 3 B",
		},
		"shared places leave out the next": {
			votes: Histogram{"D": album("x", 3, 1), "c": album("x", 2, 1), "B": album("x", 2, 1), "A": album("x", 1, 1), "É": album("x", 3, 1)},
			want:  "1 A, 2 B, 2 c, 4 D, 4 É",
		},
		"shared places stand by folded name": {
			votes: Histogram{"Zeta": album("x", 1, 1), "árbol": album("x", 1, 1), "Beta": album("x", 1, 1)},
			want:  "1 árbol, 1 Beta, 1 Zeta",
		},
		"a tie is broken": {
			change: func(c *events.Contest) { c.TieBreak = []events.Metric{events.ByVotes} },
			votes:  Histogram{"A": album("x", 1, 1), "B": album("x", 2, 2), "C": album("x", 3, 10)},
			want:   "1 C, 2 B, 3 A",
		},
		"a tie is broken by the second rule": {
			change: func(c *events.Contest) { c.TieBreak = []events.Metric{events.ByVotes, events.ByMean} },
			votes: Histogram{
				"A": {"x": ranks(map[int]int64{1: 1, 9: 1})}, // 10 points, 2 votes, mean 5
				"B": {"x": ranks(map[int]int64{2: 2})},       // 10 points, 2 votes, mean 2
			},
			want: "1 B, 2 A",
		},
		"a low mean of positions is good": {
			change: func(c *events.Contest) { c.Standing = events.ByMean },
			votes:  Histogram{"A": album("x", 3, 9), "B": album("x", 1, 1), "C": album("x", 2, 5)},
			want:   "1 B, 2 C, 3 A",
		},
		"a high mean of scores is good": {
			change: func(c *events.Contest) { c.Standing, c.RankMode, c.Points = events.ByMean, events.Score, nil },
			votes:  Histogram{"A": album("x", 3, 9), "B": album("x", 1, 1), "C": album("x", 2, 5)},
			want:   "1 A, 2 C, 3 B",
		},
		"too few votes for a mean stand below": {
			change: func(c *events.Contest) { c.Standing, c.MeanFrom = events.ByMean, 2 },
			votes:  Histogram{"A": album("x", 9, 2), "B": album("x", 1, 1), "C": album("x", 1, 1)},
			want:   "1 A, 2 B, 2 C",
		},
		"means are compared exactly": {
			change: func(c *events.Contest) { c.Standing = events.ByMean },
			votes: Histogram{
				"A": {"x": ranks(map[int]int64{1: 1_000_000_000_000, 2: 1})},
				"B": {"x": ranks(map[int]int64{1: 1_000_000_000_001})},
			},
			want: "1 B, 2 A",
		},
		"by sum": {
			change: func(c *events.Contest) { c.Standing, c.RankMode, c.Points = events.BySum, events.Score, nil },
			votes:  Histogram{"A": album("x", 3, 2), "B": album("x", 7, 1)},
			want:   "1 B, 2 A",
		},
		"no votes stand below votes without points": {
			change: func(c *events.Contest) { c.Bands = []events.Band{{Name: "A"}, {Name: "C"}} },
			votes:  Histogram{"B": album("x", 9, 1)},
			want:   "1 B, 2 A, 2 C",
		},
		"the roster without any votes": {
			change: func(c *events.Contest) { c.Bands = []events.Band{{Name: "b"}, {Name: "A"}} },
			want:   "1 A, 1 b",
		},
		"another spelling of the roster is the same band": {
			change: func(c *events.Contest) { c.Bands = []events.Band{{Name: "Trébol"}} },
			votes:  Histogram{"TREBOL": album("x", 1, 1)},
			want:   "1 TREBOL",
		},
		"nothing at all": {want: ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := chart
			if test.change != nil {
				test.change(&c)
			}
			var got []string
			for _, band := range Make(c, test.votes, noon).Bands {
				got = append(got, fmt.Sprintf("%d %s", band.Place, band.Name))
			}
			if text := joined(got); text != test.want {
				t.Errorf("places are %q, want %q", text, test.want)
			}
		})
	}
}

func joined(list []string) string {
	var b bytes.Buffer
	for i, s := range list {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(s)
	}
	return b.String()
}

// Points are for whole positions of the table only; the mean is there from its
// minimum of votes on; sums and shares are of all votes; albums are of their
// band alone.
func TestFigures(t *testing.T) {
	c := events.Contest{ID: "c", RankMode: events.Position, Points: []int64{10, 5}, Standing: events.ByVotes, MeanFrom: 3}
	b := Make(c, Histogram{
		"A": {"One": {100: 1, 150: 1, 0: 1}, "Two": {200: 1}},
		"B": {"One": {300: 2}},
	}, noon)
	a, other := b.Bands[0], b.Bands[1]
	if a.Votes != 4 || a.Sum != 450 || *a.Points != 15 || *a.Mean != 1.125 || a.Share != 0.6667 {
		t.Errorf("figures are %+v, points %d, mean %v", a.Figures, *a.Points, *a.Mean)
	}
	if other.Votes != 2 || *other.Points != 0 || other.Mean != nil || other.Share != 0.3333 {
		t.Errorf("figures are %+v", other.Figures)
	}
	if len(a.Albums) != 2 || a.Albums[0].Album != "One" || a.Albums[0].Votes != 3 || *a.Albums[0].Mean != 0.8333 ||
		a.Albums[1].Mean != nil || a.Albums[0].Share != 0.5 {
		t.Errorf("albums are %+v", a.Albums)
	}
	if b.Totals != (Totals{Votes: 6, Bands: 2, Albums: 3}) {
		t.Errorf("totals are %+v", b.Totals)
	}
}

// A whole board as it is sent, held against a file.
func TestBoardGolden(t *testing.T) {
	c := events.Contest{
		ID: "rock", RankMode: events.Position, RankMax: 1000, Points: []int64{12, 10, 8}, Standing: events.ByPoints,
		TieBreak: []events.Metric{events.ByVotes, events.ByMean}, MeanFrom: 2,
		Bands: []events.Band{{Name: "Bohemia Suburbana"}, {Name: "La Tona"}, {Name: "Alux Nahual"}},
	}
	b := Make(c, Histogram{
		"Alux Nahual":       {"Alto al Fuego": {100: 5, 300: 1}, "Conquista": {200: 2}, "": {1000: 1}},
		"Bohemia Suburbana": {"Sub": {100: 3, 250: 1}, "Sombras en el Jardín": {100: 3}},
		"Fábulas":           {"Llévame al Disco": {400: 1}},
	}, noon)
	got, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "board.json", append(got, '\n'))
	var back Board
	if err := json.Unmarshal(got, &back); err != nil {
		t.Fatal(err)
	}
	if again, err := json.MarshalIndent(back, "", "  "); err != nil || !bytes.Equal(again, got) {
		t.Errorf("read back it is\n%s, %v", again, err)
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is\n%s, want\n%s", name, got, want)
	}
}

// Whatever the votes: the order is a total one that does not depend on the order
// in which the bands are met, places never fall and begin at 1, the bands' votes
// add up, and no band without votes stands above one that has some.
func TestBoardInvariants(t *testing.T) {
	metrics := []events.Metric{events.ByVotes, events.ByPoints, events.ByMean, events.BySum}
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 300 {
		c := events.Contest{
			ID: "c", RankMode: []events.RankMode{events.Position, events.Score}[round%2], Points: []int64{5, 3, 3, 1},
			Standing: metrics[random.IntN(4)], TieBreak: []events.Metric{metrics[random.IntN(4)]}, MeanFrom: random.Int64N(4) + 1,
		}
		votes := make(Histogram)
		var cast int64
		for i := range random.IntN(12) {
			name := string(rune('A' + i))
			if random.IntN(4) == 0 {
				c.Bands = append(c.Bands, events.Band{Name: name})
				continue
			}
			votes[name] = map[string]map[int32]int64{}
			for k := range random.IntN(3) + 1 {
				n := random.Int64N(4) + 1
				votes[name][fmt.Sprint(k)] = map[int32]int64{int32(random.IntN(5) * 50): n}
				cast += n
			}
		}
		b := Make(c, votes, noon)
		again := Make(c, votes, noon)
		if fmt.Sprint(names(b)) != fmt.Sprint(names(again)) {
			t.Fatalf("the order changes: %v, %v", names(b), names(again))
		}
		var sum int64
		for i, band := range b.Bands {
			sum += band.Votes
			if i == 0 {
				if band.Place != 1 {
					t.Fatalf("the first place is %d", band.Place)
				}
				continue
			}
			above := b.Bands[i-1]
			if band.Place != above.Place && band.Place != i+1 {
				t.Fatalf("place %d at %d, above it %d", band.Place, i+1, above.Place)
			}
			if above.Votes == 0 && band.Votes > 0 {
				t.Fatalf("%s without votes stands above %s", above.Name, band.Name)
			}
			for _, lower := range b.Bands[i:] {
				if compare(c, above.Figures, lower.Figures) > 0 {
					t.Fatalf("%s stands above %s, which is better", above.Name, lower.Name)
				}
			}
		}
		if sum != cast || b.Totals.Votes != cast {
			t.Fatalf("%d votes are %d on the board, %d in the totals", cast, sum, b.Totals.Votes)
		}
	}
}

func names(b Board) []string {
	var out []string
	for _, band := range b.Bands {
		out = append(out, band.Name)
	}
	return out
}

// A cut board has fewer bands and albums; the whole one, which others read, and
// the totals stay as they were.
func TestCut(t *testing.T) {
	c := events.Contest{ID: "c", Standing: events.ByVotes, MeanFrom: 1}
	whole := Make(c, Histogram{
		"A": {"1": {100: 3}, "2": {100: 2}, "3": {100: 1}}, "B": album("1", 1, 2), "C": album("1", 1, 1),
	}, noon)
	cut := whole.Cut(2, 1)
	if !slices.Equal(names(cut), []string{"A", "B"}) || len(cut.Bands[0].Albums) != 1 || cut.Bands[0].AlbumsTotal != 3 {
		t.Errorf("cut is %+v", cut)
	}
	if len(whole.Bands) != 3 || len(whole.Bands[0].Albums) != 3 || cut.Totals != whole.Totals {
		t.Errorf("the whole board is %+v", whole)
	}
}

// Hundredths are written as the shortest decimal, exactly, and read back.
func TestHundredths(t *testing.T) {
	for number, want := range map[Hundredths]string{
		0: "0", 5: "0.05", 50: "0.5", 100: "1", 1225: "12.25", 9_007_199_254_740_993_01: "9007199254740993.01",
	} {
		if got, err := json.Marshal(number); err != nil || string(got) != want {
			t.Errorf("%d is %s, %v; want %s", number, got, err, want)
		}
		var back Hundredths
		if err := json.Unmarshal([]byte(want), &back); err != nil || back != number {
			t.Errorf("%s is read as %d, %v; want %d", want, back, err, number)
		}
	}
}

// What is not a number of two decimals is not read as one.
func TestHundredthsAreRead(t *testing.T) {
	for _, text := range []string{`"1"`, "1.234", "1e3", "true", "1.x", "99999999999999999999"} {
		var h Hundredths
		if err := json.Unmarshal([]byte(text), &h); err == nil {
			t.Errorf("%s is read as %d", text, h)
		}
	}
}

// A board of 1000 bands with 5 albums of 10 ranks each is made in a few
// milliseconds.
func BenchmarkMakeBoard(b *testing.B) {
	votes := make(Histogram)
	for band := range 1000 {
		albums := make(map[string]map[int32]int64)
		for a := range 5 {
			albums[fmt.Sprint("Album ", a)] = ranks(map[int]int64{1: 3, 2: 4, 3: 1, 4: 9, 5: 2, 6: 7, 7: 1, 8: 1, 9: 5, 10: int64(band)})
		}
		votes[fmt.Sprint("Band ", band)] = albums
	}
	c := events.Contest{ID: "c", Standing: events.ByPoints, Points: []int64{12, 10, 8}, TieBreak: []events.Metric{events.ByVotes}, MeanFrom: 1}
	for b.Loop() {
		Make(c, votes, noon)
	}
}
