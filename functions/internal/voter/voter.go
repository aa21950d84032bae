// Package voter exchanges a voter's name for a key that tells nothing about the
// voter.
package voter

import (
	"crypto/hmac"
	"crypto/sha256"

	"marimba/config"
)

// Keys makes voters' keys. One voter has the same key each time in one contest, and
// another in every other: keys cannot be joined over contests, and whoever lacks
// the contest's key cannot make one, nor guess the voter from it.
type Keys struct {
	Secret config.Secret
	Files  *Files // nil: all contests' keys are made from Secret
}

// New returns the keys that the settings say.
func New(cfg config.Voters) Keys {
	k := Keys{Secret: cfg.Secret}
	if cfg.Keys != "" {
		k.Files = NewFiles(cfg.Keys)
	}
	return k
}

// Key returns HMAC-SHA256(contest key, voter), 32 bytes. The contest key is that of
// the contest's file or, if it has none, HMAC-SHA256(secret, contest). It is an
// error if there was a file and it is gone, or is another.
func (k Keys) Key(contest, voter string) ([]byte, error) {
	if k.Files != nil {
		key, ok, err := k.Files.key(contest)
		if err != nil {
			return nil, err
		}
		if ok {
			return sign(key, voter), nil
		}
	}
	return sign(sign([]byte(k.Secret.Reveal()), contest), voter), nil
}

func sign(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
