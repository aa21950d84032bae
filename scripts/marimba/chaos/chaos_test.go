package main

import (
	"encoding/json"
	"io"
	"math/rand/v2"
	"net"
	"regexp"
	"strings"
	"testing"

	"marimba/scripts/marimba/house"
)

// echo is a store that says what it hears.
func echo(t *testing.T) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lis.Close() })
	go func() {
		for {
			conn, err := lis.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				io.Copy(conn, conn)
			}()
		}
	}()
	return lis.Addr().String()
}

// say sends a text through a proxy and returns what comes back until as much has
// come or the connection is cut.
func say(t *testing.T, p *proxy, text string) string {
	t.Helper()
	conn, err := net.Dial("tcp", p.address())
	if err != nil {
		return ""
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		return ""
	}
	heard := make([]byte, len(text))
	n, _ := io.ReadFull(conn, heard)
	return string(heard[:n])
}

// Each mood does to what passes what its name says, and none outlasts it.
func TestProxy(t *testing.T) {
	p, err := newProxy(echo(t))
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	const text = "a vote for Alux Nahual"
	for _, m := range []mood{refuses, garbles, cutsHalf} {
		p.set(m)
		heard := say(t, p, text)
		switch m {
		case refuses:
			if heard != "" {
				t.Errorf("refused, and heard %q", heard)
			}
		case garbles:
			if heard == text || len(heard) == 0 {
				t.Errorf("garbled: heard %q", heard)
			}
		case cutsHalf:
			if len(heard) >= len(text) || !strings.HasPrefix(text, heard) {
				t.Errorf("cut: heard %q", heard)
			}
		}
		p.set(passes)
		if heard := say(t, p, text); heard != text {
			t.Errorf("after mood %d: heard %q", m, heard)
		}
	}
}

// A proxy whose store is away hangs up, and passes again when it is back.
func TestProxyWithoutStore(t *testing.T) {
	p, err := newProxy("127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if heard := say(t, p, "x"); heard != "" {
		t.Errorf("heard %q of nobody", heard)
	}
}

// A pattern leaves the troubles that it matches, and none is an error.
func TestOnlySome(t *testing.T) {
	order, err := draw(rand.New(rand.NewPCG(1, 1)), 5, regexp.MustCompile("^redis: back"))
	if err != nil || len(order) != 5 {
		t.Fatalf("%d troubles, error %v", len(order), err)
	}
	for _, trouble := range order {
		if !strings.HasPrefix(trouble.name, "redis: back") {
			t.Errorf("%s was drawn", trouble.name)
		}
	}
	if _, err := draw(rand.New(rand.NewPCG(1, 1)), 5, regexp.MustCompile("earthquake")); err == nil {
		t.Error("nothing to do, and no error")
	}
}

// A seed draws the same troubles in the same order, all kinds before any comes
// again, and casts the same votes.
func TestSeedRepeats(t *testing.T) {
	drawn := func(seed uint64) (string, *load) {
		var names []string
		order, err := draw(rand.New(rand.NewPCG(seed, seed)), 2*len(troubles), regexp.MustCompile(""))
		if err != nil {
			t.Fatal(err)
		}
		for _, trouble := range order {
			names = append(names, trouble.name)
		}
		first := map[string]bool{}
		for _, name := range names[:len(troubles)] {
			first[name] = true
		}
		if len(first) != len(troubles) {
			t.Errorf("seed %d: %d kinds in the first %d rounds", seed, len(first), len(troubles))
		}
		return strings.Join(names, "\n"), &load{dice: rand.New(rand.NewPCG(seed, 1)), seed: seed}
	}
	one, l1 := drawn(7)
	same, l2 := drawn(7)
	other, _ := drawn(8)
	if one != same || one == other {
		t.Error("the order is not the seed's")
	}
	open1, limited1 := l1.rows(1000)
	open2, limited2 := l2.rows(1000)
	if len(open1)+len(limited1) != 1000 || len(limited1) == 0 || len(open1) != len(open2) || len(limited1) != len(limited2) {
		t.Fatalf("%d and %d votes", len(open1), len(limited1))
	}
	seen := map[string]bool{}
	for i := range open1 {
		if open1[i] != open2[i] {
			t.Fatalf("vote %d: %+v and %+v", i, open1[i], open2[i])
		}
		seen[open1[i].Ballot.ID] = true
	}
	if int64(len(seen)) != l1.distinct {
		t.Errorf("%d ids for %d votes", len(seen), l1.distinct)
	}
}

// The report names what was lost or counted twice, and what did not balance.
func TestReport(t *testing.T) {
	r := result{Seed: 7, Rate: 2000, Answered: 12, Lost: 1, Rounds: []round{
		{N: 1, Trouble: "redis: refuses", Did: "900 ms", Balanced: true, Seconds: 0.4},
		{N: 2, Trouble: "kafka: kill -9, restart", Fault: "1 votes are still on their way"},
	}}
	text := r.markdown()
	for _, want := range []string{"| 2 | 2 | 12 | 1 | 0 |", "| 1 | redis: refuses | 900 ms | 0 | 0.4 s |", "NOT BALANCED: 1 votes"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	var a house.Audited
	if err := json.Unmarshal([]byte(`{"in_flight": 3, "contests": [{"contest": "x", "total": {"counted": 2}, "public_log": {"leaves": 1, "unsealed": 1}}]}`), &a); err != nil {
		t.Fatal(err)
	}
	if a.Sealed() {
		t.Error("a vote has no leaf, and all are sealed")
	}
	if says := says(a, 5); !strings.Contains(says, "1 counted votes of x are not in the public log yet") || !strings.Contains(says, "3 votes are still") || !strings.Contains(says, "0 votes are counted of 5") {
		t.Error(says)
	}
}

// A process that has ended has neither a name nor children: nobody else's is
// killed in its place.
func TestEndedProcess(t *testing.T) {
	if name := house.Program(1 << 30); name != "" {
		t.Errorf("a process that is not there is %q", name)
	}
	if pids := house.Children(1 << 30); len(pids) != 0 {
		t.Errorf("its children are %v", pids)
	}
}
