package voterkey

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"marimba/events"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// three contests: one that is not open yet, one that is, and one that has closed.
var three = []events.Contest{{ID: "soon", OpensAt: noon.Add(time.Hour)}, {ID: "now"}, {ID: "over", ClosesAt: noon}}

// A new house gives each contest a key of its own, which stays; a house that has
// votes gives one only to contests that nobody can have voted in.
func TestLay(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	if err := Lay(dir, three, false, noon); err != nil {
		t.Fatal(err)
	}
	for contest, want := range map[string]bool{"soon": true, "now": false, "over": false} {
		if _, ok, err := Has(dir, contest); ok != want || err != nil {
			t.Errorf("%s has a key: %v, %v", contest, ok, err)
		}
	}
	was, _, _ := Has(dir, "soon")
	if err := Lay(dir, three, true, noon); err != nil {
		t.Fatal(err)
	}
	if is, _, _ := Has(dir, "soon"); is != was {
		t.Error("a key was replaced")
	}
	if _, ok, err := Has(dir, "now"); !ok || err != nil {
		t.Errorf("a new house has no key for a contest that is open: %v", err)
	}
	if info, err := os.Stat(filepath.Join(dir, "now")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file is %v, %v", info.Mode(), err)
	}
	if names, _ := filepath.Glob(filepath.Join(dir, ".*")); len(names) != 0 {
		t.Errorf("left behind: %v", names)
	}
}
