package main

import (
	"strings"
	"testing"
)

// All that is missing is told at once, and what is enough is taken.
func TestSettings(t *testing.T) {
	_, err := load(nil)
	for _, name := range []string{"MONGO_URL", "RECEIPT_SECRET", "SEAL_KEY", "SEAL_ORIGIN"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is missing, and the error is %v", name, err)
		}
	}
	s, err := load([]string{"MONGO_URL=mongodb://127.0.0.1/", "RECEIPT_SECRET=r", "SEAL_KEY=k", "SEAL_ORIGIN=votes.example.org", "PORT=9"})
	if err != nil || s.Port != 9 || s.Secret.Reveal() != "r" || s.Key.Reveal() != "k" || s.Origin != "votes.example.org" {
		t.Errorf("got %+v, %v", s, err)
	}
}
