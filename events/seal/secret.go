package seal

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"hash"
	"sync"
)

// Secret is what a voter holds of a vote. Whoever has it can show which leaf of
// the log is that vote's.
type Secret [16]byte

// String returns the secret as a receipt shows it: 22 characters of base64url.
func (s Secret) String() string { return base64.RawURLEncoding.EncodeToString(s[:]) }

// Equal compares without telling by its time how much was right.
func (s Secret) Equal(other Secret) bool { return subtle.ConstantTimeCompare(s[:], other[:]) == 1 }

// ParseSecret reads what String wrote, and nothing that is written otherwise.
func ParseSecret(text string) (Secret, bool) {
	return parse16[Secret](text)
}

// Salt hides a vote in its commitment. It follows from the secret.
type Salt [16]byte

// String returns the salt as an archive holds it: 22 characters of base64url.
func (s Salt) String() string { return base64.RawURLEncoding.EncodeToString(s[:]) }

// ParseSalt reads what String wrote, and nothing that is written otherwise.
func ParseSalt(text string) (Salt, bool) {
	return parse16[Salt](text)
}

func parse16[T ~[16]byte](text string) (T, bool) {
	var out [16]byte
	if len(text) != base64.RawURLEncoding.EncodedLen(len(out)) {
		return T{}, false
	}
	// Not from the decoder's leave: it passes over line breaks, and takes several
	// texts for one value.
	n, err := base64.RawURLEncoding.Strict().Decode(out[:], []byte(text))
	if err != nil || n != len(out) {
		return T{}, false
	}
	return T(out), true
}

const saltLabel = "marimba.salt/v1\n"

// Salt returns the salt of the secret's vote.
func (s Secret) Salt() Salt {
	var text [len(saltLabel) + len(s)]byte
	copy(text[:], saltLabel)
	copy(text[len(saltLabel):], s[:])
	sum := sha256.Sum256(text[:])
	return Salt(sum[:len(Salt{})])
}

// maxKeys bounds the contests whose keys are kept at once.
const maxKeys = 1024

// Secrets makes the secrets of the house's votes. It is safe for concurrent use.
type Secrets struct {
	secret []byte
	mu     sync.RWMutex
	keys   map[string]*sync.Pool // contest → *mac of its key
}

// mac is a keyed hash that is at nobody else's use, with room for its text and sum.
type mac struct {
	hash.Hash
	text []byte
	sum  [sha256.Size]byte
}

// NewSecrets makes secrets from RECEIPT_SECRET.
func NewSecrets(secret []byte) *Secrets {
	return &Secrets{secret: append([]byte(nil), secret...), keys: make(map[string]*sync.Pool)}
}

// Of returns the secret of the contest's vote with a receipt. It is the same in
// every process that has the same RECEIPT_SECRET.
func (s *Secrets) Of(contest, receipt string) Secret {
	pool := s.key(contest)
	m := pool.Get().(*mac)
	defer pool.Put(m)
	m.Reset()
	m.text = append(m.text[:0], receipt...)
	m.Write(m.text)
	return Secret(m.Sum(m.sum[:0])[:len(Secret{})])
}

func (s *Secrets) key(contest string) *sync.Pool {
	s.mu.RLock()
	pool := s.keys[contest]
	s.mu.RUnlock()
	if pool != nil {
		return pool
	}
	of := hmac.New(sha256.New, s.secret)
	of.Write([]byte(contest))
	key := of.Sum(nil)
	pool = &sync.Pool{New: func() any { return &mac{Hash: hmac.New(sha256.New, key)} }}
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.keys[contest]; known != nil {
		return known
	}
	if len(s.keys) >= maxKeys {
		for one := range s.keys {
			delete(s.keys, one) // any: it is made again when it is asked for
			break
		}
	}
	s.keys[contest] = pool
	return pool
}
