package main

import (
	"encoding/json"
	"testing"
	"time"
)

// A receipt is written as encoding/json writes it.
func TestReceiptAsJSON(t *testing.T) {
	for _, r := range []receipt{
		{},
		{ID: "a-1.b:2_C", Status: "accepted", Contest: "rock-gt", Receipt: "0196ccd5-7d3b-7000-8000-000000000002.499", ReceivedAt: noon},
		{ID: "é\"\\\n\u2028", Status: "accepted", Contest: "señal", Receipt: "\x00", ReceivedAt: noon.Add(123456 * time.Microsecond),
			keepsake: keepsake{Secret: "c2VjcmV0_-", Commitment: "00ff"}},
		{ID: "half", keepsake: keepsake{Commitment: "00ff"}, ReceivedAt: time.Date(2026, 11, 30, 22, 0, 0, 0, time.FixedZone("", -6*3600))},
	} {
		var want, got receipt
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		mine := r.appendJSON(nil)
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(mine, &got); err != nil {
			t.Fatalf("%s: %v", mine, err)
		}
		if got != want {
			t.Errorf("%s says %+v, %s says %+v", mine, got, text, want)
		}
	}
}
