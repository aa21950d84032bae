package rules

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"marimba/events"
	"marimba/events/rules/abi"
)

// Code returns the house's rules: the bytes of rules.wasm. They are the caller's.
func Code() []byte { return bytes.Clone(houseCode) }

// Digest returns the SHA-256 of the house's rules, in hexadecimal digits.
var Digest = sync.OnceValue(func() string {
	sum := sha256.Sum256(houseCode)
	return hex.EncodeToString(sum[:])
})

// NewBy makes a contest's rules ready, of which the house's part is the given
// module instead of the one that is built in: the rules of another time, or of a
// stranger's. Unless it is the same, it is trusted with no more than a contest's
// own one, and is slow for the same reasons.
func NewBy(code []byte, c events.Contest) *Rules {
	r := New(c)
	if !bytes.Equal(code, houseCode) {
		r.house.module = sync.OnceValues(func() (*module, error) { return confined(code, housePages) })
	}
	return r
}

// sandbox is what code runs in that is trusted with nothing. It is interpreted, for
// three reasons: depth of calls is bounded by 2,000 frames, where machine code may
// take 80 MB of stack before it is stopped; a watch costs little; and a start takes
// no time, which a small rule does not earn back.
func sandbox(pages uint32) wazero.RuntimeConfig {
	return wazero.NewRuntimeConfigInterpreter().
		WithMemoryLimitPages(pages).
		WithCloseOnContextDone(true).
		// Tables that grow would be memory without a bound.
		WithCoreFeatures(api.CoreFeaturesV2.SetEnabled(api.CoreFeatureReferenceTypes, false))
}

// confined makes a module that is trusted with nothing, of at most so many pages of
// memory.
func confined(code []byte, pages uint32) (*module, error) {
	if err := abi.Check(code); err != nil {
		return nil, err
	}
	m, err := compile(code, sandbox(pages))
	if err != nil {
		return nil, err
	}
	m.limit = callLimit
	return m, nil
}
