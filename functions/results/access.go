package main

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"

	"marimba/config"
	"marimba/events"
)

// access knows who may see what is not public: the ids and voters' keys of
// votes, whole exports, and dead letters.
type access struct {
	token  [sha256.Size]byte
	closed bool
}

func newAccess(token config.Secret) access {
	return access{sha256.Sum256([]byte(token.Reveal())), token == ""}
}

// given reports whether a request bears the token. A wrong one is a refusal, so
// that nobody takes a public answer for a full one. It takes as long for any
// token of a length.
func (a access) given(req *http.Request) (bool, error) {
	header := req.Header.Get("Authorization")
	if header == "" {
		return false, nil
	}
	scheme, token, _ := strings.Cut(header, " ")
	sum := sha256.Sum256([]byte(token))
	same := subtle.ConstantTimeCompare(sum[:], a.token[:]) == 1
	if a.closed || !same || !strings.EqualFold(scheme, "Bearer") {
		return false, events.Refuse(events.TokenRequired, "")
	}
	return true, nil
}

// must refuses a request without the token.
func (a access) must(req *http.Request) error {
	given, err := a.given(req)
	if err == nil && !given {
		return events.Refuse(events.TokenRequired, "")
	}
	return err
}
