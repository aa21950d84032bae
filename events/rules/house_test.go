package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"marimba/events"
	"marimba/events/rules/abi"
	"marimba/events/rules/rulestest"
)

// The digest is of the code, and who has the code cannot change the rules.
func TestDigestIsOfTheCode(t *testing.T) {
	code := Code()
	if sum := sha256.Sum256(code); hex.EncodeToString(sum[:]) != Digest() {
		t.Errorf("digest is %s, of the code %x", Digest(), sum)
	}
	clear(code)
	if sum := sha256.Sum256(Code()); hex.EncodeToString(sum[:]) != Digest() {
		t.Error("the rules were changed by who had their code")
	}
}

// Another house's rules judge as their own house does; they are held in like a
// contest's own ones.
func TestAnotherHousesRules(t *testing.T) {
	c := events.Contest{
		ID: "c", Bands: []events.Band{{Name: "Trébol", Albums: []events.Album{{Title: "Uno"}}}}, RankMode: events.Position, RankMax: 1000,
		YearMin: 1900, Standing: events.ByVotes,
	}
	vote := func() *events.Vote {
		return &events.Vote{ID: "a", Name: "TREBOL", Album: "uno", Year: 2001, Rank: 100, At: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	}
	// The same rules with a section more are another module, which judges alike.
	other := append(Code(), 0, 3, 1, 'x', 0)
	v := vote()
	if no, err := NewBy(other, c).Judge(v); no != nil || err != nil || v.Name != "Trébol" || v.Album != "Uno" {
		t.Errorf("the vote is for %s, %s: %v, %v", v.Name, v.Album, no, err)
	}
	bad := vote()
	bad.Name = "Nobody"
	if no, err := NewBy(other, c).Judge(bad); err != nil || no == nil || no.Code != events.BandUnknown {
		t.Errorf("a band that is not there is %v, %v", no, err)
	}
	if no, err := NewBy(Code(), c).Judge(vote()); no != nil || err != nil {
		t.Errorf("by the same rules it is %v, %v", no, err)
	}
	loops := moduleOf(rulestest.Code(endless, rulestest.Const(0)))
	for name, code := range map[string][]byte{"endless": loops, "none": []byte("x"), "too long": make([]byte, abi.MaxSize+1)} {
		no, err := NewBy(code, c).Judge(vote())
		if err == nil {
			t.Errorf("%s: rules that cannot judge say %v", name, no)
		}
		if name == "endless" && (err == nil || !strings.Contains(err.Error(), errCutOff.Error())) {
			t.Errorf("rules without an end end with %v", err)
		}
	}
}
