package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"marimba/events"
	"marimba/events/seal"
	"marimba/events/seal/archive"
)

// What an organiser could seal and should not, an archive that agrees in all else
// tells too: the same vote twice, and a vote that the rules do not admit.
func TestSealedFraud(t *testing.T) {
	twice := newMade(300)
	twice.line = func(i int) archive.Line {
		if i == 299 {
			i = 4
		}
		return lineOf(i)
	}
	foreign := newMade(300)
	foreign.line = func(i int) archive.Line {
		l := lineOf(i)
		if i == 7 {
			l.Opening.Album, l.Opening.Rank = "Nobody's", 1100
		}
		return l
	}
	alias := newMade(300)
	alias.line = func(i int) archive.Line {
		l := lineOf(i)
		l.Opening.Name = strings.Replace(l.Opening.Name, "Alux Nahual", "ALUX NAHUAL", 1)
		return l
	}
	channel := newMade(300)
	channel.line = func(i int) archive.Line {
		l := lineOf(i)
		if i == 9 {
			l.Opening.Channel = "fax"
		}
		return l
	}
	for name, test := range map[string]struct {
		of    *made
		check string
		says  string
	}{
		"twice":   {twice, noneTwice, "leaves 4 and 299 are the same vote"},
		"foreign": {foreign, votesAllowed, "leaf 7, Bohemia Suburbana, Nobody's: is refused by the rules"},
		"alias":   {alias, votesAllowed, `is spelled by the rules as "Alux Nahual"`},
		"channel": {channel, votesAllowed, `leaf 9 came by "fax"`},
	} {
		r := verified(t, test.of.bytes(t), expected{})
		if c := r.check(test.check); c.Holds || !strings.Contains(strings.Join(c.Faults, "\n"), test.says) {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

// What is known from elsewhere is held to what the archive says of itself; without
// that, the report says what it believed.
func TestKnownFromElsewhere(t *testing.T) {
	m := newMade(20)
	var out bytes.Buffer
	key := m.write(t, &out)
	r := verified(t, out.Bytes(), expected{})
	if !r.Holds || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "--key") {
		t.Errorf("without a key: %v, notes %q", r.Holds, r.Notes)
	}
	if r := verified(t, out.Bytes(), expected{Key: key, Statement: r.Statement}); !r.Holds {
		t.Errorf("with both: %s", r.broken())
	}
	if r := verified(t, out.Bytes(), expected{Key: key, Statement: strings.Repeat("0", 64)}); r.broken() != statedSo {
		t.Errorf("with another statement: %s", r.broken())
	}
	secret := seal.NewSecrets([]byte("x")).Of("rock", "box.0")
	mine := newMade(20)
	mine.line = func(i int) archive.Line {
		l := lineOf(i)
		if i == 11 {
			l.Salt = secret.Salt()
		}
		return l
	}
	want := Found{11, string(events.ByEvent), "Alux Nahual", "Alto al Fuego", 1982, "1", "counted"}
	if r := verified(t, mine.bytes(t), expected{Secret: secret.String()}); r.Vote == nil || *r.Vote != want {
		t.Errorf("the vote of the secret is %+v", r.Vote)
	}
	if r := verified(t, mine.bytes(t), expected{Secret: fmt.Sprint(secret)[:21] + "A"}); r.Vote != nil && *r.Vote == want {
		t.Errorf("of another secret the vote is %+v", r.Vote)
	}
}

// Votes for more different things than there is memory for are not held.
func TestDifferentThingsAreBounded(t *testing.T) {
	data := newMade(300).bytes(t)
	for most, want := range map[int]bool{6: false, 7: true} { // two albums at 1, one at 2, one at 3, 4, 5 and 6
		e := newExaminer("test", expected{}, nil)
		e.most = most
		err := e.run(bytes.NewReader(data))
		if (err == nil) != want {
			t.Errorf("%d lines, of at most %d: %v", e.lines, most, err)
		}
	}
}
