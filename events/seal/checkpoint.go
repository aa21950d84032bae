package seal

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// Checkpoint says what a log was at one moment: how many leaves, and their root.
type Checkpoint struct {
	Origin string
	Size   uint64
	Root   Hash
}

// ErrCheckpoint is wrapped by every error about a text that is not a checkpoint of
// the key that should have signed it.
var ErrCheckpoint = errors.New("not a checkpoint")

// Origin names a contest's log: the house's origin, and the contest. It is the name
// of the log's key too.
func Origin(house, contest string) string { return house + "/" + contest }

const seedLabel = "marimba.checkpoint/v1"

// Seed derives the seed of the house's signing key from SEAL_KEY.
func Seed(key []byte) ([ed25519.SeedSize]byte, error) {
	seed, err := hkdf.Key(sha256.New, key, nil, seedLabel, ed25519.SeedSize)
	if err != nil {
		return [ed25519.SeedSize]byte{}, fmt.Errorf("derive the seal's seed: %w", err)
	}
	return [ed25519.SeedSize]byte(seed), nil
}

// algEd25519 is how a note's key says that it is one of Ed25519.
const algEd25519 = 1

// Signer returns the signer of a log's checkpoints.
func Signer(seed [ed25519.SeedSize]byte, origin string) (note.Signer, error) {
	vkey, err := VerifierKey(seed, origin)
	if err != nil {
		return nil, err
	}
	_, rest, _ := strings.Cut(vkey, "+")
	hash, _, _ := strings.Cut(rest, "+")
	private := base64.StdEncoding.EncodeToString(append([]byte{algEd25519}, seed[:]...))
	signer, err := note.NewSigner("PRIVATE+KEY+" + origin + "+" + hash + "+" + private)
	if err != nil {
		return nil, fmt.Errorf("make the signer of %q: %w", origin, err)
	}
	return signer, nil
}

// VerifierKey returns the public key of a log's checkpoints as note has it:
// "<origin>+<hash>+<key>".
func VerifierKey(seed [ed25519.SeedSize]byte, origin string) (string, error) {
	public := ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey)
	vkey, err := note.NewEd25519VerifierKey(origin, public)
	if err != nil {
		return "", fmt.Errorf("make the key of %q: %w", origin, err)
	}
	return vkey, nil
}

// Verifier returns what checks checkpoints, of the text that VerifierKey made.
func Verifier(vkey string) (note.Verifier, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, fmt.Errorf("read a log's key: %w", err)
	}
	return verifier, nil
}

// body is the text that is signed: C2SP tlog-checkpoint, without extensions.
func (c Checkpoint) body() string {
	return c.Origin + "\n" + strconv.FormatUint(c.Size, 10) + "\n" + base64.StdEncoding.EncodeToString(c.Root[:]) + "\n"
}

// Sign returns the checkpoint's signed text. It is the same each time.
func Sign(c Checkpoint, signer note.Signer) (string, error) {
	if c.Origin != signer.Name() {
		return "", fmt.Errorf("sign a checkpoint of %q: the key is of %q", c.Origin, signer.Name())
	}
	text, err := note.Sign(&note.Note{Text: c.body()}, signer)
	if err != nil {
		return "", fmt.Errorf("sign a checkpoint of %q: %w", c.Origin, err)
	}
	return string(text), nil
}

// maxCheckpoint bounds a checkpoint's text; witnesses may have added signatures.
const maxCheckpoint = 16 << 10

// Open reads a checkpoint that the verifier's key has signed, and whose origin is
// that key's name. An error wraps ErrCheckpoint.
func Open(text string, verifier note.Verifier) (Checkpoint, error) {
	if len(text) > maxCheckpoint {
		return Checkpoint{}, fmt.Errorf("%w: it is longer than %d bytes", ErrCheckpoint, maxCheckpoint)
	}
	opened, err := note.Open([]byte(text), note.VerifierList(verifier))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	c, err := parseBody(opened.Text)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	if c.Origin != verifier.Name() {
		return Checkpoint{}, fmt.Errorf("%w: it is of %q, and the key of %q", ErrCheckpoint, c.Origin, verifier.Name())
	}
	return c, nil
}

// parseBody reads what body writes. Lines after the third are extensions, which
// the format allows and a reader passes over.
func parseBody(text string) (Checkpoint, error) {
	origin, rest, ok := strings.Cut(text, "\n")
	if !ok || origin == "" {
		return Checkpoint{}, errors.New("it names no origin")
	}
	size, rest, _ := strings.Cut(rest, "\n")
	root, extensions, ok := strings.Cut(rest, "\n")
	if !ok {
		return Checkpoint{}, errors.New("it has fewer than three lines")
	}
	for line := range strings.Lines(extensions) {
		if strings.TrimSpace(line) == "" {
			return Checkpoint{}, errors.New("it has an empty line")
		}
	}
	c := Checkpoint{Origin: origin}
	n, err := strconv.ParseUint(size, 10, 64)
	if err != nil || strconv.FormatUint(n, 10) != size {
		return Checkpoint{}, fmt.Errorf("size %q is not a number", size)
	}
	c.Size = n
	hash, err := base64.StdEncoding.Strict().DecodeString(root)
	if err != nil || len(hash) != HashSize || base64.StdEncoding.EncodeToString(hash) != root {
		return Checkpoint{}, fmt.Errorf("root %q is not a hash", root)
	}
	c.Root = Hash(hash)
	return c, nil
}
