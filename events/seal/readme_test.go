package seal

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"marimba/events"
)

// The commands of README.md, which check a receipt by hand, come to the commitment
// and the root that are right, wherever the leaf is.
func TestReceiptByHand(t *testing.T) {
	if exec.Command("bash", "-c", "printf 00 | basenc --base16 -d && ((${BASH_VERSINFO[0]} > 3))").Run() != nil {
		t.Skip("bash 4 and coreutils' basenc are not here")
	}
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```bash\n(.*?)```").FindSubmatch(text)
	if block == nil {
		t.Fatal("README.md has no commands")
	}
	script := string(block[1])
	given, commands, ok := strings.Cut(script, "\n\n")
	if !ok {
		t.Fatal("the commands have no part with what is given")
	}
	secrets := NewSecrets([]byte("receipt-secret-for-tests"))
	run := func(given string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), "bash", "-euc", given+"\n"+commands).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
	said := func(entry, root Hash) string {
		return fmt.Sprintf("commitment %s, root %s", entry, base64.StdEncoding.EncodeToString(root[:]))
	}

	// As it stands there: the first of the golden votes, alone in its tree.
	vote := Opening{Contest: "default", Channel: events.ByHTTP, Name: "Bohemia Suburbana", Album: "Sombras en el jardín", Year: 1993, Rank: 100}
	secret := secrets.Of("default", "01890a5d-ac96-774b-bcce-b302099a8057.0")
	entry := vote.Commit(secret.Salt())
	if got := run(given); got != said(entry, LeafHash(entry)) {
		t.Errorf("as it stands it says\n%s", got)
	}

	for _, at := range []struct{ index, size uint64 }{{0, 2}, {1, 2}, {2, 3}, {4, 7}, {6, 7}, {255, 256}, {256, 257}, {300, 700}} {
		kept := make(held)
		tree := NewTree(kept.keep)
		for i := range at.size {
			if i == at.index {
				tree.Append(entry)
			} else {
				tree.Append(LeafHash(Hash{byte(i), byte(i >> 8)}))
			}
		}
		for _, tile := range tree.Edge() {
			kept.keep(tile)
		}
		hashes, err := Inclusion(at.size, at.index, kept)
		if err != nil {
			t.Fatal(err)
		}
		list := strings.Trim(fmt.Sprint(hashes), "[]")
		values := fmt.Sprintf("secret=%s\ncontest=default channel=http name='Bohemia Suburbana' album='Sombras en el jardín' year=1993 rank=100\nindex=%d size=%d hashes=(%s)",
			secret, at.index, at.size, list)
		if got := run(values); got != said(entry, tree.Root()) {
			t.Errorf("leaf %d of %d: it says\n%s, want\n%s", at.index, at.size, got, said(entry, tree.Root()))
		}
	}
}

// held is a tree's tiles.
type held map[[2]uint64][]byte

func (h held) keep(tile Tile) { h[[2]uint64{uint64(tile.Level + 1), tile.Index}] = tile.Data }

func (h held) Tile(level int, index uint64, width int) ([]byte, error) {
	data := h[[2]uint64{uint64(level + 1), index}]
	if len(data) < width*HashSize {
		return nil, ErrTile
	}
	return data[:width*HashSize], nil
}
