package main

import (
	"strings"
	"testing"
)

// All that is missing is told at once, and what is enough is taken.
func TestSettings(t *testing.T) {
	_, err := load(nil)
	for _, name := range []string{"KAFKA_BROKER", "REDIS_URL", "MONGO_URL"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is missing, and the error is %v", name, err)
		}
	}
	s, err := load([]string{"KAFKA_BROKER=127.0.0.1:9092", "REDIS_URL=redis://127.0.0.1:6379", "MONGO_URL=mongodb://127.0.0.1/", "PORT=9"})
	if err != nil || s.Port != 9 || s.Database != "marimba" {
		t.Errorf("got %+v, %v", s, err)
	}
}
