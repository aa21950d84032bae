package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"marimba/functions/internal/board"
)

// A stated board may be cut, but never to less than this.
const (
	leastBands  = 200
	leastAlbums = 20
)

// differ returns where a board that is stated is not the one that was made of the
// votes; empty: it is.
func differ(made, stated board.Board) string {
	if made.Totals != stated.Totals {
		return fmt.Sprintf("totals are %+v, and %+v of the votes", stated.Totals, made.Totals)
	}
	if made.Standing != stated.Standing || !slices.Equal(made.TieBreak, stated.TieBreak) || made.MeanFrom != stated.MeanFrom {
		return fmt.Sprintf("it stands by %s, then %v, not by %s, then %v", stated.Standing, stated.TieBreak, made.Standing, made.TieBreak)
	}
	if made.Contest != stated.Contest || !made.AsOf.Equal(stated.AsOf) {
		return fmt.Sprintf("it is of %s at %v", stated.Contest, stated.AsOf)
	}
	if most := len(made.Bands); len(stated.Bands) > most || len(stated.Bands) < min(leastBands, most) {
		return fmt.Sprintf("it has %d bands, and %d by the votes", len(stated.Bands), most)
	}
	for i, said := range stated.Bands {
		is := made.Bands[i]
		if most := len(is.Albums); len(said.Albums) > most || len(said.Albums) < min(leastAlbums, most) {
			return fmt.Sprintf("%s has %d albums, and %d by the votes", said.Name, len(said.Albums), most)
		}
		whole := len(is.Albums)
		is.Albums = is.Albums[:len(said.Albums)]
		if !same(is, said) || said.AlbumsTotal != whole {
			return fmt.Sprintf("line %d is %s, and by the votes %s", i+1, inShort(said), inShort(is))
		}
	}
	return ""
}

// same reports whether two lines are written alike: what is computed is compared as
// it is shown.
func same(a, b board.Band) bool {
	x, err := json.Marshal(a)
	y, other := json.Marshal(b)
	return err == nil && other == nil && bytes.Equal(x, y)
}

func inShort(b board.Band) string {
	text := fmt.Sprintf("place %d, %s, %d votes", b.Place, b.Name, b.Votes)
	if b.Points != nil {
		text += fmt.Sprintf(", %d points", *b.Points)
	}
	sum, _ := b.Sum.MarshalJSON() // never fails
	return text + ", sum " + string(sum)
}
