package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"strings"
	"time"

	"marimba/events"
	"marimba/events/seal"
)

// Bounds of a house's answer about a receipt.
const (
	maxAnswer      = 1 << 20
	receiptTimeout = time.Minute
)

// receiptLink takes the link of a receipt apart: <house>/recibo/<receipt>#<secret>.
func receiptLink(text string) (house, receipt, secret string, ok bool) {
	at, isURL := address(text)
	if !isURL {
		return "", "", "", false
	}
	before, receipt, ok := strings.Cut(at.Path, "/recibo/")
	if !ok || receipt == "" || at.Fragment == "" {
		return "", "", "", false
	}
	secret = at.Fragment
	at.Path, at.RawPath, at.RawQuery, at.Fragment = before, "", "", ""
	return at.String(), receipt, secret, true
}

// Proven is what became of a receipt's check.
type Proven struct {
	House   string   `json:"house"`
	Receipt string   `json:"receipt"`
	Contest string   `json:"contest"`
	State   string   `json:"state"`
	Vote    *Found   `json:"vote"`
	Holds   bool     `json:"holds"`
	Checks  []*Check `json:"checks"`
	Notes   []string `json:"notes,omitempty"`
}

// answered is a house's answer to who has a receipt's secret.
type answered struct {
	Receipt string         `json:"receipt"`
	Contest string         `json:"contest"`
	Channel events.Channel `json:"channel"`
	Name    string         `json:"name"`
	Album   string         `json:"album"`
	Year    int32          `json:"year"`
	Rank    float64        `json:"rank"`
	State   string         `json:"state"`
	Proof   *struct {
		Index      uint64      `json:"index"`
		Size       uint64      `json:"size"`
		Hashes     []seal.Hash `json:"hashes"`
		Commitment seal.Hash   `json:"commitment"`
		Salt       string      `json:"salt"`
		Checkpoint string      `json:"checkpoint"`
		Key        string      `json:"key"`
	} `json:"proof"`
}

// proveReceipt asks a house for the proof of a vote, and checks it. The house is
// believed in nothing: the commitment is made of what it says that the vote is for
// and of the voter's own secret.
func proveReceipt(ctx context.Context, house, receipt string, known expected) (*Proven, error) {
	at, ok := address(house)
	if !ok {
		return nil, fmt.Errorf("%q is not the address of a house", house)
	}
	secret, ok := seal.ParseSecret(known.Secret)
	if !ok {
		return nil, errors.New("--secret: a receipt's secret has 22 characters of A-Z a-z 0-9 _ -")
	}
	ctx, cancel := context.WithTimeout(ctx, receiptTimeout)
	defer cancel()
	got, err := fetch(ctx, at.JoinPath("v1", "receipts", url.PathEscape(receipt)), map[string]string{"Receipt-Secret": known.Secret})
	if err != nil {
		return nil, fmt.Errorf("ask for the receipt: %w", err)
	}
	defer got.Body.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(io.LimitReader(got.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("ask for the receipt: %w", err)
	}
	var a answered
	if err := json.Unmarshal(text, &a); err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	p := &Proven{House: house, Receipt: receipt, Contest: a.Contest, State: a.State}
	p.check(a, secret.Salt(), known.Key)
	return p, nil
}

func (p *Proven) check(a answered, salt seal.Salt, key string) {
	state, commitment, signature, included := &Check{Name: "state"}, &Check{Name: "commitment"}, &Check{Name: "checkpoint"}, &Check{Name: "inclusion"}
	p.Checks = []*Check{state, commitment, signature, included}
	defer func() {
		p.Holds = true
		for _, c := range p.Checks {
			p.Holds = p.Holds && c.reached && c.Holds
		}
	}()
	for _, c := range p.Checks[1:] {
		c.Says = "not reached"
	}
	if a.Receipt != p.Receipt {
		state.fault("the answer is about the receipt %q", a.Receipt)
	}
	state.say("%s", a.State)
	if a.Proof == nil {
		state.fault("there is no proof: a vote has one when it was counted, some moments after")
		return
	}
	rank := int32(math.Round(a.Rank * 100))
	opening := seal.Opening{Contest: a.Contest, Channel: a.Channel, Name: a.Name, Album: a.Album, Year: a.Year, Rank: rank}
	p.Vote = &Found{a.Proof.Index, string(a.Channel), a.Name, a.Album, a.Year, events.FormatRank(rank), a.State}
	made := opening.Commit(salt)
	if made != a.Proof.Commitment || a.Proof.Salt != salt.String() {
		commitment.fault("of what the vote is said to be for and your secret it is %s, and the proof is of %s", made, a.Proof.Commitment)
	}
	commitment.say("%s", made)

	if key == "" {
		key = a.Proof.Key
		p.Notes = append(p.Notes, "the log's key is the house's own: --key holds it to one that was published")
	} else if key != a.Proof.Key {
		signature.fault("the house says that the log's key is %s", a.Proof.Key)
	}
	verifier, err := seal.Verifier(key)
	var checkpoint seal.Checkpoint
	if err == nil {
		checkpoint, err = seal.Open(a.Proof.Checkpoint, verifier)
	}
	if err != nil {
		signature.fault("%v", err)
		return
	}
	if !strings.HasSuffix(checkpoint.Origin, "/"+a.Contest) || checkpoint.Size != a.Proof.Size {
		signature.fault("it is of %q, %d leaves, and the proof of contest %q, %d leaves", checkpoint.Origin, checkpoint.Size, a.Contest, a.Proof.Size)
	}
	signature.say("%s, %d leaves, signed by %s", checkpoint.Origin, checkpoint.Size, key)
	if err := seal.VerifyInclusion(checkpoint, a.Proof.Index, made, a.Proof.Hashes); err != nil {
		included.fault("%v", err)
	}
	included.say("leaf %d of %d", a.Proof.Index, checkpoint.Size)
}
