package journal

import (
	"testing"
	"time"
)

// What is noted first stays, also when it was noted that the key is gone.
func TestForgettingIsNotedOnce(t *testing.T) {
	j := open(t)
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	if _, ok, err := j.Forgotten(t.Context(), "rock"); ok || err != nil {
		t.Fatalf("noted: %v, %v", ok, err)
	}
	if err := j.Destroyed(t.Context(), "rock", at); err == nil {
		t.Error("the key of a contest is gone that nobody was to forget")
	}
	first := Forgetting{Contest: "rock", At: at, By: "Ana", Reason: "over", Digest: "ab"}
	for _, f := range []Forgetting{first, {Contest: "rock", At: at.Add(1), By: "Eva"}} {
		if got, err := j.Forget(t.Context(), f); err != nil || got != first {
			t.Errorf("got %+v, %v", got, err)
		}
	}
	if err := j.Destroyed(t.Context(), "rock", at.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	got, ok, err := j.Forgotten(t.Context(), "rock")
	if want := (Forgetting{"rock", at, "Ana", "over", "ab", at.Add(time.Hour)}); got != want || !ok || err != nil {
		t.Errorf("got %+v, %v, %v", got, ok, err)
	}
}
