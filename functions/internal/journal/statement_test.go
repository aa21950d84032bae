package journal

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// A contest has one statement, whoever declares how often: the first stays, byte
// for byte, and who comes later is given it.
func TestStatementIsDeclaredOnce(t *testing.T) {
	j := open(t)
	if _, ok, err := j.Statement(t.Context(), "rock"); ok || err != nil {
		t.Fatalf("there is a statement: %v, %v", ok, err)
	}
	if final, err := j.Final(t.Context()); len(final) != 0 || err != nil {
		t.Fatalf("final are %v, %v", final, err)
	}
	const declaring = 8
	at := time.Date(2026, 11, 24, 12, 0, 0, 123456789, time.UTC)
	given := make([]Statement, declaring)
	var all sync.WaitGroup
	for i := range given {
		all.Go(func() {
			var err error
			if given[i], err = j.Declare(t.Context(), "rock", at, []byte(`{"titulo":"Función <`+string(rune('a'+i))+`>"}`)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	kept, ok, err := j.Statement(t.Context(), "rock")
	if !ok || err != nil {
		t.Fatalf("there is none: %v, %v", ok, err)
	}
	if !kept.At.Equal(at.Truncate(time.Millisecond)) || len(kept.Text) != len(`{"titulo":"Función <a>"}`) || kept.Digest != digestOf(kept.Text) {
		t.Errorf("kept is %+v", kept)
	}
	for _, s := range given {
		if s != kept {
			t.Errorf("one was given %+v, kept is %+v", s, kept)
		}
	}
	if _, err := j.Declare(t.Context(), "jazz", at, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	final, err := j.Final(t.Context())
	if got := slices.Sorted(maps.Keys(final)); err != nil || !slices.Equal(got, []string{"jazz", "rock"}) {
		t.Errorf("final are %v, %v", got, err)
	}
}

// A statement that somebody has changed is not taken for one, and one that
// MongoDB would not take is not begun.
func TestStatementIsHeldToItsDigest(t *testing.T) {
	j := open(t)
	if _, err := j.Declare(t.Context(), "rock", time.Now(), []byte(`{"votes":1}`)); err != nil {
		t.Fatal(err)
	}
	_, err := j.statements.UpdateOne(t.Context(), bson.D{{Key: "_id", Value: "rock"}}, bson.D{{Key: "$set", Value: bson.D{{Key: "text", Value: `{"votes":2}`}}}})
	if err != nil {
		t.Fatal(err)
	}
	if s, ok, err := j.Statement(t.Context(), "rock"); ok || err == nil || !strings.Contains(err.Error(), "was changed") {
		t.Errorf("got %+v, %v, %v", s, ok, err)
	}
	if _, err := j.Declare(t.Context(), "rock", time.Now(), []byte(`{"votes":1}`)); err == nil {
		t.Error("a changed statement is given out again")
	}
	if _, err := j.Declare(t.Context(), "long", time.Now(), make([]byte, maxStatement+1)); err == nil {
		t.Error("a statement is taken that is too long")
	}
}
