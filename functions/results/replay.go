package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
	"time"

	"marimba/events"
	"marimba/functions/internal/replay"
)

// Bounds of a replay that is asked for over HTTP.
const (
	maxReplay     = 500
	maxReplayBody = 128 << 10
	replayTimeout = 30 * time.Second
)

// replayedAnswer says what a replay did.
type replayedAnswer struct {
	replay.Replayed
	// Whole is whether it came to its end. What it did not come to is on the shelf as
	// before, and may be asked for again.
	Whole bool `json:"whole"`
}

// replayDead sends the dead letters that a request names again. It may be repeated,
// whatever became of the answer: no vote counts twice. It needs the token, which no
// browser sends by itself, so no other page can have it done.
func (r *results) replayDead(w http.ResponseWriter, req *http.Request) error {
	if err := r.access.must(req); err != nil {
		return err
	}
	ids, err := lettersNamed(w, req)
	if err != nil {
		return err
	}
	done, err := r.take(req.Context(), r.replays)
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithTimeout(req.Context(), replayTimeout)
	defer cancel()
	sent, err := replay.Send(ctx, r.journal, r.letters, replay.Choice{IDs: ids}, r.now)
	var unknown *replay.UnknownError
	switch {
	case errors.As(err, &unknown):
		return events.Refuse(events.LetterUnknown, "ids", "id", unknown.ID)
	case err != nil && sent.Sent == 0:
		return err
	case err != nil:
		slog.Warn("replay broken off", "error", err)
	}
	slog.Info("dead letters sent again", "letters", sent.Sent, "votes", sent.Votes, "named", len(ids))
	return write(w, req, forNobody, "", replayedAnswer{sent, err == nil})
}

// lettersNamed reads the ids of a request's body, {"ids": ["…"]}.
func lettersNamed(w http.ResponseWriter, req *http.Request) ([]string, error) {
	given := req.Header.Get("Content-Type")
	if kind, _, err := mime.ParseMediaType(given); err != nil || kind != "application/json" {
		return nil, events.Refuse(events.MediaTypeUnsupported, "", "type", given)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxReplayBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, events.Refuse(events.BodyTooLarge, "", "max", strconv.Itoa(maxReplayBody))
	case err != nil:
		return nil, events.Refuse(events.BodyTooSlow, "")
	}
	var asked struct {
		IDs []string `json:"ids"`
	}
	if err := json.Unmarshal(body, &asked); err != nil {
		return nil, events.Refuse(events.BodyMalformed, "", "reason", err.Error())
	}
	switch n := len(asked.IDs); {
	case n == 0:
		return nil, events.Refuse(events.FieldMissing, "ids", "field", "ids")
	case n > maxReplay:
		return nil, events.Refuse(events.FieldType, "ids", "field", "ids", "expected", "1–"+strconv.Itoa(maxReplay))
	}
	return asked.IDs, nil
}
