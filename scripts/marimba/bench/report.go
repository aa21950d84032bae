package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"marimba/events"
)

// report is all that came of a run. The other forms of it are made of its JSON.
type report struct {
	Command string     `json:"command"`
	At      time.Time  `json:"at"`
	Minutes float64    `json:"minutes"`
	Machine machine    `json:"machine"`
	Plan    plan       `json:"plan"`
	Lines   []line     `json:"lines"`
	Flat    []rung     `json:"flat,omitempty"`
	Targets []target   `json:"targets"`
	Books   []book     `json:"books"`
	Rounds  []measured `json:"rounds"` // what the lines are made of
}

// line is a step over all rounds.
type line struct {
	Ground    string             `json:"ground"`
	Step      string             `json:"step"`
	Answered  figure             `json:"answered_votes_s"`
	Counted   figure             `json:"counted_votes_s"`
	Durable   latency            `json:"durable"`
	ToCounted latency            `json:"counted"`
	Failed    int64              `json:"failed_requests"`
	CPU       map[string]figure  `json:"cpu_us_a_vote"`
	Functions figure             `json:"functions_us_a_vote"` // all functions together
	Peak      map[string]float64 `json:"peak_mib"`
	Kafka     figure             `json:"kafka_bytes_a_vote"`
	Redis     figure             `json:"redis_bytes_a_vote"`
	Box       figure             `json:"votes_a_box"`
}

// report sums the run up.
func (r *run) report(command string, began time.Time) (report, error) {
	out := report{
		Command: command, At: began.UTC().Truncate(time.Second), Minutes: time.Since(began).Minutes(),
		Machine: thisMachine(), Plan: r.plan, Flat: r.flat, Books: r.books, Rounds: r.rounds,
	}
	var err error
	if out.Lines, err = linesOf(r.rounds); err != nil {
		return out, err
	}
	out.Targets = targetsOf(out)
	return out, nil
}

// micros is CPU seconds over votes, in microseconds a vote.
func micros(seconds float64, votes int64) float64 { return seconds * 1e6 / float64(max(1, votes)) }

// ofFunctions is the CPU that all functions took together.
func (u used) ofFunctions() float64 {
	sum := 0.0
	for name, seconds := range u.CPU {
		if _, ok := events.RouteOf(name); ok {
			sum += seconds
		}
	}
	return sum
}

// linesOf gathers the rounds of each step, in the order in which they first came.
func linesOf(rounds []measured) ([]line, error) {
	type key struct{ ground, step string }
	var order []key
	of := map[key][]measured{}
	for _, m := range rounds {
		k := key{m.Ground, m.Step}
		if of[k] == nil {
			order = append(order, k)
		}
		of[k] = append(of[k], m)
	}
	var out []line
	for _, k := range order {
		l, err := lineOf(of[k])
		if err != nil {
			return nil, fmt.Errorf("%s, %s: %w", k.ground, k.step, err)
		}
		out = append(out, l)
	}
	return out, nil
}

func lineOf(rounds []measured) (line, error) {
	l := line{Ground: rounds[0].Ground, Step: rounds[0].Step, CPU: map[string]figure{}, Peak: map[string]float64{}}
	var durable, counted [][]byte
	var answered, until, functions, kafka, redis, box []float64
	cpu := map[string][]float64{}
	for _, m := range rounds {
		votes := float64(m.Votes)
		answered = append(answered, votes/m.Took)
		if m.Until > 0 {
			until = append(until, votes/m.Until)
		}
		functions = append(functions, micros(m.ofFunctions(), m.Votes))
		kafka, redis = append(kafka, float64(m.Kafka)/votes), append(redis, float64(m.Redis)/votes)
		if m.Boxes > 0 {
			box = append(box, votes/float64(m.Boxes))
		}
		durable, counted = append(durable, m.Durable), append(counted, m.Counted)
		for name, seconds := range m.CPU {
			cpu[name] = append(cpu[name], micros(seconds, m.Votes))
		}
		for name, mib := range m.Peak {
			l.Peak[name] = max(l.Peak[name], mib)
		}
		l.Failed += m.Failed
	}
	l.Answered, l.Counted, l.Functions = figureOf(answered), figureOf(until), figureOf(functions)
	l.Kafka, l.Redis, l.Box = figureOf(kafka), figureOf(redis), figureOf(box)
	for name, of := range cpu {
		l.CPU[name] = figureOf(of)
	}
	for to, of := range map[*latency][][]byte{&l.Durable: durable, &l.ToCounted: counted} {
		h, err := merged(of...)
		if err != nil {
			return line{}, err
		}
		if h.TotalCount() > 0 {
			*to = latencyOf(h)
		}
	}
	return l, nil
}

// line finds a step; ok is false if it was not done.
func (r report) line(ground, step string) (line, bool) {
	i := slices.IndexFunc(r.Lines, func(l line) bool { return l.Ground == ground && l.Step == step })
	if i < 0 {
		return line{}, false
	}
	return r.Lines[i], true
}

// on are the steps of a ground.
func (r report) on(ground string) []line {
	var out []line
	for _, l := range r.Lines {
		if l.Ground == ground {
			out = append(out, l)
		}
	}
	return out
}

// grounds in the order of the run.
func (r report) grounds() []string {
	var out []string
	for _, l := range r.Lines {
		if !slices.Contains(out, l.Ground) {
			out = append(out, l.Ground)
		}
	}
	return out
}

// peak is the most memory that each function had anywhere, in MiB.
func (r report) peak() map[string]float64 {
	out := map[string]float64{}
	for _, l := range r.Lines {
		for name, mib := range l.Peak {
			if _, ok := events.RouteOf(name); ok {
				out[name] = max(out[name], mib)
			}
		}
	}
	return out
}

// byCost are the names of what was measured, the most expensive first.
func byCost(cpu map[string]figure) []string {
	names := slices.Collect(maps.Keys(cpu))
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(cpu[b].Mean, cpu[a].Mean), cmp.Compare(a, b))
	})
	return names
}
