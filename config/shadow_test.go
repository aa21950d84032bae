package config

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"marimba/events"
)

// The shadow of each contest that is built in, and of one that was amended and has
// closed, has the rules of its contest, is open, and closes when it is told to.
func TestShadow(t *testing.T) {
	closes := time.Date(2026, 11, 25, 20, 0, 0, 5e8, time.UTC)
	amended := "id: show\ntitle: {es: Función, en: " + strings.Repeat("Show", 40) + "}\nopens_at: 2026-11-20T10:00:00Z\ncloses_at: 2026-11-20T11:00:00Z\n" +
		"amendments:\n  - {at: 2026-11-20T10:30:00Z, by: Ana, closes_at: 2026-11-20T12:00:00Z, reason: Llueve}\n" +
		"open_roster: true\nrank_mode: score\nrank_max: 10\n"
	texts := map[string]string{"show": amended}
	for _, id := range []string{"default", "rock-gt"} {
		text, err := contestFiles.ReadFile("contests/" + id + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		texts[id] = string(text)
	}
	for id, text := range texts {
		of, err := readContest(id+".yaml", id, []byte(text), true)
		if err != nil {
			t.Fatal(err)
		}
		shadow := ShadowID(id, closes)
		made, err := Shadow(id, []byte(text), shadow, closes)
		if err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		dir := t.TempDir()
		if err := WriteContest(filepath.Join(dir, shadow+".yaml"), made); err != nil {
			t.Fatal(err)
		}
		roll, err := Contests{Dir: dir}.Load()
		if err != nil {
			t.Fatalf("%s: %v\n%s", id, err, made)
		}
		c, ok := roll.Contest(shadow)
		if !ok || c.PhaseAt(closes.Add(-time.Minute)) != events.Open || !c.ClosesAt.Equal(closes.Truncate(time.Second)) {
			t.Errorf("%s: %v, from %s to %s", id, ok, c.OpensAt, c.ClosesAt)
		}
		if !strings.HasPrefix(c.Title["es"], "Ensayo: ") || !strings.HasPrefix(c.Title["en"], "Rehearsal: ") {
			t.Errorf("%s: titles %v", id, c.Title)
		}
		c.ID, c.Title, c.Revision = of.ID, of.Title, of.Revision
		c.OpensAt, c.ClosesAt, c.Amendments = of.OpensAt, of.ClosesAt, of.Amendments
		if !reflect.DeepEqual(c, of) {
			t.Errorf("%s: the shadow is\n%+v\nwant\n%+v", id, c, of)
		}
	}
}

// A contest whose file has a fault has no shadow, and says why.
func TestShadowOfFault(t *testing.T) {
	if _, err := Shadow("show", []byte("id: show\n"), "rehearsal-show", time.Now()); err == nil || !strings.Contains(err.Error(), "show.yaml") {
		t.Error(err)
	}
}

// The id of a shadow is one that a contest may have, however long its contest's is.
func TestShadowID(t *testing.T) {
	at := time.Date(2026, 11, 25, 12, 4, 5, 0, time.FixedZone("", -6*3600))
	for contest, want := range map[string]string{
		"rock-gt":                              "rehearsal-rock-gt-20261125-180405",
		strings.Repeat("a", 63):                "rehearsal-" + strings.Repeat("a", 37) + "-20261125-180405",
		strings.Repeat("a", 36) + "-" + "bbbb": "rehearsal-" + strings.Repeat("a", 36) + "-20261125-180405",
	} {
		got := ShadowID(contest, at)
		if got != want || !events.IsContestID(got) {
			t.Errorf("%s: %s (%d), want %s", contest, got, len(got), want)
		}
	}
}
