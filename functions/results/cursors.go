package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"marimba/config"
	"marimba/functions/internal/journal"
)

// cursors hides where a page of the log ends: the journal's own cursor names a box,
// and so joins the page's last row to its receipt.
type cursors struct {
	seal cipher.AEAD
	mac  []byte
}

// maxCursor bounds a cursor that is given.
const maxCursor = 1024

func newCursors(secret config.Secret) cursors {
	keys, err := hkdf.Key(sha256.New, []byte(secret.Reveal()), nil, "marimba.cursor/v1", 64)
	if err != nil {
		panic(fmt.Sprintf("derive the keys of cursors: %v", err)) // only if they were too long
	}
	block, err := aes.NewCipher(keys[:32])
	if err != nil {
		panic(fmt.Sprintf("make the cipher of cursors: %v", err)) // only for another length of key
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(fmt.Sprintf("make the cipher of cursors: %v", err)) // only for another cipher
	}
	return cursors{aead, keys[32:]}
}

// hide returns a cursor that only open understands, the same each time and in each
// process: its nonce follows from what it hides.
func (c cursors) hide(cursor string) string {
	if cursor == "" {
		return ""
	}
	mac := hmac.New(sha256.New, c.mac)
	mac.Write([]byte(cursor))
	nonce := mac.Sum(nil)[:c.seal.NonceSize()]
	return base64.RawURLEncoding.EncodeToString(c.seal.Seal(nonce, nonce, []byte(cursor), nil))
}

// open returns the cursor that hide hid, or journal.ErrCursor.
func (c cursors) open(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	if len(text) > maxCursor {
		return "", journal.ErrCursor
	}
	hidden, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(hidden) < c.seal.NonceSize() {
		return "", journal.ErrCursor
	}
	cursor, err := c.seal.Open(nil, hidden[:c.seal.NonceSize()], hidden[c.seal.NonceSize():], nil)
	if err != nil {
		return "", journal.ErrCursor
	}
	return string(cursor), nil
}
