package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"marimba/events"
	"marimba/functions/internal/counts"
)

// cast puts a vote before the newest.
func (r *redisTwin) cast(receipt, contest string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := counts.Recent{Receipt: receipt, Contest: contest, Channel: events.ByHTTP, State: events.Counted, Vote: events.Vote{Name: "Trébol", At: noon}}
	r.newest = append([]counts.Recent{v}, r.newest...)
}

// The live tail has the newest votes, again whenever there are newer ones, of one
// contest or of all, without what is private; and MongoDB is asked nothing.
func TestTailOfTheLog(t *testing.T) {
	h := newHouse(t.Context())
	h.tails.every, h.tails.beat = time.Millisecond, time.Hour
	h.mongo.away = errAway
	for i := range tailRows + 5 {
		h.redis.cast(fmt.Sprint("r.", i), "rock")
	}
	server := welcome(t, h)
	follow := func(query string) func() []seenRow {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/logs/stream"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { answer.Body.Close() })
		l := live{bufio.NewReader(answer.Body), nil}
		l.block(t)
		return func() []seenRow {
			t.Helper()
			lines := strings.Split(l.block(t), "\n")
			if len(lines) != 3 || lines[1] != "event: votes" {
				t.Fatalf("event is %q", lines)
			}
			var page seenPage
			if err := json.Unmarshal([]byte(strings.TrimPrefix(lines[2], "data: ")), &page); err != nil {
				t.Fatal(err)
			}
			return page.Rows
		}
	}
	rock, all := follow("?contest=rock"), follow("")
	if rows := rock(); len(rows) != tailRows || rows[0].Key != keyOf("rock", fmt.Sprint("r.", tailRows+4)) || rows[0].ID != nil {
		t.Errorf("rows are %+v", rows)
	}
	all()
	h.redis.cast("d.0", "default")
	if rows := all(); rows[0].Key != keyOf("default", "d.0") {
		t.Errorf("of all contests the newest is %+v", rows[0])
	}
	h.redis.cast("r.new", "rock")
	if rows := rock(); rows[0].Key != keyOf("rock", "r.new") || rows[1].Key != keyOf("rock", fmt.Sprint("r.", tailRows+4)) {
		t.Errorf("of one contest the newest are %+v", rows[:2])
	}
}
