package main

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"marimba/events"
	"marimba/functions/internal/journal"
)

// A page's end tells nothing of the box that it is at, leads on all the same, and is
// the same in each process; no other is taken.
func TestCursorsTellNothing(t *testing.T) {
	c, again := newCursors(receiptSecret), newCursors(receiptSecret)
	for _, cursor := range []string{"", "1 2 0193a7f0-2c4e-7b1a-9d3e-5f6a7b8c9d0e/accepted", strings.Repeat("x", 600)} {
		hidden := c.hide(cursor)
		raw, _ := base64.RawURLEncoding.DecodeString(hidden)
		if cursor != "" && (strings.Contains(hidden, cursor) || strings.Contains(string(raw), cursor[:3])) {
			t.Errorf("%q is hidden as %q", cursor, raw)
		}
		if got, err := again.open(hidden); err != nil || got != cursor || again.hide(cursor) != hidden {
			t.Errorf("%q is opened as %q, %v", cursor, got, err)
		}
	}
	hidden := c.hide("1 2 box")
	for _, wrong := range []string{"x", "MSAyIGJveA", hidden[1:], hidden + "AA", newCursors("another").hide("1 2 box"), strings.Repeat("A", maxCursor+1)} {
		if got, err := c.open(wrong); err != journal.ErrCursor {
			t.Errorf("%q is opened as %q, %v", wrong, got, err)
		}
	}
	h := newHouse(t.Context())
	h.mongo.rows = rowsOf(3)
	page := read[seenPage](t, h.get(t, "/logs?limit=2&after="))
	if page.Next == nil || strings.Contains(*page.Next, "box0") {
		t.Fatalf("next is %v", page.Next)
	}
	if last := read[seenPage](t, h.get(t, "/logs?limit=2&after="+*page.Next)); len(last.Rows) != 1 || last.Next != nil {
		t.Errorf("the last page is %+v", last)
	}
	refused(t, h.get(t, "/logs?after=box0.1"), 400, events.ParameterMalformed)
}

// In public the log tells times by the minute, and is asked for by the minute: a
// receipt's number, which holds a time, does not lead to a row.
func TestPublicTimesAreCoarse(t *testing.T) {
	h := newHouse(t.Context())
	at := noon.Add(12345 * time.Millisecond)
	h.mongo.rows = rowsOf(1)
	h.mongo.rows[0].Vote.At = at
	type page struct{ Rows []struct{ At time.Time } }
	for header, want := range map[string]time.Time{"X: y": noon, bearer: at} {
		if got := read[page](t, h.get(t, "/logs?after=", header)).Rows[0].At; !got.Equal(want) {
			t.Errorf("with %s the time is %s, want %s", header, got, want)
		}
	}
	const query = "/logs?from=2026-11-24T11:00:30.5Z&to=2026-11-24T12:00:00.001Z"
	for header, want := range map[string]string{
		"X: y": fmt.Sprint(noon.Add(-time.Hour), noon.Add(time.Minute)), bearer: fmt.Sprint(noon.Add(-time.Hour+30500*time.Millisecond), noon.Add(time.Millisecond)),
	} {
		h.get(t, query, header)
		if got := fmt.Sprint(h.mongo.asked.From, h.mongo.asked.To); got != want {
			t.Errorf("with %s it is asked for %s, want %s", header, got, want)
		}
	}
	if got := read[proven](t, h.get(t, "/v1/receipts/box0.0", secretOf("box0.0"))); got.Receipt != "box0.0" {
		t.Errorf("the holder of the secret sees %+v", got)
	}
}
