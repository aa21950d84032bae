package seal_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"
	"testing"

	"marimba/events"
	"marimba/events/seal"
)

func mac(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

const box = "01890a5d-ac96-774b-bcce-b302099a8057"

// A secret is the same whenever and wherever it is asked for, and another for each
// vote, contest and house; also while more contests are asked for than are kept.
func TestSecretsFollowFromReceipts(t *testing.T) {
	secrets := seal.NewSecrets([]byte("house"))
	seen := make(map[seal.Secret]string)
	for _, house := range []*seal.Secrets{secrets, seal.NewSecrets([]byte("other"))} {
		for c := range 1100 {
			contest := fmt.Sprintf("c%d", c)
			for i := range 2 {
				what := fmt.Sprintf("%p %s %d", house, contest, i)
				secret := house.Of(contest, events.Receipt(box, i))
				if was := seen[secret]; was != "" {
					t.Fatalf("%s has the secret of %s", what, was)
				}
				seen[secret] = what
			}
		}
	}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for c := range 1100 {
				contest := fmt.Sprintf("c%d", c)
				want := mac(mac([]byte("house"), contest), events.Receipt(box, 7))[:16]
				if got := secrets.Of(contest, events.Receipt(box, 7)); !got.Equal(seal.Secret(want)) {
					t.Errorf("contest %s: another secret", contest)
				}
			}
		})
	}
	group.Wait()
}

func TestSecretsAreReadInOneForm(t *testing.T) {
	secret := seal.NewSecrets([]byte("house")).Of("default", box+".0")
	text := secret.String()
	if back, ok := seal.ParseSecret(text); !ok || back != secret {
		t.Errorf("%q is not read", text)
	}
	for _, bad := range []string{
		"", text[:21], text + "A", text + "==", " " + text[1:], text[:21] + "\n", text[:10] + "\n" + text[11:], text[:21] + "_",
		strings.Repeat("+", 22), strings.Repeat("A", 21) + "B", strings.Repeat("é", 11),
	} {
		if _, ok := seal.ParseSecret(bad); ok {
			t.Errorf("%q is read", bad)
		}
	}
}

func FuzzParseSecret(f *testing.F) {
	f.Add("AAAAAAAAAAAAAAAAAAAAAA")
	f.Add("AAAAAAAAAAAAAAAAAAAAAB")
	f.Add("_-_-_-_-_-_-_-_-_-_-_w")
	f.Fuzz(func(t *testing.T, text string) {
		if secret, ok := seal.ParseSecret(text); ok && secret.String() != text {
			t.Errorf("%q is read as %q", text, secret.String())
		}
	})
}

// What a vote costs whoever answers with its secret, and whoever seals it.
func BenchmarkCommit(b *testing.B) {
	secrets := seal.NewSecrets([]byte("house"))
	vote := events.Vote{Name: "Bohemia Suburbana", Album: "Sombras en el jardín", Year: 1993, Rank: 100}
	receipt := events.Receipt(box, 17)
	b.ReportAllocs()
	for b.Loop() {
		seal.OpeningOf("default", events.ByHTTP, &vote).Commit(secrets.Of("default", receipt).Salt())
	}
}
