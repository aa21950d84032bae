package main

import (
	"net/http"
)

// How much of a board is shown. In a contest of open roster a board can be
// longer than anybody reads.
const (
	boardBands     = 200
	maxBoardBands  = 5000
	maxBoardAlbums = 500
)

func (r *results) showBoard(w http.ResponseWriter, req *http.Request) error {
	full, err := r.access.given(req)
	if err != nil {
		return err
	}
	c, err := r.contestOf(req)
	if err != nil {
		return err
	}
	q := parameters(req)
	limit := q.number("limit", boardBands, 1, maxBoardBands)
	if err := q.refusal(); err != nil {
		return err
	}
	board := r.boards.public
	if full {
		board = r.boards.of
	}
	b, digest, err := board(req.Context(), c.ID)
	if err != nil {
		return err
	}
	return write(w, req, keptBy(full), digest, b.cut(limit, maxBoardAlbums))
}
