package seal_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"os"
	"strconv"
	"testing"

	"marimba/events"
	"marimba/events/seal"
)

var update = flag.Bool("update", false, "write testdata/vectors.json anew")

const vectorsFile = "testdata/vectors.json"

// vectors are what the house's other languages are held against: the page that
// checks a receipt reads this file in its tests too.
type vectors struct {
	About         string              `json:"about"`
	ReceiptSecret string              `json:"receipt_secret"`
	SealKey       string              `json:"seal_key"`
	Votes         []voteVector        `json:"votes"`
	Roots         []rootVector        `json:"roots"`
	Inclusion     []inclusionVector   `json:"inclusion"`
	Consistency   []consistencyVector `json:"consistency"`
	Checkpoints   []checkpointVector  `json:"checkpoints"`
	Paths         []pathVector        `json:"paths"`
}

type voteVector struct {
	Contest    string         `json:"contest"`
	Receipt    string         `json:"receipt"`
	Channel    events.Channel `json:"channel"`
	Name       string         `json:"name"`
	Album      string         `json:"album"`
	Year       int32          `json:"year"`
	Rank       int32          `json:"rank"`
	Secret     string         `json:"secret"`
	Salt       string         `json:"salt"`
	Opening    string         `json:"opening"`
	Commitment seal.Hash      `json:"commitment"`
	Leaf       seal.Hash      `json:"leaf"`
}

type rootVector struct {
	Size uint64    `json:"size"`
	Root seal.Hash `json:"root"`
}

type inclusionVector struct {
	Size   uint64      `json:"size"`
	Index  uint64      `json:"index"`
	Entry  seal.Hash   `json:"entry"`
	Hashes []seal.Hash `json:"hashes"`
}

type consistencyVector struct {
	From   uint64      `json:"from"`
	To     uint64      `json:"to"`
	Hashes []seal.Hash `json:"hashes"`
}

type checkpointVector struct {
	Origin string    `json:"origin"`
	Size   uint64    `json:"size"`
	Root   seal.Hash `json:"root"`
	Key    string    `json:"key"`
	Text   string    `json:"text"`
}

type pathVector struct {
	Level int    `json:"level"`
	Index uint64 `json:"index"`
	Width int    `json:"width"`
	Path  string `json:"path"`
}

const vectorsAbout = "Golden vectors of marimba.vote/v1. The trees' entry n is SHA-256 of n in decimal digits. " +
	"Secrets and salts are base64url, hashes hex, ranks hundredths. Made by go test ./events/seal -update."

// entryOf is entry n of the trees that tests grow.
func entryOf(n uint64) seal.Hash { return sha256.Sum256(strconv.AppendUint(nil, n, 10)) }

func makeVectors(t *testing.T) vectors {
	t.Helper()
	v := vectors{About: vectorsAbout, ReceiptSecret: "receipt-secret-for-tests", SealKey: "seal-key-for-tests"}
	secrets := seal.NewSecrets([]byte(v.ReceiptSecret))
	for i, o := range []seal.Opening{
		{Contest: "default", Channel: events.ByHTTP, Name: "Bohemia Suburbana", Album: "Sombras en el jardín", Year: 1993, Rank: 100},
		{Contest: "default", Channel: events.ByGRPC, Name: "Alux Nahual", Album: "", Year: 1987, Rank: 950},
		{Contest: "feria-2026", Channel: events.ByEvent, Name: "Ñandú “Eléctrico” 🎸", Album: "Trébol", Year: 9999, Rank: events.MaxRank},
		{Contest: "feria-2026", Channel: events.ByWasm, Name: "A", Album: "B", Year: 1, Rank: 0},
	} {
		receipt := events.Receipt("01890a5d-ac96-774b-bcce-b302099a8057", i*166)
		secret := secrets.Of(o.Contest, receipt)
		commitment := o.Commit(secret.Salt())
		v.Votes = append(v.Votes, voteVector{
			o.Contest, receipt, o.Channel, o.Name, o.Album, o.Year, o.Rank,
			secret.String(), secret.Salt().String(), string(o.Text()), commitment, seal.LeafHash(commitment),
		})
	}
	log := newShelf()
	want := map[uint64]bool{0: true, 1: true, 2: true, 3: true, 7: true, 8: true, 255: true, 256: true, 257: true, 1000: true, 70_000: true}
	roots := make(map[uint64]seal.Hash)
	for n := uint64(0); n <= 70_000; n++ {
		if want[n] {
			roots[n] = log.tree.Root()
			v.Roots = append(v.Roots, rootVector{n, roots[n]})
		}
		log.append(entryOf(n))
	}
	for _, p := range [][2]uint64{{1, 0}, {2, 1}, {3, 2}, {7, 3}, {8, 0}, {257, 256}, {1000, 0}, {1000, 511}, {1000, 999}, {70_000, 65_535}, {70_000, 65_536}, {70_000, 69_999}} {
		hashes, err := seal.Inclusion(p[0], p[1], log)
		if err != nil {
			t.Fatal(err)
		}
		v.Inclusion = append(v.Inclusion, inclusionVector{p[0], p[1], entryOf(p[1]), hashes})
	}
	for _, p := range [][2]uint64{{1, 2}, {3, 7}, {7, 8}, {8, 8}, {255, 257}, {256, 1000}, {1000, 70_000}} {
		hashes, err := seal.Consistency(p[0], p[1], log)
		if err != nil {
			t.Fatal(err)
		}
		v.Consistency = append(v.Consistency, consistencyVector{p[0], p[1], hashes})
	}
	seed, err := seal.Seed([]byte(v.SealKey))
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []uint64{1, 1000, 70_000} {
		c := seal.Checkpoint{Origin: seal.Origin("marimba.example", "feria-2026"), Size: size, Root: roots[size]}
		signer, err := seal.Signer(seed, c.Origin)
		if err != nil {
			t.Fatal(err)
		}
		text, err := seal.Sign(c, signer)
		if err != nil {
			t.Fatal(err)
		}
		key, err := seal.VerifierKey(seed, c.Origin)
		if err != nil {
			t.Fatal(err)
		}
		v.Checkpoints = append(v.Checkpoints, checkpointVector{c.Origin, c.Size, c.Root, key, text})
	}
	for _, name := range []seal.TileName{
		{Level: 0, Index: 0, Width: 1}, {Level: 0, Index: 5, Width: 256}, {Level: 0, Index: 999, Width: 256}, {Level: 1, Index: 1000, Width: 17},
		{Level: 0, Index: 1_234_067, Width: 256}, {Level: 0, Index: 1_000_000_000, Width: 256}, {Level: seal.Entries, Index: 1000, Width: 256}, {Level: seal.Entries, Index: 0, Width: 255},
	} {
		v.Paths = append(v.Paths, pathVector{name.Level, name.Index, name.Width, name.Path()})
	}
	return v
}

// What the formats say is the same as it ever was: a log that was published once
// is checked by what was written then.
func TestVectorsStand(t *testing.T) {
	got, err := json.MarshalIndent(makeVectors(t), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile(vectorsFile, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("%s is not what the package makes now; if the formats were meant to change, run with -update", vectorsFile)
	}
}

// The vectors' own proofs and checkpoints are good ones.
func TestVectorsVerify(t *testing.T) {
	v := makeVectors(t)
	roots := make(map[uint64]seal.Hash)
	for _, r := range v.Roots {
		roots[r.Size] = r.Root
	}
	for _, p := range v.Inclusion {
		if err := seal.VerifyInclusion(seal.Checkpoint{Size: p.Size, Root: roots[p.Size]}, p.Index, p.Entry, p.Hashes); err != nil {
			t.Error(err)
		}
	}
	for _, p := range v.Consistency {
		from, to := seal.Checkpoint{Size: p.From, Root: roots[p.From]}, seal.Checkpoint{Size: p.To, Root: roots[p.To]}
		if err := seal.VerifyConsistency(from, to, p.Hashes); err != nil {
			t.Error(err)
		}
	}
	for _, c := range v.Checkpoints {
		verifier, err := seal.Verifier(c.Key)
		if err != nil {
			t.Fatal(err)
		}
		opened, err := seal.Open(c.Text, verifier)
		if err != nil {
			t.Fatal(err)
		}
		if want := (seal.Checkpoint{Origin: c.Origin, Size: c.Size, Root: c.Root}); opened != want {
			t.Errorf("%+v was opened, %+v was signed", opened, want)
		}
	}
}

// The formulas of the design, written down once more without the package's code.
func TestFormulas(t *testing.T) {
	v := makeVectors(t).Votes[0]
	salt, ok := seal.ParseSalt(v.Salt)
	if !ok {
		t.Fatal("the salt is not read")
	}
	text := "marimba.vote/v1\ndefault\nhttp\nBohemia Suburbana\nSombras en el jardín\n1993\n100\n"
	if v.Opening != text {
		t.Errorf("opening %q", v.Opening)
	}
	commitment := sha256.Sum256(append(salt[:], text...))
	if v.Commitment != commitment || v.Leaf != sha256.Sum256(append([]byte{0}, commitment[:]...)) {
		t.Error("commitment or leaf is not by the formula")
	}
	secret, ok := seal.ParseSecret(v.Secret)
	if !ok {
		t.Fatal("the secret is not read")
	}
	sum := sha256.Sum256(append([]byte("marimba.salt/v1\n"), secret[:]...))
	if !bytes.Equal(sum[:16], salt[:]) {
		t.Error("salt is not by the formula")
	}
	key := mac([]byte("receipt-secret-for-tests"), "default")
	if !bytes.Equal(mac(key, v.Receipt)[:16], secret[:]) {
		t.Error("secret is not by the formula")
	}
}
