package journal

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Of many who give a contest its next ruling one does, and all others are told so;
// rulings of other contests have numbers of their own.
func TestRulingIsGivenOnce(t *testing.T) {
	j := open(t)
	at := time.Date(2026, 11, 24, 12, 0, 0, 123456789, time.UTC)
	var all sync.WaitGroup
	var given atomic.Int32
	for i := range 8 {
		all.Go(func() {
			err := j.Rule(t.Context(), Ruling{Contest: "rock", Number: 1, At: at, Text: fmt.Sprintf(`{"by":%d}`, i)})
			switch {
			case err == nil:
				given.Add(1)
			case !errors.Is(err, ErrRuled):
				t.Error(err)
			}
		})
	}
	all.Wait()
	if given.Load() != 1 {
		t.Errorf("%d were given", given.Load())
	}
	r, ok, err := j.Ruling(t.Context(), "rock", 1)
	if !ok || err != nil || !r.At.Equal(at.Truncate(time.Millisecond)) || !strings.HasPrefix(r.Text, `{"by":`) || r.Contest != "rock" || r.Number != 1 {
		t.Errorf("read back: %+v, %v, %v", r, ok, err)
	}
	if _, ok, err := j.Ruling(t.Context(), "rock", 2); ok || err != nil {
		t.Errorf("a second one: %v, %v", ok, err)
	}
	if err := j.Rule(t.Context(), Ruling{Contest: "jazz", Number: 1, Text: "{}"}); err != nil {
		t.Error(err)
	}
	if err := j.Rule(t.Context(), Ruling{Contest: "rock", Number: 2, Text: strings.Repeat("x", maxStatement+1)}); err == nil {
		t.Error("a ruling is taken that is too long")
	}
}

// A ruling that somebody has changed is not taken for one.
func TestRulingIsHeldToItsDigest(t *testing.T) {
	j := open(t)
	if err := j.Rule(t.Context(), Ruling{Contest: "rock", Number: 1, Text: `{"votes":1}`}); err != nil {
		t.Fatal(err)
	}
	_, err := j.annulments.UpdateOne(t.Context(), bson.D{{Key: "_id", Value: "rock/1"}}, bson.D{{Key: "$set", Value: bson.D{{Key: "text", Value: `{"votes":2}`}}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok, err := j.Ruling(t.Context(), "rock", 1); ok || err == nil || !strings.Contains(err.Error(), "was changed") {
		t.Errorf("got %v, %v", ok, err)
	}
}
