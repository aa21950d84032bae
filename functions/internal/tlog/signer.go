package tlog

import (
	"crypto/ed25519"
	"fmt"

	"golang.org/x/mod/sumdb/note"

	"marimba/config"
	"marimba/events/seal"
)

// Signer signs checkpoints in the name of the house.
type Signer struct {
	house string
	seed  [ed25519.SeedSize]byte
}

// NewSigner returns the signer of a house.
func NewSigner(cfg config.Seal) (Signer, error) {
	seed, err := seal.Seed([]byte(cfg.Key.Reveal()))
	if err != nil {
		return Signer{}, err
	}
	s := Signer{cfg.Origin, seed}
	if _, err := s.of(""); err != nil {
		return Signer{}, err
	}
	return s, nil
}

// pen signs the checkpoints of one contest's log.
type pen struct {
	signer note.Signer
	key    string
}

func (s Signer) of(contest string) (pen, error) {
	origin := seal.Origin(s.house, contest)
	signer, err := seal.Signer(s.seed, origin)
	if err != nil {
		return pen{}, err
	}
	key, err := seal.VerifierKey(s.seed, origin)
	if err != nil {
		return pen{}, err
	}
	return pen{signer, key}, nil
}

func (p pen) sign(size uint64, root seal.Hash) (string, error) {
	text, err := seal.Sign(seal.Checkpoint{Origin: p.signer.Name(), Size: size, Root: root}, p.signer)
	if err != nil {
		return "", fmt.Errorf("sign %d leaves: %w", size, err)
	}
	return text, nil
}
