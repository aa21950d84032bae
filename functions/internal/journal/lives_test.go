package journal_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"testing"
	"time"

	"marimba/events"
	"marimba/functions/internal/journal"
	"marimba/functions/internal/journal/journaltest"
)

// log is what tally and the menders know of a log.
type log interface {
	Append(ctx context.Context, e journal.Entry) (string, error)
	Replace(ctx context.Context, e journal.Entry, void string) (string, error)
	Stands(ctx context.Context, contest, id, attempt string) (bool, error)
	Begin(ctx context.Context, l journal.Life, stands []journal.Mark) error
	Latest(ctx context.Context, contest string) (int64, error)
	Lives(ctx context.Context, contest string) ([]journal.Life, error)
	Entries(ctx context.Context, contest string) iter.Seq2[journal.Entry, error]
	EntriesOf(ctx context.Context, ids []string) iter.Seq2[journal.Entry, error]
	Held(ctx context.Context, id string) (journal.Entry, error)
	IDs(ctx context.Context, contest string) iter.Seq2[string, error]
	Contests(ctx context.Context) ([]string, error)
}

// onEach runs a test on the log, and on the one in memory that other tests use.
func onEach(t *testing.T, test func(t *testing.T, l log)) {
	t.Run("journal", func(t *testing.T) { test(t, journal.OpenForTest(t)) })
	t.Run("journaltest", func(t *testing.T) { test(t, journaltest.New()) })
}

func entry(contest, id, attempt string) journal.Entry {
	e := journal.EntryOf(id, contest, events.Vote{Name: "La Tona", Year: 2001})
	e.Attempt = attempt
	return e
}

func appended(t *testing.T, l log, e journal.Entry) string {
	t.Helper()
	attempt, err := l.Append(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return attempt
}

func begin(t *testing.T, l log, contest string, number int64, stands ...string) {
	t.Helper()
	var marks []journal.Mark
	for _, id := range stands {
		marks = append(marks, journal.MarkOf(id+"/accepted"))
	}
	life := journal.Life{Contest: contest, Number: number, At: time.UnixMilli(1_764_000_000_000).UTC(), Cause: "why", Found: "what", Boxes: number, Votes: 2 * number}
	if err := l.Begin(t.Context(), life, marks); err != nil {
		t.Fatal(err)
	}
}

// attempts returns the attempts of entries by their boxes.
func attempts(t *testing.T, entries iter.Seq2[journal.Entry, error]) map[string]string {
	t.Helper()
	out := make(map[string]string)
	for e, err := range entries {
		if err != nil {
			t.Fatal(err)
		}
		if out[e.Box.ID] != "" {
			t.Errorf("%s is there twice", e.ID)
		}
		out[e.Box.ID] = e.Attempt
	}
	return out
}

// Of the entries of a life that has ended those stand which the next life began
// with, for ever; of the life that goes on all do. Void ones are not read, and
// can be replaced.
func TestLives(t *testing.T) {
	onEach(t, func(t *testing.T, l log) {
		ctx := t.Context()
		if latest, err := l.Latest(ctx, "rock"); err != nil || latest != 0 {
			t.Errorf("before the first life: %d, %v", latest, err)
		}
		appended(t, l, entry("rock", "ancient", "no life"))
		appended(t, l, entry("rock", "ancient-void", "no,life"))
		begin(t, l, "rock", 1, "ancient")
		appended(t, l, entry("rock", "first", "1:a,b"))
		appended(t, l, entry("jazz", "other", "1:j"))
		begin(t, l, "jazz", 1)
		begin(t, l, "rock", 2, "first")
		appended(t, l, entry("rock", "late", "1:c"))
		appended(t, l, entry("rock", "second", "2:d"))

		// One that is void is held until it is replaced.
		for id, attempt := range map[string]string{"first": "1:a,b", "late": "1:c"} {
			held, err := l.Held(ctx, id+"/accepted")
			if want := entry("rock", id, attempt); err != nil || held.Attempt != attempt || held.Box.ID != id || !reflect.DeepEqual(held.States, want.States) {
				t.Errorf("held of %s is %+v, %v", id, held, err)
			}
		}
		if held, err := l.Held(ctx, "nothing/accepted"); err == nil {
			t.Errorf("held of nothing is %+v", held)
		}
		want := map[string]string{"ancient": "no life", "first": "1:a,b", "second": "2:d"}
		if got := attempts(t, l.Entries(ctx, "rock")); !reflect.DeepEqual(got, want) {
			t.Errorf("entries are %v, want %v", got, want)
		}
		want["other"] = "1:j"
		if got := attempts(t, l.Entries(ctx, "")); !reflect.DeepEqual(got, want) {
			t.Errorf("all entries are %v, want %v", got, want)
		}
		if got := attempts(t, l.EntriesOf(ctx, []string{"late/accepted", "first/accepted", "nothing/accepted"})); !reflect.DeepEqual(got, map[string]string{"first": "1:a,b"}) {
			t.Errorf("entries of ids are %v", got)
		}
		var ids []string
		for id, err := range l.IDs(ctx, "rock") {
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
		slices.Sort(ids)
		if want := []string{"ancient-void/accepted", "ancient/accepted", "first/accepted", "late/accepted", "second/accepted"}; !slices.Equal(ids, want) {
			t.Errorf("ids are %v, want %v", ids, want)
		}
		for box, of := range map[string]struct {
			attempt string
			stands  bool
		}{
			"ancient": {"no life", true}, "ancient-void": {"no,life", false}, "first": {"1:a,b", true}, "late": {"1:c", false},
		} {
			for range 2 { // read, and remembered
				if got, err := l.Stands(ctx, "rock", box+"/accepted", of.attempt); err != nil || got != of.stands {
					t.Errorf("%s stands: %v, %v", box, got, err)
				}
			}
		}
		if _, err := l.Stands(ctx, "rock", "second/accepted", "2:d"); err == nil {
			t.Error("an entry of the life that goes on was asked for, and no error")
		}

		// A later life changes nothing of it.
		if attempt, err := l.Replace(ctx, entry("rock", "late", "2:e"), "1:c"); err != nil || attempt != "2:e" {
			t.Errorf("replaced: %q, %v", attempt, err)
		}
		if attempt, err := l.Replace(ctx, entry("rock", "late", "2:f"), "1:c"); err != nil || attempt != "2:e" {
			t.Errorf("replaced before: %q, %v", attempt, err)
		}
		begin(t, l, "rock", 3, "late", "second")
		want = map[string]string{"ancient": "no life", "first": "1:a,b", "late": "2:e", "second": "2:d"}
		if got := attempts(t, l.Entries(ctx, "rock")); !reflect.DeepEqual(got, want) {
			t.Errorf("entries are %v, want %v", got, want)
		}
		if latest, err := l.Latest(ctx, "rock"); err != nil || latest != 3 {
			t.Errorf("latest is %d, %v", latest, err)
		}
		if contests, err := l.Contests(ctx); err != nil || !slices.Equal(contests, []string{"jazz", "rock"}) {
			t.Errorf("contests are %v, %v", contests, err)
		}
	})
}

// A life begins once: who comes second changes nothing of it.
func TestLifeBeginsOnce(t *testing.T) {
	onEach(t, func(t *testing.T, l log) {
		ctx := t.Context()
		appended(t, l, entry("rock", "a", "0:a"))
		appended(t, l, entry("rock", "b", "0:b"))
		begin(t, l, "rock", 1, "a")
		err := l.Begin(ctx, journal.Life{Contest: "rock", Number: 1, Cause: "second"}, []journal.Mark{journal.MarkOf("b/accepted")})
		if !errors.Is(err, journal.ErrBegun) {
			t.Errorf("a second time: %v", err)
		}
		if got := attempts(t, l.Entries(ctx, "rock")); len(got) != 1 || got["a"] == "" {
			t.Errorf("entries are %v", got)
		}
		lives, err := l.Lives(ctx, "rock")
		want := []journal.Life{{Contest: "rock", Number: 1, At: time.UnixMilli(1_764_000_000_000).UTC(), Cause: "why", Found: "what", Boxes: 1, Votes: 2}}
		if err == nil {
			for i := range lives {
				lives[i].At = lives[i].At.UTC()
			}
		}
		if err != nil || !reflect.DeepEqual(lives, want) {
			t.Errorf("lives are %+v, %v, want %+v", lives, err, want)
		}
	})
}

// However many boxes a life begins with, all are known.
func TestLifeOfManyBoxes(t *testing.T) {
	onEach(t, func(t *testing.T, l log) {
		const many = 2*journal.MarksAtOnce + 7
		ids := make([]string, many)
		for i := range ids {
			ids[i] = fmt.Sprint("box-", i)
		}
		begin(t, l, "rock", 1, append(ids, ids[:9]...)...) // some twice
		for _, i := range []int{0, 1, 9, many / 2, many - 1} {
			if stands, err := l.Stands(t.Context(), "rock", ids[i]+"/accepted", ""); err != nil || !stands {
				t.Errorf("%s: %v, %v", ids[i], stands, err)
			}
		}
		if stands, err := l.Stands(t.Context(), "rock", "box-none/accepted", ""); err != nil || stands {
			t.Errorf("none of them: %v, %v", stands, err)
		}
	})
}

// An attempt tells its life; one of the time before there were lives has none.
func TestLifeOf(t *testing.T) {
	for attempt, want := range map[string]int64{"1:a": 1, "42:a,b": 42, "": 0, "a,b": 0, "a:b": 0, "7": 0} {
		if got := journal.LifeOf(attempt); got != want {
			t.Errorf("%q is of life %d, want %d", attempt, got, want)
		}
	}
}
