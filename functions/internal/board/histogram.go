package board

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"marimba/events"
)

// Histogram holds counted votes by band, album and rank in hundredths.
type Histogram map[string]map[string]map[int32]int64

// Add adds votes to what they are for, and drops what comes to nothing. It keeps
// texts of its own, not those of the box that a vote was read from.
func (h Histogram) Add(name, album string, rank int32, n int64) {
	if h[name][album] == nil {
		name, album = strings.Clone(name), strings.Clone(album)
	}
	albums := h[name]
	if albums == nil {
		albums = make(map[string]map[int32]int64)
		h[name] = albums
	}
	ranks := albums[album]
	if ranks == nil {
		ranks = make(map[int32]int64)
		albums[album] = ranks
	}
	if ranks[rank] += n; ranks[rank] != 0 {
		return
	}
	delete(ranks, rank)
	if len(ranks) == 0 {
		delete(albums, album)
	}
	if len(albums) == 0 {
		delete(h, name)
	}
}

// Votes is the number of votes that are on a board.
func (h Histogram) Votes() int64 {
	var n int64
	for _, albums := range h {
		n += votesIn(albums)
	}
	return n
}

// Differ returns an error that names the first difference between two boards, or
// nil if they are the same.
func (h Histogram) Differ(other Histogram) error {
	for _, pair := range [...][2]Histogram{{h, other}, {other, h}} {
		for band, albums := range pair[0] {
			for album, ranks := range albums {
				if !maps.Equal(ranks, pair[1][band][album]) {
					return fmt.Errorf("%s, %s: ranks %v and %v", band, album, h[band][album], other[band][album])
				}
			}
		}
	}
	return nil
}

// Less returns a board without the votes of another, whatever their spelling. What
// comes to nothing is left out, and so is what would be less than that.
func (h Histogram) Less(other Histogram) Histogram {
	type place struct {
		band, album string
		rank        int32
	}
	off := make(map[place]int64)
	for band, albums := range other {
		for album, ranks := range albums {
			for rank, n := range ranks {
				off[place{events.Fold(band), events.Fold(album), rank}] += n
			}
		}
	}
	out := make(Histogram, len(h))
	for band, albums := range h {
		for album, ranks := range albums {
			for rank, n := range ranks {
				at := place{events.Fold(band), events.Fold(album), rank}
				taken := min(n, off[at])
				off[at] -= taken
				if n > taken {
					out.Add(band, album, rank, n-taken)
				}
			}
		}
	}
	return out
}

// Folded joins the spellings of one band, and within it those of one album. Shown
// is the one with the most votes, of equal ones the first by bytes.
func (h Histogram) Folded() Histogram {
	bands := NewSpellings()
	for band, albums := range h {
		bands.Add(band, votesIn(albums))
	}
	joined := make(Histogram, len(bands.shown))
	for band, albums := range h {
		name := bands.Of(band)
		if joined[name] == nil {
			joined[name] = make(map[string]map[int32]int64)
		}
		for album, ranks := range albums {
			addRanks(joined[name], album, ranks)
		}
	}
	for band, albums := range joined {
		titles := NewSpellings()
		for album, ranks := range albums {
			titles.Add(album, votesOf(ranks))
		}
		out := make(map[string]map[int32]int64, len(titles.shown))
		for album, ranks := range albums {
			addRanks(out, titles.Of(album), ranks)
		}
		joined[band] = out
	}
	return joined
}

func addRanks(to map[string]map[int32]int64, album string, ranks map[int32]int64) {
	if to[album] == nil {
		to[album] = make(map[int32]int64, len(ranks))
	}
	for rank, n := range ranks {
		to[album][rank] += n
	}
}

func votesIn(albums map[string]map[int32]int64) int64 {
	var n int64
	for _, ranks := range albums {
		n += votesOf(ranks)
	}
	return n
}

func votesOf(ranks map[int32]int64) int64 {
	var n int64
	for _, votes := range ranks {
		n += votes
	}
	return n
}

// Spellings chooses the one that is shown of those that fold alike: the one with
// the most votes, of equal ones the first by bytes.
type Spellings struct {
	shown map[string]string // by folded form
	votes map[string]int64  // of the shown one
}

// NewSpellings returns spellings of which none is known yet.
func NewSpellings() Spellings {
	return Spellings{make(map[string]string), make(map[string]int64)}
}

// Add makes a spelling known, with its votes.
func (s Spellings) Add(text string, votes int64) {
	folded := events.Fold(text)
	was, known := s.shown[folded]
	if !known || votes > s.votes[folded] || votes == s.votes[folded] && text < was {
		s.shown[folded], s.votes[folded] = text, votes
	}
}

// Of returns the spelling that is shown for one that is known.
func (s Spellings) Of(text string) string { return s.shown[events.Fold(text)] }

// Digest is of the votes as lines of band, album, rank in hundredths and votes, with
// tabs between, sorted by bytes: what `sort` makes of them.
func (h Histogram) Digest() string {
	var lines [][]byte
	for band, albums := range h {
		for album, ranks := range albums {
			for rank, n := range ranks {
				lines = append(lines, fmt.Appendf(nil, "%s\t%s\t%d\t%d\n", band, album, rank, n))
			}
		}
	}
	slices.SortFunc(lines, bytes.Compare)
	sum := sha256.New()
	for _, line := range lines {
		sum.Write(line) //nolint:errcheck // never fails
	}
	return hex.EncodeToString(sum.Sum(nil))
}
