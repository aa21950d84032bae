package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

// sample is a report of made-up rounds.
func sample(t *testing.T) report {
	t.Helper()
	histogram := func(ms ...int64) []byte {
		h := newHistogram()
		for _, m := range ms {
			record(h, 1000*m)
		}
		text, err := packed(h)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	r := run{plan: full, flat: []rung{{10_000, 20, 1, 2, 0.1, 10, 12}, {100_000, 22, 1.1, 4, 1.1, 11, 11}}}
	for round := 1; round <= 3; round++ {
		add := func(ground, step string, votes int64, took, until float64, cpu map[string]float64) {
			m := measured{
				Ground: ground, Step: step, Round: round, Votes: votes, Took: took + 0.01*float64(round), Until: until, Kafka: 20 * votes, Redis: 9 * votes, Boxes: votes / 50,
				used: used{CPU: cpu, Peak: map[string]float64{"ingress-grpc": 30, "tally": 70, generator: 40}}, Durable: histogram(3, 4, 5),
			}
			if until > 0 {
				m.Counted = histogram(10, 12, 14)
			}
			r.rounds = append(r.rounds, m)
		}
		add(onDoors, "no-op-grpc", 1000, 0.1, 0, map[string]float64{"no-op-grpc": 0.03, generator: 0.05})
		add(onDoors, "no-op-http", 1000, 0.1, 0, map[string]float64{"no-op-http": 0.02, generator: 0.05})
		add(onDoors, "grpc-unary", 1000, 0.12, 0, map[string]float64{"ingress-grpc": 0.04, generator: 0.05})
		add(onDoors, "http-json", 1000, 0.5, 0, map[string]float64{"ingress-http": 0.05, generator: 0.06})
		add(onDoors, "grpc-batch", 100_000, 0.5, 0, map[string]float64{"ingress-grpc": 0.4, generator: 0.1})
		add(onDoors, "bulk", 100_000, 0.9, 0, map[string]float64{"ingress-http": 0.5, generator: 0.1})
		add(onDoors, "judge", 100_000, 0.1, 0, map[string]float64{generator: 0.1})
		add(onWhole, "bulk", 10_000, 0.5, 1, map[string]float64{"ingress-http": 0.05, "screen": 0.05, "tally": 0.1, "kafka": 0.1})
		add(onWhole, "one-by-one", 100, 0.2, 0, nil)
		add(onWhole, "log-many", 10_000, 0.5, 0, nil)
		add(onWhole, "lone vote", 20, 1, 1, nil)
	}
	r.books = []book{{Ground: onWhole, Round: 1, By: "audit", Cast: 30_300, Counted: 30_300, Balanced: true, Seconds: 0.5}}
	out, err := r.report("go run ./scripts/marimba bench", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	out.At, out.Minutes = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC), 25
	out.Machine = machine{Cores: 2, CPU: "a CPU", Kernel: "Linux 6", Memory: "8 GiB", Load: "0.10 0.10 0.10", Versions: map[string]string{"go": "go1.26"}}
	return out
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not as it was; see with -update what changed", name)
	}
}

// The report and the answer say of the same rounds what they said before.
func TestReportGolden(t *testing.T) {
	r := sample(t)
	sections, err := r.sections()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "report.md", []byte(markdown(sections)))
	answer, err := r.answer()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "answer.md", []byte(markdown(answer)))
}

// The page has the plots, is whole without anything from elsewhere, and escapes what
// was not drawn here.
func TestPage(t *testing.T) {
	r := sample(t)
	r.Command = "bench <script>"
	var out bytes.Buffer
	sections, err := r.sections()
	if err != nil {
		t.Fatal(err)
	}
	if err := page(&out, sections); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	if n := strings.Count(text, "<svg"); n < 5 {
		t.Errorf("%d plots", n)
	}
	for _, not := range []string{"<script", "src=", "@import", "<link", "url("} {
		if strings.Contains(text, not) {
			t.Errorf("%q is in the page", not)
		}
	}
}

// Targets are reached or missed by a factor, either way round, and one that was not
// measured is neither.
func TestTargets(t *testing.T) {
	byName := map[string]target{}
	for _, one := range sample(t).Targets {
		byName[one.Says] = one
	}
	for says, want := range map[string]bool{
		"grpc-unary, requests/s as a share of no-op-grpc": true, "http-json, requests/s as a share of no-op-http": false,
		"all functions together, bulk": true, "memory of tally at full load": false, "memory of ingress-grpc at full load": true,
		"a receipt, at 100000 votes, times at 10000": false, "the board, at 100000 votes, times at 10000": true,
	} {
		if got, ok := byName[says]; !ok || got.Reached != want || !got.Known || (got.far() <= 1) != want {
			t.Errorf("%s: %+v", says, got)
		}
	}
	if zero := byName["from zero, all asleep, cast to counted, p50"]; zero.Known || zero.Reached {
		t.Errorf("%+v", zero)
	}
}

// A verdict is given only where rounds differ by more than chance.
func TestVerdict(t *testing.T) {
	of := func(step string, mean, half float64, n int) line {
		return line{Step: step, Answered: figure{mean, half, n}}
	}
	for _, c := range []struct {
		a, b line
		want string
	}{
		{of("a", 100, 10, 5), of("b", 105, 10, 5), "do not differ"},
		{of("a", 100, 10, 5), of("b", 200, 10, 5), "b took less time"},
		{of("a", 300, 10, 5), of("b", 200, 10, 5), "a took less time"},
		{of("a", 300, 0, 1), of("b", 200, 0, 1), "tells nothing"},
	} {
		if got := verdict(c.a, c.b); !strings.Contains(got, c.want) {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// Rungs begin at ten thousand or a little above, end at the most, and are two at
// least.
func TestRungs(t *testing.T) {
	for most, want := range map[int][]int{0: nil, 4000: {400, 4000}, 10_000: {1000, 10_000}, 5_000_000: {50_000, 500_000, 5_000_000}} {
		got := rungs(most)
		if len(got) != len(want) {
			t.Errorf("%d: %v", most, got)
			continue
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%d: %v", most, got)
			}
		}
	}
}

// The first round keeps the steps' order, as floors need what came before; later ones
// are drawn, the same from the same seed; and every plan is within its bounds.
func TestPlans(t *testing.T) {
	for _, p := range []plan{full, quick} {
		if err := p.check(); err != nil {
			t.Error(err)
		}
		steps := p.wholeWay()
		names := func(round int) string {
			var all []string
			for _, s := range p.order(steps, round) {
				all = append(all, s.Name)
			}
			return strings.Join(all, ",")
		}
		second, again := names(2), names(2)
		if names(1) == second || second == names(3) || second != again || !strings.HasPrefix(names(1), "grpc-unary,") {
			t.Error("the orders are not drawn")
		}
	}
	broken := full
	broken.Rounds = 0
	if broken.check() == nil {
		t.Error("no rounds were taken")
	}
}
