package rules

import (
	"context"
	"encoding/binary"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"marimba/events"
	"marimba/events/rules/abi"
	"marimba/events/rules/rulestest"
)

// small is a contest that admits nearly anything.
func small(code []byte) events.Contest {
	return events.Contest{ID: "small", OpenRoster: true, RankMax: 1000, YearMin: 1, YearMax: 9999, Rules: events.Module{Code: code}}
}

func smallVote(year int32) *events.Vote {
	return &events.Vote{Name: "A", Year: year, Rank: 1, At: time.UnixMilli(0)}
}

// input is where the modules of these tests have their room.
const input = 4096

// module makes a module whose judge has some code.
func moduleOf(code []byte, more ...func(*rulestest.Module)) []byte {
	m := rulestest.Module{
		Pages: 1,
		Functions: []rulestest.Function{
			{Name: "marimba_rules_1"},
			{Name: "room", Params: 1, Results: 1, Code: rulestest.Const(input)},
			{Name: "judge", Params: 1, Results: 1, Code: code},
		},
	}
	for _, change := range more {
		change(&m)
	}
	return m.Bytes()
}

// answering is data that makes an answer, at 16.
func answering(kind uint32, texts ...string) func(*rulestest.Module) {
	little := binary.LittleEndian
	var body []byte
	for _, text := range texts {
		body = append(little.AppendUint32(body, uint32(len(text))), text...)
	}
	answer := little.AppendUint32(little.AppendUint32(nil, kind), uint32(len(body)))
	return func(m *rulestest.Module) { m.Data = map[uint32]string{16: string(append(answer, body...))} }
}

// ifYear1 runs code about votes of the year 1, and admits all others.
func ifYear1(code ...any) []byte {
	return rulestest.Code(rulestest.Const(input+yearPlace), rulestest.Load, 2, 0, rulestest.Const(1), rulestest.Equal,
		rulestest.If, rulestest.Empty, rulestest.Code(code...), rulestest.End, rulestest.Const(0))
}

var (
	endless = rulestest.Code(rulestest.Loop, rulestest.Empty, rulestest.Br, 0, rulestest.End)
	bomb    = rulestest.Code(rulestest.Loop, rulestest.Empty, rulestest.Const(16), rulestest.Grow, 0, rulestest.Const(-1), rulestest.NotEqual, rulestest.BrIf, 0, rulestest.End)
)

// Whatever a contest's own module does to a vote, the answer is an error, never
// a refusal, and the next vote finds a module in order.
func TestFaultsOfVotes(t *testing.T) {
	for say, c := range map[string]struct {
		code []byte
		want string
	}{
		"trap":                   {moduleOf(ifYear1(rulestest.Unreachable)), "unreachable"},
		"endless loop":           {moduleOf(ifYear1(endless)), "it was cut off: it took too long"},
		"memory bomb":            {moduleOf(ifYear1(bomb, rulestest.Unreachable)), "unreachable|it was cut off"},
		"memory bomb that loops": {moduleOf(ifYear1(bomb, endless)), "it was cut off: it took too long"},
		"no room, and no end":    {moduleOf(rulestest.Const(0), func(m *rulestest.Module) { m.Functions[1].Code = rulestest.Code(endless, rulestest.Const(0)) }), "it was cut off"},
		"no room":                {moduleOf(rulestest.Const(0), func(m *rulestest.Module) { m.Functions[1].Code = rulestest.Const(0) }), "no room for 2048 bytes"},
		"recursion without end":  {moduleOf(ifYear1(rulestest.Const(0), rulestest.Call, 2, rulestest.Drop)), "stack overflow"},
		"outside of its memory":  {moduleOf(ifYear1(rulestest.Const(-4), rulestest.Load, 2, 0, rulestest.Drop)), "out of bounds memory access"},
		"an answer outside of its memory": {
			moduleOf(rulestest.Code(ifYear1(), rulestest.Drop, rulestest.Const(-1))), "a place outside of its memory"},
		"an answer of no kind": {moduleOf(rulestest.Const(16), answering(9)), "an answer of kind 9"},
		"a spelling":           {moduleOf(rulestest.Const(16), answering(2, "", "")), "an answer of kind 2"},
		"its own fault":        {moduleOf(rulestest.Const(16), answering(4, "x")), "x"},
		"an endless answer":    {moduleOf(rulestest.Const(16), func(m *rulestest.Module) { m.Data = map[uint32]string{16: "\x01\x00\x00\x00\xff\xff\xff\x7f"} }), "an answer of 2147483647 bytes"},
		"a refusal cut off": {moduleOf(rulestest.Const(16), func(m *rulestest.Module) {
			m.Data = map[uint32]string{16: "\x01\x00\x00\x00\x05\x00\x00\x00\xff\xff\xff\xff1"}
		}), "a refusal that is cut off"},
		"a refusal of nothing": {moduleOf(rulestest.Const(16), answering(1)), "a refusal of 0 texts"},
		"no message":           {moduleOf(rulestest.Const(16), answering(1, "rule", "name")), "not of a rule, a field and a message"},
		"no rule":              {moduleOf(rulestest.Const(16), answering(1, "Rule!", "name", "message", "x")), `a rule named "Rule!"`},
		"no field":             {moduleOf(rulestest.Const(16), answering(1, "rule", "colour", "message", "x")), `the field "colour", which a vote does not have`},
		"an empty message":     {moduleOf(rulestest.Const(16), answering(1, "rule", "name", "message", " ")), "a message that is empty"},
		"a message of control": {moduleOf(rulestest.Const(16), answering(1, "rule", "name", "message", "\u202e")), "a message that is empty"},
	} {
		t.Run(say, func(t *testing.T) {
			t.Parallel()
			r := New(small(c.code))
			v := smallVote(1)
			no, err := r.Judge(v)
			if no != nil || err == nil || !slices.ContainsFunc(strings.Split(c.want, "|"), func(want string) bool { return strings.Contains(err.Error(), want) }) {
				t.Fatalf("refusal %v, error %v, want an error with %q", no, err, c.want)
			}
			if !reflect.DeepEqual(v, smallVote(1)) {
				t.Errorf("the vote became %+v", v)
			}
			if !strings.Contains(string(c.code), string(rulestest.Const(input+yearPlace))) || strings.HasPrefix(say, "an answer outside") {
				return // it is faulty about every vote
			}
			r.own.failed.Store(nil)
			if no, err := r.Judge(smallVote(2)); no != nil || err != nil {
				t.Errorf("of the next vote: refusal %v, error %v", no, err)
			}
		})
	}
}

// A module that was cut off is not asked for a while: loops without an end take
// a part of a processor, not all of it.
func TestModulesAreLeftAloneAfterTheyWereCutOff(t *testing.T) {
	r := New(small(moduleOf(ifYear1(endless))))
	if _, err := r.Judge(smallVote(1)); err == nil {
		t.Fatal("no error of an endless loop")
	}
	r.own.failed.Store(&failure{time.Now().Add(time.Hour), errCutOff})
	if no, err := r.Judge(smallVote(2)); no != nil || err == nil || !strings.Contains(err.Error(), "left alone for an instant: it was cut off") {
		t.Errorf("while it is left alone: refusal %v, error %v", no, err)
	}
	r.own.failed.Store(&failure{time.Now(), errCutOff})
	if no, err := r.Judge(smallVote(2)); no != nil || err != nil {
		t.Errorf("afterwards: refusal %v, error %v", no, err)
	}
}

// A module's memory grows to its bound, and not by a page more.
func TestMemoryIsBounded(t *testing.T) {
	grown := func(pages, before int32) []byte {
		return rulestest.Code(rulestest.Const(pages), rulestest.Grow, 0, rulestest.Const(before), rulestest.NotEqual, rulestest.If, rulestest.Empty, rulestest.Unreachable, rulestest.End)
	}
	code := moduleOf(rulestest.Code(grown(abi.MaxPages-1, 1), grown(1, -1), rulestest.Const(0)))
	r := New(small(code))
	r.own.module = func() (*module, error) {
		m, err := confined(code, abi.MaxPages)
		if err == nil {
			m.limit = time.Minute // the bound of memory is at work here, not that of time
		}
		return m, err
	}
	if no, err := r.Judge(smallVote(1)); no != nil || err != nil {
		t.Errorf("refusal %v, error %v", no, err)
	}
}

// What cannot be a contest's rules judges nothing, and it is told why.
func TestFaultsOfModules(t *testing.T) {
	fine := rulestest.Const(0)
	contest := func(code ...any) func(*rulestest.Module) {
		return func(m *rulestest.Module) {
			m.Functions = append(m.Functions, rulestest.Function{Name: "contest", Params: 1, Results: 1, Code: rulestest.Code(code...)})
		}
	}
	for say, c := range map[string]struct {
		code []byte
		want string
	}{
		"no module":      {[]byte("rules"), "is not a WebAssembly module"},
		"another ABI":    {moduleOf(fine, func(m *rulestest.Module) { m.Functions[0].Name = "marimba_rules_2" }), "does not export the function marimba_rules_1"},
		"invalid code":   {moduleOf(rulestest.Code(rulestest.Drop)), "invalid function[2]"},
		"grows a table":  {moduleOf(rulestest.Code(0xd0, 0x70, rulestest.Const(1), 0xfc, 15, 0), func(m *rulestest.Module) { m.Table = 1 }), "invalid function[2]"},
		"loops at start": {moduleOf(fine, func(m *rulestest.Module) { m.Start, m.Functions[0].Code = m.Functions[0].Name, endless }), "it was cut off"},
		"traps at start": {moduleOf(fine, func(m *rulestest.Module) {
			m.Start, m.Functions[0].Code = m.Functions[0].Name, rulestest.Code(rulestest.Unreachable)
		}), "unreachable"},
		"no room":       {moduleOf(fine, contest(fine), func(m *rulestest.Module) { m.Functions[1].Code = fine }), "no room for 2048 bytes"},
		"room outside":  {moduleOf(fine, contest(fine), func(m *rulestest.Module) { m.Functions[1].Code = rulestest.Const(65_000) }), "a place outside of its memory"},
		"contest traps": {moduleOf(fine, contest(rulestest.Unreachable)), "give it the contest: wasm error: unreachable"},
		"contest loops": {moduleOf(fine, contest(endless, fine)), "give it the contest: it was cut off"},
		"contest refused": {moduleOf(fine, contest(rulestest.Const(16)), func(m *rulestest.Module) {
			m.Data = map[uint32]string{16: "\x04\x00\x00\x00\x08\x00\x00\x00too long"}
		}), "give it the contest: too long"},
	} {
		t.Run(say, func(t *testing.T) {
			t.Parallel()
			r := New(small(c.code))
			for range 2 {
				no, err := r.Judge(smallVote(2))
				if no != nil || err == nil || !strings.HasPrefix(err.Error(), "judge a vote by the rules of small: ") || !strings.Contains(err.Error(), c.want) {
					t.Errorf("refusal %v, error %v, want one with %q", no, err, c.want)
				}
			}
		})
	}
}

// A contest's own rule judges votes in the roster's spelling, and only those
// that the contest's terms admit.
func TestOwnRules(t *testing.T) {
	seen := func(text string) []byte { // refuses, unless the vote's first text begins so
		word := binary.LittleEndian.Uint32([]byte(text))
		return rulestest.Code(rulestest.Const(input+ballotHead), rulestest.Load, 2, 0, rulestest.Const(int32(word)), rulestest.Equal,
			rulestest.If, rulestest.Empty, rulestest.Const(0), 0x0f /* return */, rulestest.End, rulestest.Const(16))
	}
	code := moduleOf(seen("Alux"), answering(1, "only_alux", "name", "message", "Solo Alux  / only Alux"))
	c := small(code)
	c.Bands = []events.Band{{Name: "Alux Nahual", Aliases: []string{"MTS"}}, {Name: "La Tona"}}
	r := New(c)
	for name, want := range map[string]string{
		"alux nahual": "none",
		"mts":         "none",
		"La Tona":     `rule_broken "name" message="Solo Alux / only Alux" rule="only_alux"`,
	} {
		v := smallVote(2000)
		v.Name = name
		no, err := r.Judge(v)
		if err != nil || say(no) != want {
			t.Errorf("%s: refusal %s, error %v, want %s", name, say(no), err, want)
		}
		if no == nil && v.Name != "Alux Nahual" || no != nil && v.Name != name {
			t.Errorf("%s is spelled %s", name, v.Name)
		}
	}
	v := smallVote(0)
	v.Name = "La Tona"
	if no, err := r.Judge(v); err != nil || no == nil || no.Code != events.YearOutOfRange {
		t.Errorf("a vote that the terms do not admit: refusal %v, error %v", no, err)
	}
}

// A contest whose module loops without an end keeps no other contest waiting for
// good, and instances are not mixed up among contests.
func TestContestsDoNotHarmOneAnother(t *testing.T) {
	loops := New(small(moduleOf(ifYear1(endless))))
	const contests, votes = 100, 200
	var all [contests]*Rules
	for i := range all {
		c := small(nil)
		c.Bands = []events.Band{{Name: strings.Repeat("A", i+1), Aliases: []string{"a"}}}
		all[i] = New(c)
	}
	ctx, stop := context.WithCancel(t.Context())
	var looping, judging sync.WaitGroup
	for range 4 {
		looping.Go(func() {
			for ctx.Err() == nil {
				if _, err := loops.Judge(smallVote(1)); err == nil {
					t.Error("no error of an endless loop")
					return
				}
				loops.own.failed.Store(nil)
			}
		})
	}
	for worker := range 8 {
		judging.Go(func() {
			for i := range votes {
				at := (i*7 + worker) % contests
				v := smallVote(2000)
				v.Name = "a"
				if no, err := all[at].Judge(v); no != nil || err != nil || len(v.Name) != at+1 {
					t.Errorf("contest %d: %q, refusal %v, error %v", at, v.Name, no, err)
					return
				}
			}
		})
	}
	judging.Wait()
	stop()
	looping.Wait()
	for name, p := range map[string]*pool{"house": houseInstances, "own": ownInstances} {
		p.mu.Lock()
		if p.busy != 0 || len(p.idle) > maxIdle {
			t.Errorf("%s: %d instances are busy, %d at rest", name, p.busy, len(p.idle))
		}
		p.mu.Unlock()
	}
}

// No module, however it is made, does more harm than an error.
func FuzzModules(f *testing.F) {
	example, err := os.ReadFile("example/example.wasm")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(example)
	f.Add(moduleOf(ifYear1(bomb, endless)))
	f.Add(moduleOf(ifYear1(rulestest.Const(0), rulestest.Call, 2, rulestest.Drop), answering(1, "rule", "name", "message", "x")))
	f.Fuzz(func(t *testing.T, code []byte) {
		r := New(small(code))
		for year := range int32(3) {
			if no, err := r.Judge(smallVote(year)); err == nil && no != nil && no.Code != events.RuleBroken && year > 0 {
				t.Errorf("refusal %v", no)
			}
		}
	})
}
