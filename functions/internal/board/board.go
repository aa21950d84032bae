// Package board makes the standing of a contest from its counted votes.
package board

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"

	"marimba/events"
)

// Board is the standing of a contest at one instant.
type Board struct {
	Contest  string          `json:"contest"`
	AsOf     time.Time       `json:"as_of"`
	Standing events.Metric   `json:"standing"`
	TieBreak []events.Metric `json:"tie_break"`
	MeanFrom int64           `json:"mean_from"`
	Totals   Totals          `json:"totals"`
	Bands    []Band          `json:"bands"`
}

// Totals count what has votes, shown or not.
type Totals struct {
	Votes  int64 `json:"votes"`
	Bands  int   `json:"bands"`
	Albums int   `json:"albums"`
}

// Band is a band's line.
type Band struct {
	Place int    `json:"place"`
	Name  string `json:"name"`
	Figures
	AlbumsTotal int     `json:"albums_total"` // lines, listed here or not
	Albums      []Album `json:"albums"`

	folded string // name, to be put in order by
}

// Album is an album's line, below its band's.
type Album struct {
	Album string `json:"album"` // empty: votes that name none
	Figures

	folded string
}

// Figures are what is computed of the votes of a band or an album.
type Figures struct {
	Votes int64      `json:"votes"`
	Sum   Hundredths `json:"sum"` // of the ranks
	// Mean of the ranks; null below the contest's minimum of votes.
	Mean *float64 `json:"mean"`
	// Points are null in a contest without a table of points.
	Points *int64 `json:"points"`
	// Share of all counted votes, from 0 to 1.
	Share float64 `json:"share"`
}

// Hundredths is a number of two decimals, such as a rank.
type Hundredths int64

// MarshalJSON writes the shortest decimal, exactly.
func (h Hundredths) MarshalJSON() ([]byte, error) {
	whole, rest := int64(h)/100, int64(h)%100
	text := strconv.FormatInt(whole, 10)
	if rest != 0 {
		text += "." + strings.TrimRight(strconv.FormatInt(100+rest, 10)[1:], "0")
	}
	return []byte(text), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (h *Hundredths) UnmarshalJSON(text []byte) error {
	whole, rest, _ := strings.Cut(string(text), ".")
	n, err := strconv.ParseInt(whole+(rest + "00")[:2], 10, 64)
	if err != nil || len(rest) > 2 {
		return fmt.Errorf("%q is not a number of two decimals", text)
	}
	*h = Hundredths(n)
	return nil
}

// Make computes the board of a contest from its counted votes.
//
// Bands stand in the order of the contest's standing, then of each tie-break.
// Bands that are equal in all of these share a place and the next place is left
// out ("1224"); they are listed by folded name. A band without votes stands
// below all that have some. Where the mean decides, a band with too few votes
// for one stands below those that have one.
func Make(c events.Contest, votes Histogram, at time.Time) Board {
	b := Board{
		Contest: c.ID, AsOf: at.UTC(), Standing: c.Standing, TieBreak: c.TieBreak, MeanFrom: c.MeanFrom,
		Bands: make([]Band, 0, len(votes)+len(c.Bands)),
	}
	if b.TieBreak == nil {
		b.TieBreak = []events.Metric{}
	}
	voted := make(map[string]bool, len(votes))
	for name, albums := range votes {
		line := bandOf(c, name, albums)
		voted[line.folded] = true
		b.Totals.Votes += line.Votes
		b.Totals.Albums += len(line.Albums)
		if _, unnamed := albums[""]; unnamed {
			b.Totals.Albums--
		}
		b.Bands = append(b.Bands, line)
	}
	b.Totals.Bands = len(b.Bands)
	for _, band := range c.Bands {
		if !voted[events.Fold(band.Name)] {
			b.Bands = append(b.Bands, bandOf(c, band.Name, nil))
		}
	}
	for i := range b.Bands {
		b.Bands[i].share(b.Totals.Votes)
	}
	b.stand(c)
	return b
}

// bandOf computes a band's line, but for its place and shares.
func bandOf(c events.Contest, name string, albums map[string]map[int32]int64) Band {
	line := Band{Name: name, folded: events.Fold(name), AlbumsTotal: len(albums), Albums: make([]Album, 0, len(albums))}
	all := make(map[int32]int64)
	for album, ranks := range albums {
		line.Albums = append(line.Albums, Album{Album: album, Figures: figuresOf(c, ranks), folded: events.Fold(album)})
		for rank, n := range ranks {
			all[rank] += n
		}
	}
	line.Figures = figuresOf(c, all)
	slices.SortFunc(line.Albums, func(a, b Album) int {
		return cmp.Or(compare(c, a.Figures, b.Figures), strings.Compare(a.folded, b.folded), strings.Compare(a.Album, b.Album))
	})
	return line
}

func figuresOf(c events.Contest, ranks map[int32]int64) Figures {
	var f Figures
	var points int64
	for rank, n := range ranks {
		f.Votes += n
		f.Sum += Hundredths(int64(rank) * n)
		if place := int(rank / 100); rank%100 == 0 && place >= 1 && place <= len(c.Points) {
			points += c.Points[place-1] * n
		}
	}
	if f.Votes > 0 && f.Votes >= c.MeanFrom {
		f.Mean = new(rounded(float64(f.Sum) / 100 / float64(f.Votes)))
	}
	if len(c.Points) > 0 {
		f.Points = &points
	}
	return f
}

func (l *Band) share(of int64) {
	l.Share = shareOf(l.Votes, of)
	for i := range l.Albums {
		l.Albums[i].Share = shareOf(l.Albums[i].Votes, of)
	}
}

func shareOf(votes, of int64) float64 {
	if of == 0 {
		return 0
	}
	return rounded(float64(votes) / float64(of))
}

// rounded keeps four decimals. What is compared is not rounded.
func rounded(x float64) float64 { return math.Round(x*1e4) / 1e4 }

// stand puts the bands in order and gives them their places.
func (b *Board) stand(c events.Contest) {
	slices.SortFunc(b.Bands, func(x, y Band) int {
		return cmp.Or(compare(c, x.Figures, y.Figures), strings.Compare(x.folded, y.folded), strings.Compare(x.Name, y.Name))
	})
	for i := range b.Bands {
		b.Bands[i].Place = i + 1
		if i > 0 && compare(c, b.Bands[i-1].Figures, b.Bands[i].Figures) == 0 {
			b.Bands[i].Place = b.Bands[i-1].Place
		}
	}
}

// compare is negative if x stands above y.
func compare(c events.Contest, x, y Figures) int {
	if (x.Votes == 0) != (y.Votes == 0) {
		return cmp.Compare(min(y.Votes, 1), min(x.Votes, 1))
	}
	by := compareBy(c, c.Standing, x, y)
	for _, metric := range c.TieBreak {
		by = cmp.Or(by, compareBy(c, metric, x, y))
	}
	return by
}

func compareBy(c events.Contest, metric events.Metric, x, y Figures) int {
	switch metric {
	case events.ByPoints:
		if x.Points == nil || y.Points == nil {
			return 0
		}
		return cmp.Compare(*y.Points, *x.Points)
	case events.BySum:
		return cmp.Compare(y.Sum, x.Sum)
	case events.ByMean:
		return compareMeans(c, x, y)
	default:
		return cmp.Compare(y.Votes, x.Votes)
	}
}

// compareMeans compares exactly: x.Sum/x.Votes with y.Sum/y.Votes, without
// dividing.
func compareMeans(c events.Contest, x, y Figures) int {
	if x.Mean == nil || y.Mean == nil {
		switch {
		case x.Mean != nil:
			return -1
		case y.Mean != nil:
			return 1
		}
		return 0
	}
	xHigh, xLow := bits.Mul64(uint64(x.Sum), uint64(y.Votes))
	yHigh, yLow := bits.Mul64(uint64(y.Sum), uint64(x.Votes))
	by := cmp.Or(cmp.Compare(xHigh, yHigh), cmp.Compare(xLow, yLow))
	if c.RankMode == events.Position {
		return by
	}
	return -by
}

// ByName orders names by their folded form, and equal ones by bytes.
func ByName(a, b string) int {
	return cmp.Or(strings.Compare(events.Fold(a), events.Fold(b)), strings.Compare(a, b))
}

// Cut returns the board with the first bands only, and the first albums of
// each. The totals stay.
func (b Board) Cut(bands, albums int) Board {
	b.Bands = slices.Clone(b.Bands[:min(bands, len(b.Bands))])
	for i := range b.Bands {
		b.Bands[i].Albums = b.Bands[i].Albums[:min(albums, len(b.Bands[i].Albums))]
	}
	return b
}
