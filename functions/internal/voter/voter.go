// Package voter exchanges a voter's name for a key that tells nothing about the
// voter.
package voter

import (
	"crypto/hmac"
	"crypto/sha256"

	"marimba/config"
)

// Keys makes voters' keys from a secret. One voter has the same key each time in
// one contest, and another in every other: keys cannot be joined over contests,
// and whoever lacks the secret cannot make one, nor guess the voter from it.
type Keys struct{ Secret config.Secret }

// Key returns HMAC-SHA256(contest key, voter), 32 bytes, where the contest key
// is HMAC-SHA256(secret, contest).
func (k Keys) Key(contest, voter string) []byte {
	return sign(sign([]byte(k.Secret.Reveal()), contest), voter)
}

func sign(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
