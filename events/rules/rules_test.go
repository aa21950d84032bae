package rules

import (
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"marimba/events"
	"marimba/events/rules/rulestest"
)

// Judging takes no memory of Go's, and neither does reading: the texts of some
// dozens of ballots share a piece.
func TestJudgingTakesNoMemory(t *testing.T) {
	r := New(events.Contest{ID: "rock", RankMax: 1000, YearMin: 1970, Bands: []events.Band{{Name: "Trébol", Albums: []events.Album{{Title: "Uno"}}}}})
	data := []byte(`{"name":"TREBOL","album":"uno","year":"1999","rank":"9.5","voter":"a","cast_at":"2026-05-01T10:00:00Z"}`)
	vote := events.Vote{Name: "tre\u0301bol", Album: "Uno", Year: 1999, Rank: 100, At: time.Now(), VoterKey: make([]byte, 32)}
	for say, do := range map[string]func() error{
		"judge": func() error { v := vote; _, err := r.Judge(&v); return err },
		"read":  func() error { _, _, err := Read(data, true); return err },
	} {
		got := testing.AllocsPerRun(200, func() {
			if err := do(); err != nil {
				t.Fatal(err)
			}
		})
		if got > 0 {
			t.Errorf("%s takes %v allocations", say, got)
		}
	}
}

// What is read is a whole ballot, each text in its place.
func TestRead(t *testing.T) {
	b, no, err := Read([]byte(`{"name":" Tre\u0301bol ","album":"Uno  dos","year":"01999","rank":"09.50","id":"i-1","contest":"rock","voter":" Ana ","cast_at":"2026-05-01T10:00:00.1239-06:00"}`), true)
	want := events.Ballot{
		Name: "Trébol", Album: "Uno dos", Year: "1999", Rank: "9.5", ID: "i-1", Contest: "rock", Voter: " Ana ", CastAt: "2026-05-01T16:00:00.123Z",
	}
	if b != want || no != nil || err != nil {
		t.Errorf("read is\n%+v, want\n%+v; refusal %v, error %v", b, want, no, err)
	}
	long := `{"name":"A","year":1,"rank":1,"voter":"` + strings.Repeat("ñ", events.MaxVoter) + `","x":"` + strings.Repeat("x", MaxVote) + `"}`
	if _, no, err := Read([]byte(long[:MaxVote-3]+`"}`), false); no != nil || err != nil {
		t.Errorf("a vote of nearly %d bytes: refusal %v, error %v", MaxVote, no, err)
	}
	if _, no, err := Read([]byte(long), false); no == nil || no.Code != events.BodyTooLarge || err != nil {
		t.Errorf("a vote of more: refusal %v, error %v", no, err)
	}
}

// Ballots that were read stay as they are, however many are read after them by
// the same instance, and however long.
func TestBallotsKeepTheirText(t *testing.T) {
	m, err := house()
	if err != nil {
		t.Fatal(err)
	}
	in, err := m.start(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer in.close()
	name := func(i int) string { return fmt.Sprintf("%d %s", i, strings.Repeat("x", i%100)) }
	var kept []events.Ballot
	for i := range 1_000 {
		voter := ""
		if i%100 == 99 {
			voter = strings.Repeat("v", 2*keptPiece)
		}
		text := []byte(name(i) + voter)
		body := make([]byte, ballotHead, ballotHead+len(text))
		binary.LittleEndian.PutUint32(body[lengthsPlace:], uint32(len(name(i))))
		binary.LittleEndian.PutUint32(body[lengthsPlace+8:], uint32(len(voter)))
		body = append(body, text...)
		b, err := in.ballot(answer{kind: ballot, body: body})
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, b)
		for i := range body {
			body[i] = '!' // the next call's answer
		}
	}
	for i, b := range kept {
		if b.Name != name(i) || b.Year != "0" || (len(b.Voter) > 0) != (i%100 == 99) || strings.Trim(b.Voter, "v") != "" {
			t.Fatalf("ballot %d is %.40q now", i, b)
		}
	}
}

// A vote that is longer than a well-formed one can be is refused, before any
// rules are asked.
func TestVotesThatAreTooLong(t *testing.T) {
	r := New(small(rulestest.Broken().Code))
	for field, v := range map[string]*events.Vote{
		"name":  {Name: strings.Repeat("x", 1<<20)},
		"album": {Name: "A", Album: strings.Repeat("x", 4*events.MaxAlbum+1)},
		"voter": {Name: "A", VoterKey: make([]byte, 65)},
	} {
		if no, err := r.Judge(v); err != nil || no == nil || no.Code != events.TextTooLong || no.Field != field {
			t.Errorf("%s: refusal %v, error %v", field, no, err)
		}
	}
}

// What rests of a pool's instances is bounded, in number and in memory; the one
// that worked last is there for the next vote.
func TestPoolIsBounded(t *testing.T) {
	wide := small(nil)
	for i := range 300 {
		b := events.Band{Name: strings.Repeat("A", i+1)}
		for k := range 60 {
			b.Albums = append(b.Albums, events.Album{Title: strings.Repeat("B", k+1), Aliases: []string{strings.Repeat("C", k+40)}})
		}
		wide.Bands = append(wide.Bands, b)
	}
	p := newPool()
	var bytes int
	for made := 0; made < 2*maxIdleBytes; made += bytes {
		s := &source{module: house, contest: &wide}
		in, err := p.take(s)
		if err != nil {
			t.Fatal(err)
		}
		bytes = int(in.memory.Size())
		p.give(in)
		if again, err := p.take(s); err != nil || again != in {
			t.Fatalf("taken is another instance, %v", err)
		}
		p.give(in)
	}
	if bytes < maxIdleBytes/maxIdle {
		t.Fatalf("an instance has %d bytes: too few to show it", bytes)
	}
	if n := len(p.idle); n == 0 || n*bytes > maxIdleBytes || p.bytes != n*bytes || p.busy != 0 {
		t.Errorf("%d instances of %d bytes rest, said to have %d; %d are busy", n, bytes, p.bytes, p.busy)
	}
	few := small(nil)
	for range 2 * maxIdle {
		in, err := p.take(&source{module: house, contest: &few})
		if err != nil {
			t.Fatal(err)
		}
		p.give(in)
	}
	if n := len(p.idle); n != maxIdle {
		t.Errorf("%d small instances rest, not %d", n, maxIdle)
	}
}

// Many judge and read at once, and each gets the answer to its own question.
func TestManyAtOnce(t *testing.T) {
	r := New(events.Contest{ID: "rock", RankMax: 1000, YearMin: 1, YearMax: 9999, Bands: []events.Band{{Name: "One", Aliases: []string{"1"}}, {Name: "Two", Aliases: []string{"2"}}}})
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			alias, name := "1", "One"
			if worker%2 == 1 {
				alias, name = "2", "Two"
			}
			for range 300 {
				b, no, err := Read([]byte(`{"name":"`+alias+`","year":1,"rank":1}`), true)
				if no != nil || err != nil || b.Name != alias {
					t.Errorf("read is %+v, refusal %v, error %v", b, no, err)
					return
				}
				v := events.Vote{Name: b.Name, Year: 1, Rank: 100}
				if no, err := r.Judge(&v); no != nil || err != nil || v.Name != name {
					t.Errorf("judged is %+v, refusal %v, error %v", v, no, err)
					return
				}
			}
		})
	}
	all.Wait()
}

// The example's rule refuses live albums, and nothing else.
func TestExample(t *testing.T) {
	c := small(nil)
	c.Rules = rulestest.Example(t)
	r := New(c)
	for album, want := range map[string]string{
		"Centroamérica":           "none",
		"":                        "none",
		"Centroamérica (en vivo)": `rule_broken "album" message="Los discos en vivo no entran en este concurso / live albums are not part of this contest" rule="no_live_albums"`,
	} {
		v := events.Vote{Name: "Alux Nahual", Album: album, Year: 1999, Rank: 1}
		if no, err := r.Judge(&v); err != nil || say(no) != want {
			t.Errorf("%q: refusal %s, error %v, want %s", album, say(no), err, want)
		}
	}
}
