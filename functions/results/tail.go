package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// Bounds of the live tail of the log. It is read from Redis, once for all who look
// at it.
const (
	tailEvery = 500 * time.Millisecond // at most
	tailRows  = 25
)

// streamLog sends the newest votes whenever there are newer ones, as server-sent
// events: of one contest, or of all.
func (r *results) streamLog(w http.ResponseWriter, req *http.Request) error {
	q := parameters(req)
	contest := q.text("contest")
	if err := q.refusal(); err != nil {
		return err
	}
	if contest != "" {
		if _, err := r.contest(contest); err != nil {
			return err
		}
	}
	return r.tails.follow(w, req, contest, "votes")
}

// tail returns the newest votes for their live stream. A reader who finds none in
// it that it has seen knows that it missed some.
func (r *results) tail(ctx context.Context, contest string) (frame, error) {
	page, err := r.newestPage(ctx, contest, tailRows)
	if err != nil {
		return frame{}, err
	}
	text, err := json.Marshal(struct {
		Rows []row `json:"rows"`
	}{page.Rows})
	if err != nil {
		return frame{}, fmt.Errorf("write newest votes: %w", err)
	}
	return frame{digestOf(text), text}, nil
}
