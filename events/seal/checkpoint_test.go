package seal_test

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"marimba/events/seal"
)

const origin = "marimba.example/feria-2026"

func signer(t testing.TB, key, origin string) (note.Signer, note.Verifier) {
	t.Helper()
	seed, err := seal.Seed([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	s, err := seal.Signer(seed, origin)
	if err != nil {
		t.Fatal(err)
	}
	vkey, err := seal.VerifierKey(seed, origin)
	if err != nil {
		t.Fatal(err)
	}
	v, err := seal.Verifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	return s, v
}

// A checkpoint is opened by its own key only, unchanged, and of its own log.
func TestCheckpointsAreOfTheirKey(t *testing.T) {
	ours, verifier := signer(t, "key", origin)
	c := seal.Checkpoint{Origin: origin, Size: 7, Root: entryOf(7)}
	text, err := seal.Sign(c, ours)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := seal.Sign(c, ours); again != text {
		t.Error("signed twice, it is two texts")
	}
	if got, err := seal.Open(text, verifier); err != nil || got != c {
		t.Errorf("opened as %+v: %v", got, err)
	}
	_, stranger := signer(t, "another key", origin)
	_, sibling := signer(t, "key", "marimba.example/default")
	for _, v := range []note.Verifier{stranger, sibling} {
		if _, err := seal.Open(text, v); !errors.Is(err, seal.ErrCheckpoint) {
			t.Errorf("opened by %s: %v", v.Name(), err)
		}
	}
	for i := range text {
		forged := text[:i] + string(text[i]^1) + text[i+1:]
		if got, err := seal.Open(forged, verifier); err == nil && got != c {
			t.Errorf("byte %d changed: opened as %+v", i, got)
		}
	}
	if _, err := seal.Sign(seal.Checkpoint{Origin: "other"}, ours); err == nil {
		t.Error("another log's checkpoint was signed")
	}
}

// What a key signs is a checkpoint only if it is written as one.
func TestCheckpointsAreReadInOneForm(t *testing.T) {
	ours, verifier := signer(t, "key", origin)
	root := "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	for _, body := range []string{
		origin + "\n", origin + "\n7\n", origin + "\n7\nAAAA\n", origin + "\n07\n" + root + "\n", origin + "\n-7\n" + root + "\n", origin + "\n+7\n" + root + "\n",
		origin + "\n18446744073709551616\n" + root + "\n", origin + "\n7\n" + root[:42] + "B=\n", "other\n7\n" + root + "\n", "\n7\n" + root + "\n",
		origin + "\n7\n" + root + "\n\nx\n",
	} {
		text, err := note.Sign(&note.Note{Text: body}, ours)
		if err != nil {
			t.Fatal(err)
		}
		if c, err := seal.Open(string(text), verifier); !errors.Is(err, seal.ErrCheckpoint) {
			t.Errorf("%q is opened as %+v: %v", body, c, err)
		}
	}
	text, err := note.Sign(&note.Note{Text: origin + "\n7\n" + root + "\nan extension\n"}, ours)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := seal.Open(string(text), verifier); err != nil || c.Size != 7 {
		t.Errorf("with an extension: %+v, %v", c, err)
	}
	if _, err := seal.Open(strings.Repeat("x", 20<<10), verifier); !errors.Is(err, seal.ErrCheckpoint) {
		t.Errorf("a very long text: %v", err)
	}
}

// The other implementation reads what is signed, but for the first line, which is
// fixed there.
func TestCheckpointsAreReadElsewhere(t *testing.T) {
	for _, c := range makeVectors(t).Checkpoints {
		verifier, err := note.NewVerifier(c.Key)
		if err != nil {
			t.Fatal(err)
		}
		opened, err := note.Open([]byte(c.Text), note.VerifierList(verifier))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(opened.Text, "\n")
		tree, err := tlog.ParseTree([]byte("go.sum database tree\n" + rest))
		if err != nil || uint64(tree.N) != c.Size || seal.Hash(tree.Hash) != c.Root {
			t.Errorf("it is read as %+v: %v", tree, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	ours, verifier := signer(f, "key", origin)
	text, err := seal.Sign(seal.Checkpoint{Origin: origin, Size: 7, Root: entryOf(7)}, ours)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text, true)
	f.Add(origin+"\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", false)
	f.Add(origin+"\n18446744073709551615\n\n\n", false)
	f.Fuzz(func(t *testing.T, text string, signed bool) {
		if !signed { // what the house's own key is made to sign is read with the same care
			made, err := note.Sign(&note.Note{Text: text}, ours)
			if err != nil {
				return
			}
			text = string(made)
		}
		c, err := seal.Open(text, verifier)
		if err != nil {
			if !errors.Is(err, seal.ErrCheckpoint) {
				t.Errorf("an error of another kind: %v", err)
			}
			return
		}
		again, err := seal.Sign(c, ours)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := seal.Open(again, verifier); err != nil || back != c {
			t.Errorf("%+v is signed and opened as %+v: %v", c, back, err)
		}
	})
}
