package annul

import (
	"errors"
	"strings"
	"testing"
	"time"

	"marimba/events"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// step is an act in short: "propose Ana", "approve 1 Eva", "revoke 1 Ana".
type step struct {
	kind Kind
	of   int
	by   string
	want string // in the error; empty: it is allowed
}

func (s step) act(number int) Act {
	a := Act{Contest: "rock", Number: number, At: noon.Add(time.Duration(number) * time.Minute), Kind: s.kind, Case: s.of, By: s.by, Reason: "bots"}
	if s.kind == Propose {
		a.Filter = &Filter{Channel: events.ByHTTP}
	}
	return a
}

// An annulment takes a proposal and two approvals of two others, and so does its
// revocation. Whoever proposed one does not approve it, in whatever spelling.
func TestWhoMayDoWhat(t *testing.T) {
	force := []step{{Propose, 0, "Ana", ""}, {Approve, 1, "Eva", ""}, {Approve, 1, "Luis", ""}}
	for say, c := range map[string]struct {
		before []step
		last   step
		state  State
		alters bool
	}{
		"a proposal changes nothing":             {nil, step{Propose, 0, "Ana", ""}, Proposed, false},
		"one approval changes nothing":           {force[:1], step{Approve, 1, "Eva", ""}, Proposed, false},
		"two approvals put it in force":          {force[:2], step{Approve, 1, "Luis", ""}, InForce, true},
		"the proposer does not approve":          {force[:1], step{Approve, 1, "Ana", "cannot approve"}, Proposed, false},
		"nor in another spelling":                {force[:1], step{Approve, 1, "ANÁ", "cannot approve"}, Proposed, false},
		"one person does not approve twice":      {force[:2], step{Approve, 1, "eva", "two different people"}, Proposed, false},
		"there is nothing more to approve":       {force, step{Approve, 1, "Rosa", "nothing to approve"}, InForce, false},
		"there is no such case":                  {force, step{Approve, 2, "Rosa", "no case 2"}, InForce, false},
		"an approval is no case":                 {force, step{Revoke, 2, "Rosa", "no case 2"}, InForce, false},
		"the proposer withdraws":                 {force[:1], step{Revoke, 1, "Ana", ""}, Withdrawn, false},
		"others do not":                          {force[:1], step{Revoke, 1, "Eva", "Ana may withdraw"}, Proposed, false},
		"what is withdrawn stays so":             {append(force[:1:1], step{Revoke, 1, "Ana", ""}), step{Approve, 1, "Eva", "nothing to approve"}, Withdrawn, false},
		"a revocation is proposed":               {force, step{Revoke, 1, "Eva", ""}, Revoking, false},
		"and not twice":                          {append(force[:3:3], step{Revoke, 1, "Eva", ""}), step{Revoke, 1, "Ana", "revoking already"}, Revoking, false},
		"who proposed it does not approve it":    {append(force[:3:3], step{Revoke, 1, "Eva", ""}), step{Approve, 1, "Eva", "cannot approve"}, Revoking, false},
		"who proposed the annulment may":         {append(force[:3:3], step{Revoke, 1, "Eva", ""}), step{Approve, 1, "Ana", ""}, Revoking, false},
		"two approvals undo it":                  {append(force[:3:3], step{Revoke, 1, "Eva", ""}, step{Approve, 1, "Ana", ""}), step{Approve, 1, "Luis", ""}, Revoked, true},
		"what was revoked is not approved again": {append(force[:3:3], step{Revoke, 1, "Eva", ""}, step{Approve, 1, "Ana", ""}, step{Approve, 1, "Luis", ""}), step{Approve, 1, "Rosa", "nothing to approve"}, Revoked, false},
		"nothing is reckoned where nothing was":  {force[:1], step{Reckon, 0, "Ana", "nothing was ever annulled"}, Proposed, false},
		"an act of no kind":                      {force[:1], step{"burn", 1, "Ana", "no act"}, Proposed, false},
		"somebody has to do it":                  {force[:1], step{Approve, 1, "", "by"}, Proposed, false},
		"and with a name that can be read":       {force[:1], step{Approve, 1, " Eva", "by"}, Proposed, false},
	} {
		b := &Book{Contest: "rock"}
		for _, s := range c.before {
			if _, err := b.Add(s.act(len(b.Acts) + 1)); err != nil {
				t.Fatalf("%s: before: %v", say, err)
			}
		}
		n := len(b.Acts)
		alters, err := b.Add(c.last.act(n + 1))
		if alters != c.alters || (err == nil) != (c.last.want == "") || err != nil && !strings.Contains(err.Error(), c.last.want) {
			t.Errorf("%s: %v, %v", say, alters, err)
		}
		if err != nil && (!errors.Is(err, ErrAct) || len(b.Acts) != n) {
			t.Errorf("%s: refused by %v, and the book has %d acts, had %d", say, err, len(b.Acts), n)
		}
		if got := b.Case(1).State; got != c.state {
			t.Errorf("%s: the case is %s", say, got)
		}
		if inForce := len(b.InForce()) == 1; inForce != (c.state == InForce || c.state == Revoking) {
			t.Errorf("%s: in force: %v", say, inForce)
		}
	}
}

// A proposal says what it chooses and why.
func TestWhatMayBeProposed(t *testing.T) {
	for say, c := range map[string]struct {
		change func(*Act)
		want   string
	}{
		"as it should be": {func(*Act) {}, ""},
		"no filter":       {func(a *Act) { a.Filter = nil }, "needs a filter"},
		"all votes":       {func(a *Act) { a.Filter = &Filter{} }, "filter is empty"},
		"no such channel": {func(a *Act) { a.Filter = &Filter{Channel: "fax"} }, "fax"},
		"an ugly band":    {func(a *Act) { a.Filter = &Filter{Band: " Trébol"} }, "clean form"},
		"times reversed":  {func(a *Act) { a.Filter = &Filter{From: noon, To: noon} }, "not before"},
		"no reason":       {func(a *Act) { a.Reason = "" }, "reason"},
		"a long reason":   {func(a *Act) { a.Reason = strings.Repeat("x", maxReason+1) }, "reason"},
		"another number":  {func(a *Act) { a.Number = 2 }, "does not follow"},
		"another contest": {func(a *Act) { a.Contest = "jazz" }, "does not follow"},
	} {
		a := step{Propose, 0, "Ana", ""}.act(1)
		c.change(&a)
		_, err := (&Book{Contest: "rock"}).Add(a)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", say, err)
		}
	}
}

// A filter chooses by all that it names: channel, band in any spelling, and times of
// which the first is in and the last is not.
func TestFilter(t *testing.T) {
	v := events.Vote{Name: "Trébol", At: noon}
	for say, c := range map[string]struct {
		filter Filter
		want   bool
	}{
		"channel":           {Filter{Channel: events.ByGRPC}, true},
		"other channel":     {Filter{Channel: events.ByHTTP}, false},
		"band":              {Filter{Band: "TREBOL"}, true},
		"other band":        {Filter{Band: "Alux Nahual"}, false},
		"from then":         {Filter{From: noon}, true},
		"from later":        {Filter{From: noon.Add(1)}, false},
		"to later":          {Filter{To: noon.Add(1)}, true},
		"to then":           {Filter{To: noon}, false},
		"all of it":         {Filter{events.ByGRPC, "trebol", noon, noon.Add(1)}, true},
		"all of it but one": {Filter{events.ByGRPC, "trebol", noon, noon}, false},
	} {
		if got := c.filter.Has(events.ByGRPC, &v); got != c.want {
			t.Errorf("%s: %v", say, got)
		}
	}
}

// A book takes a bounded number of acts.
func TestBookIsBounded(t *testing.T) {
	b := &Book{Contest: "rock", Acts: make([]Act, MaxActs)}
	if _, err := b.Add(step{Propose, 0, "Ana", ""}.act(MaxActs + 1)); !errors.Is(err, ErrAct) {
		t.Errorf("got %v", err)
	}
}
