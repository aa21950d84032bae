package config

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// The text of a contest's file is what its revision is the digest of, and makes
// the same contest again; built in or in a folder.
func TestTextOfAContest(t *testing.T) {
	dir := t.TempDir()
	if err := LayContests(dir); err != nil {
		t.Fatal(err)
	}
	for _, contests := range []Contests{{}, {Dir: dir}} {
		roll, err := contests.Load()
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range roll.IDs() {
			text, err := contests.Text(id)
			if err != nil {
				t.Fatal(err)
			}
			want, _ := roll.Contest(id)
			got, err := ReadContest(id, text)
			if err != nil || got.Revision != want.Revision || revision(text) != want.Revision || !sameContest(got, want) {
				t.Errorf("%s in %q: its text makes another contest, %v", id, contests.Dir, err)
			}
		}
	}
}

// No id leads out of the folder, and no text is read beyond its bound.
func TestTextIsBounded(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "big.yaml"), bytes.Repeat([]byte("#"), maxContestFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"../big", "nowhere", "big", ""} {
		if text, err := (Contests{Dir: dir}).Text(id); err == nil {
			t.Errorf("%q has a text of %d bytes", id, len(text))
		}
	}
	if _, err := ReadContest("big", bytes.Repeat([]byte("#"), maxContestFile+1)); err == nil {
		t.Error("a text that is too long is read")
	}
	if _, err := ReadContest("other", []byte("contest: rock\n")); err == nil {
		t.Error("a contest of another id is read")
	}
}
