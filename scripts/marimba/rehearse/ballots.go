package rehearse

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"marimba/events"
	"marimba/scripts/marimba/cast"
)

// made are how many bands are made up for a contest that lists none.
const made = 12

// Ballots makes votes that a contest takes and counts: for bands and albums of its
// roster, few of them with most of the votes, each by a voter of its own. Votes of
// one id are the same votes.
type Ballots struct {
	contest events.Contest
	bands   []events.Band
	years   [2]int32 // from, to
	dice    *rand.Rand
	hot     *rand.Zipf
}

// NewBallots returns votes for a contest. They are the same for the same contest.
func NewBallots(c events.Contest, now time.Time) *Ballots {
	seed := rand.NewPCG(1, 2)
	b := &Ballots{contest: c, bands: c.Bands, years: [2]int32{c.YearMin, c.YearMax}, dice: rand.New(seed)}
	if b.years[1] == 0 {
		b.years[1] = int32(now.Year())
	}
	b.years[0] = min(b.years[0], b.years[1])
	if len(b.bands) == 0 {
		for i := range made {
			b.bands = append(b.bands, events.Band{Name: fmt.Sprintf("Ensayo %d", i+1)})
		}
	}
	b.hot = rand.NewZipf(b.dice, 1.2, 1, uint64(len(b.bands)-1))
	return b
}

// Next returns the vote of a number.
func (b *Ballots) Next(number int) cast.Row {
	band := b.bands[b.hot.Uint64()]
	album := events.Album{Title: "Ensayo"}
	if len(band.Albums) > 0 {
		album = band.Albums[b.dice.IntN(len(band.Albums))]
	}
	if album.Year == 0 {
		album.Year = b.years[0] + b.dice.Int32N(b.years[1]-b.years[0]+1)
	}
	return cast.Row{File: b.contest.ID, Number: number + 1, Ballot: events.Ballot{
		Name: band.Name, Album: album.Title, Year: strconv.Itoa(int(album.Year)), Rank: b.rank(),
		ID: "r" + strconv.Itoa(number), Voter: "voter " + strconv.Itoa(number),
	}}
}

// rank is a place that earns points, or one of the first ten if none does; or any
// mark.
func (b *Ballots) rank() string {
	most := int(b.contest.RankMax / 100)
	if b.contest.RankMode == events.Score || most < 1 {
		return events.FormatRank(b.dice.Int32N(b.contest.RankMax + 1))
	}
	places := 10
	if n := len(b.contest.Points); n > 0 {
		places = n
	}
	return strconv.Itoa(1 + b.dice.IntN(min(places, most)))
}
