package main

import (
	"encoding/base64"
	"encoding/hex"

	"marimba/events"
	"marimba/events/seal"
	marimbav1 "marimba/proto/marimba/v1"
)

// keepsake is what a voter is given to show, later and to anyone, that the vote is
// in the public log: its secret, and the entry that it becomes there if it is
// counted, as it stands now. Who answers without it, such as an ingress-grpc of
// before, leaves it empty.
type keepsake struct {
	Secret     string `json:"secret,omitempty"`     // base64url
	Commitment string `json:"commitment,omitempty"` // hex
}

// keepsakeOf makes that of a vote which is taken, unless ingress-grpc has made it. It
// is made of what was cast for whoever is answered with it, and kept nowhere.
func (o *outcome) keepsakeOf(secrets *seal.Secrets) keepsake {
	if o.vote == nil {
		return o.far
	}
	secret, commitment := secrets.Commit(o.contest, o.channel, o.Receipt.Receipt, o.vote)
	return keepsake{secret.String(), commitment.String()}
}

// farKeepsake is the one that ingress-grpc made.
func farKeepsake(r *marimbav1.Receipt) keepsake {
	if len(r.GetSecret()) != len(seal.Secret{}) || len(r.GetCommitment()) != seal.HashSize {
		return keepsake{}
	}
	return keepsake{base64.RawURLEncoding.EncodeToString(r.GetSecret()), hex.EncodeToString(r.GetCommitment())}
}

// cast is a vote as it went to Kafka.
type cast struct {
	vote    *events.Vote // nil: it went by another function
	channel events.Channel
}
