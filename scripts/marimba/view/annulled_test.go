package view

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// Annulments are shown with who had a part in them, and a change with the board
// before and after.
func TestWriteAnnulled(t *testing.T) {
	var a Annulled
	err := json.Unmarshal([]byte(`{"contest":"rock","votes":2,"in_force":[1],"cases":[
		{"number":1,"state":"in_force","votes":2,"filter":{"channel":"http","band":"Trébol","from":"2026-11-24T12:00:00Z","to":"2026-11-24T13:00:00Z"},
		 "proposed":{"by":"Ana","reason":"bots"},"approved":[{"by":"Eva"},{"by":"Luis"}]},
		{"number":4,"state":"revoked","votes":1,"filter":{"channel":"grpc"},"proposed":{"by":"Ana","reason":"test"},"approved":[],"revocation":{"by":"Rosa"},"revocation_approved":[{"by":"Eva"}]}],
		"act":{"number":3,"kind":"approve","by":"Luis","effect":{
		 "board_before":{"bands":[{"place":1,"name":"Trébol","votes":3},{"place":2,"name":"Alux","votes":2},{"place":3,"name":"Nadie","votes":1}]},
		 "board_after":{"bands":[{"place":1,"name":"Alux","votes":2},{"place":2,"name":"Trébol","votes":1},{"place":3,"name":"Nueva","votes":0}]}}}}`), &a)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	WriteAnnulled(&out, a, time.UTC)
	for _, want := range []string{
		"1 in force 2 by http, for Trébol, from 2026-11-24T12:00:00Z, until 2026-11-24T13:00:00Z bots Ana Eva, Luis – │",
		"4 revoked 1 by grpc test Ana – Rosa, Eva │", "1 Alux 2 2 2 │", "2 Trébol 1 1 3 │", "3 Nueva 0 – – │", "– Nadie – 3 1 │", "2 votes of rock are annulled.",
	} {
		if !strings.Contains(squeezed(out), want) {
			t.Errorf("without %q:\n%s", want, out.String())
		}
	}
	out.Reset()
	WriteAnnulled(&out, Annulled{Contest: "rock"}, time.UTC)
	if out.String() != "No votes of rock were ever annulled, or proposed to be.\n" {
		t.Errorf("shown is %q", out.String())
	}
}
