package voter

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"marimba/config/voterkey"
	"marimba/events"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// three contests: one that is not open yet, one that is, and one that has closed.
var three = []events.Contest{{ID: "soon", OpensAt: noon.Add(time.Hour)}, {ID: "now"}, {ID: "over", ClosesAt: noon}}

// filesOf are the keys of a folder with a clock that the test moves.
func filesOf(dir string) (keys Keys, later func()) {
	at := noon
	files := NewFiles(dir)
	files.now = func() time.Time { return at }
	return Keys{Secret: "s", Files: files}, func() { at = at.Add(lookEvery) }
}

func mustKey(t *testing.T, k Keys, contest string) []byte {
	t.Helper()
	key, err := k.Key(contest, "ana")
	if err != nil || len(key) != 32 {
		t.Fatalf("key of %d bytes, %v", len(key), err)
	}
	return key
}

// A contest's own key makes other keys than the secret does, the same in each
// process; a contest without one has the secret's, for as long as the process lives.
func TestKeysOfFiles(t *testing.T) {
	dir := t.TempDir()
	if err := voterkey.Lay(dir, three[:1], true, noon); err != nil {
		t.Fatal(err)
	}
	one, later := filesOf(dir)
	two, _ := filesOf(dir)
	own, derived := mustKey(t, one, "soon"), mustKey(t, one, "now")
	if !bytes.Equal(own, mustKey(t, two, "soon")) || bytes.Equal(own, mustKey(t, Keys{Secret: "s"}, "soon")) {
		t.Error("the contest's own key is not used")
	}
	if !bytes.Equal(derived, mustKey(t, Keys{Secret: "s"}, "now")) {
		t.Error("a contest without a file has another key than before")
	}
	if err := voterkey.Lay(dir, three, true, noon); err != nil {
		t.Fatal(err)
	}
	later()
	if !bytes.Equal(derived, mustKey(t, one, "now")) {
		t.Error("voters became others while the process lived")
	}
}

// A key that was destroyed is used no more, is not made anew, and nothing of it is in
// its folder; destroying it again changes nothing.
func TestDestroy(t *testing.T) {
	dir := t.TempDir()
	if err := voterkey.Lay(dir, three, true, noon); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "over"))
	if err != nil {
		t.Fatal(err)
	}
	held, err := os.Open(filepath.Join(dir, "over")) // whoever still has the file open reads nothing of it
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	keys, later := filesOf(dir)
	mustKey(t, keys, "over")
	for range 2 {
		if err := voterkey.Destroy(dir, "over"); err != nil {
			t.Fatal(err)
		}
	}
	left := make([]byte, len(text))
	if n, _ := held.Read(left); bytes.Contains(left[:n], text[:8]) {
		t.Errorf("the file still reads %q", left)
	}
	later()
	if key, err := keys.Key("over", "ana"); err == nil || !strings.Contains(err.Error(), "is gone") {
		t.Errorf("a key of %d bytes was made, %v", len(key), err)
	}
	if err := voterkey.Lay(dir, three, true, noon); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := voterkey.Has(dir, "over"); ok || err != nil {
		t.Errorf("it has a key again: %v", err)
	}
	mustKey(t, keys, "now")
}

// What is no key is not used for one, and neither is another than before.
func TestStrangeKeyFiles(t *testing.T) {
	for say, text := range map[string]string{"empty": "", "short": "abcd", "no digits": strings.Repeat("xy", voterkey.Size), "wiped": strings.Repeat("\x00", 65)} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "now"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		keys, _ := filesOf(dir)
		if _, err := keys.Key("now", "ana"); err == nil {
			t.Errorf("%s: a key was made", say)
		}
	}
	dir := t.TempDir()
	if err := voterkey.Lay(dir, three, true, noon); err != nil {
		t.Fatal(err)
	}
	keys, later := filesOf(dir)
	mustKey(t, keys, "now")
	if err := os.WriteFile(filepath.Join(dir, "now"), []byte(voterkey.New()), 0o600); err != nil {
		t.Fatal(err)
	}
	later()
	if _, err := keys.Key("now", "ana"); err == nil || !strings.Contains(err.Error(), "another one") {
		t.Errorf("got %v", err)
	}
}
