package main

import (
	"strings"
	"testing"
)

// What is missing is told, and what is enough is taken.
func TestSettings(t *testing.T) {
	if _, err := load(nil); err == nil || !strings.Contains(err.Error(), "MONGO_URL") {
		t.Errorf("MONGO_URL is missing, and the error is %v", err)
	}
	s, err := load([]string{"MONGO_URL=mongodb://127.0.0.1/", "PORT=9"})
	if err != nil || s.Port != 9 || s.Database != "marimba" {
		t.Errorf("got %+v, %v", s, err)
	}
}
