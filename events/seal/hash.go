package seal

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// HashSize is the length of a hash in bytes.
const HashSize = sha256.Size

// Hash is a SHA-256 sum: a commitment, a leaf's hash, a node's or a root.
type Hash [HashSize]byte

// String returns the hash in lower-case hex.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText writes the hash in lower-case hex.
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText reads what MarshalText wrote.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(HashSize) {
		return fmt.Errorf("a hash is %d hex digits, not %d", hex.EncodedLen(HashSize), len(text))
	}
	if _, err := hex.Decode(h[:], text); err != nil {
		return fmt.Errorf("read a hash: %w", err)
	}
	return nil
}

// EmptyRoot is the root of a tree without leaves.
var EmptyRoot = Hash(sha256.Sum256(nil))

// LeafHash returns the hash of the leaf that holds an entry.
func LeafHash(entry Hash) Hash {
	var text [1 + HashSize]byte // RFC 6962: leaves begin with 0
	copy(text[1:], entry[:])
	return sha256.Sum256(text[:])
}

// nodeHash returns the hash of a node with two children.
func nodeHash(left, right []byte) Hash {
	var text [1 + 2*HashSize]byte // RFC 6962: nodes begin with 1
	text[0] = 1
	copy(text[1:], left)
	copy(text[1+HashSize:], right)
	return sha256.Sum256(text[:])
}
