package counts

import "marimba/events"

// folded joins the spellings of one band, and within it those of one album.
func (h Histogram) folded() Histogram {
	bands := newSpellings()
	for band, albums := range h {
		bands.add(band, votesIn(albums))
	}
	joined := make(Histogram, len(bands.shown))
	for band, albums := range h {
		name := bands.of(band)
		if joined[name] == nil {
			joined[name] = make(map[string]map[int32]int64)
		}
		for album, ranks := range albums {
			addRanks(joined[name], album, ranks)
		}
	}
	for band, albums := range joined {
		titles := newSpellings()
		for album, ranks := range albums {
			titles.add(album, votesOf(ranks))
		}
		out := make(map[string]map[int32]int64, len(titles.shown))
		for album, ranks := range albums {
			addRanks(out, titles.of(album), ranks)
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

// spellings chooses the one that is shown of those that fold alike.
type spellings struct {
	shown map[string]string // by folded form
	votes map[string]int64  // of the shown one
}

func newSpellings() spellings {
	return spellings{make(map[string]string), make(map[string]int64)}
}

func (s spellings) add(text string, votes int64) {
	folded := events.Fold(text)
	was, known := s.shown[folded]
	if !known || votes > s.votes[folded] || votes == s.votes[folded] && text < was {
		s.shown[folded], s.votes[folded] = text, votes
	}
}

func (s spellings) of(text string) string { return s.shown[events.Fold(text)] }
