package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// section is a part of a page, whatever form the page has.
type section struct {
	Title string
	Text  []string
	Head  []string
	Rows  [][]string
	After []string
	Plots []plotted // in HTML alone
}

// plotted is a plot as SVG, and what it shows.
type plotted struct {
	Says string
	SVG  string
}

// sections are those of the report.
func (r report) sections() ([]section, error) {
	out := []section{r.opening(), r.targetSection()}
	for _, ground := range r.grounds() {
		if ground == onFlat {
			continue
		}
		speed := r.groundSection(ground)
		tails, err := r.tails(ground)
		if err != nil {
			return nil, fmt.Errorf("latencies of %s: %w", ground, err)
		}
		speed.Plots = append(speed.Plots, tails...)
		out = append(out, speed, r.costSection(ground))
	}
	if len(r.Flat) > 0 {
		out = append(out, r.flatSection())
	}
	return append(out, r.bookSection(), r.howSection()), nil
}

// tails are the plots of latencies that a ground has: up to Kafka in closed loops,
// the whole way in open ones, where nothing that was late is left out.
func (r report) tails(ground string) ([]plotted, error) {
	durable := func(m measured) []byte { return m.Durable }
	switch ground {
	case onDoors:
		one, err := r.tailPlot(ground, single, "latency to durable, closed loop", durable)
		return []plotted{one}, err
	case onWhole:
		var open []string
		for _, path := range single {
			open = append(open, path+" open")
		}
		one, err := r.tailPlot(ground, open, "latency to durable, open loop, from when a vote was due", durable)
		if err != nil {
			return nil, err
		}
		two, err := r.tailPlot(ground, open, "latency to counted, open loop, from when a vote was due", func(m measured) []byte { return m.Counted })
		return []plotted{one, two}, err
	}
	return nil, nil
}

func (r report) opening() section {
	s := section{Title: "Marimba bench", Text: []string{
		fmt.Sprintf("`%s`, %s, %.0f minutes, %d rounds.", r.Command, r.At.Format("2006-01-02 15:04 MST"), r.Minutes, r.Plan.Rounds),
		fmt.Sprintf("%d cores of %s, %s, %s; load before the run %s.", r.Machine.Cores, r.Machine.CPU, r.Machine.Kernel, r.Machine.Memory, r.Machine.Load),
	}}
	if r.Plan.Quick {
		s.Text = append(s.Text, "**This is a quick run: it shows that all runs and that the books balance. Its figures are of too little to be told to anybody.**")
	}
	s.Head = []string{"what", "version"}
	for _, name := range slices.Sorted(maps.Keys(r.Machine.Versions)) {
		s.Rows = append(s.Rows, []string{name, r.Machine.Versions[name]})
	}
	s.After = []string{"Everything runs on this one machine and shares its cores: Kafka, Redis, log store, functions and what casts the votes."}
	return s
}

func (r report) targetSection() section {
	s := section{Title: "Targets", Head: []string{"target", "wanted", "measured", "reached"}}
	for _, t := range r.Targets {
		sign, got, reached := "at most ", number(t.Got)+" "+t.Unit, "yes"
		if t.AtLeast {
			sign = "at least "
		}
		switch {
		case !t.Known:
			got, reached = "–", "not measured"
		case !t.Reached:
			reached = fmt.Sprintf("no: missed by a factor of %.2f", t.far())
		}
		s.Rows = append(s.Rows, []string{t.Says, sign + number(t.Wanted) + " " + t.Unit, strings.TrimSpace(got), reached})
	}
	return s
}

// groundTells says what a ground is.
var groundTells = map[string]string{
	onDoors: "From the client to Kafka's acknowledgement. The doors run by themselves, as do the servers that do nothing, with the " +
		"same clients; nobody counts meanwhile. Floors stand in the same table.",
	onWhole: "From the client until the vote is in the log and in the counts, by Knative's stand-in, on Apache Kafka, redis-server and " +
		"FerretDB. Steps named open have requests due at set times, and latency counts from these.",
	onAcknowledged: "The same with a log store that only acknowledges and keeps no log. It shows what the functions can do themselves; " +
		"no such system should be run.",
}

func (r report) groundSection(ground string) section {
	s := section{
		Title: "Speed: " + ground, Text: []string{groundTells[ground]},
		Head: []string{"step", "votes/s answered", "votes/s counted", "durable p50", "p99", "p99.9", "counted p50", "p99", "p99.9", "failed"},
	}
	for _, l := range r.on(ground) {
		s.Rows = append(s.Rows, slices.Concat(
			[]string{l.Step, l.Answered.text(), l.Counted.text()}, l.Durable.texts(), l.ToCounted.texts(), []string{strconv.FormatInt(l.Failed, 10)}))
	}
	s.After = []string{"Mean of the rounds ± its 95 % confidence interval. Latencies in ms, of requests: a bulk is one."}
	s.Plots = []plotted{speedPlot(r.on(ground), "votes/s answered", func(l line) figure { return l.Answered })}
	if ground != onDoors {
		s.Plots = append(s.Plots, speedPlot(r.on(ground), "votes/s counted", func(l line) figure { return l.Counted }))
	}
	return s
}

// costSection is where the CPU goes, and the bytes.
func (r report) costSection(ground string) section {
	lines := r.on(ground)
	all := map[string]figure{}
	for _, l := range lines {
		for name, f := range l.CPU {
			all[name] = figure{Mean: max(all[name].Mean, f.Mean)}
		}
	}
	names := slices.DeleteFunc(byCost(all), func(name string) bool { return all[name].Mean == 0 })
	s := section{
		Title: "Cost: " + ground,
		Text:  []string{"CPU in µs a vote, by process; bytes a vote."},
		Head:  slices.Concat([]string{"step", "all functions"}, names, []string{"votes a box", "bytes in Kafka", "bytes in Redis"}),
	}
	for _, l := range lines {
		row := []string{l.Step, l.Functions.text()}
		for _, name := range names {
			row = append(row, l.CPU[name].text())
		}
		s.Rows = append(s.Rows, append(row, l.Box.text(), l.Kafka.text(), l.Redis.text()))
	}
	var peaks []string
	most := map[string]float64{}
	for _, l := range lines {
		for name, mib := range l.Peak {
			most[name] = max(most[name], mib)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(most)) {
		peaks = append(peaks, fmt.Sprintf("%s %.0f MiB", name, most[name]))
	}
	s.After = []string{"Most memory of one process: " + strings.Join(peaks, ", ") + "."}
	return s
}

func (r report) flatSection() section {
	s := section{
		Title: "As the votes grow",
		Text:  []string{"What things cost when the house, on FerretDB, holds so many votes."},
		Head:  []string{"votes", "functions, µs a vote", "board, ms", "receipt, ms", "audit, s", "audit, µs a vote", "Redis, bytes a vote"},
	}
	for _, f := range r.Flat {
		s.Rows = append(s.Rows, []string{
			strconv.FormatInt(f.Votes, 10), number(f.CPU), number(f.Board), number(f.Receipt), number(f.Audit), number(f.AuditOne), number(f.Redis),
		})
	}
	s.Plots = []plotted{flatPlot(r.Flat)}
	return s
}

func (r report) bookSection() section {
	s := section{
		Title: "Books", Text: []string{"Drawn up after each round. A run whose books do not balance fails."},
		Head: []string{"ground", "round", "by", "answered with a promise", "counted", "balanced", "seconds"},
	}
	for _, b := range r.Books {
		word := "yes"
		if !b.Balanced {
			word = "NO: " + b.Says
		}
		s.Rows = append(s.Rows, []string{
			b.Ground, strconv.Itoa(b.Round), b.By, strconv.FormatInt(b.Cast, 10), strconv.FormatInt(b.Counted, 10), word, number(b.Seconds),
		})
	}
	return s
}

func (r report) howSection() section {
	p := r.Plan
	return section{Title: "How", Text: []string{
		fmt.Sprintf("Steps are done once in each round, in an order that is drawn anew (seed %d). One generator, a process of its own, "+
			"casts the votes: in a closed loop with %d requests on their way, or an eighth of that where a request has many votes.", p.Seed, p.AtOnce),
		"*Durable* is the answer: Kafka has the vote, acks=all. *Counted* is when the vote's box is on the stream of newest votes, which is in the " +
			"same moment that it is in the figures, after the log has it. In bulk every tenth request asks for receipts, and is followed so.",
		"CPU and memory are those of /proc, ten times a second; a process is measured from its start. Hundredths of a second are the kernel's unit.",
		"*kafka-async* is librdkafka's asynchronous produce, a record a vote. *redis-pipes* is two increments a vote in pipelines of 500. " +
			"*log-many* and *log-one* insert documents of the house's own log again, 64 in a command or one. *one-by-one* is a record a vote and a " +
			"consumer that does InsertOne, HINCRBY, HINCRBY and waits for each. *read-json*, *read-proto* and *judge* are loops within one process: " +
			"reading a vote as the doors do, and asking the contest's rules in WebAssembly, in votes a CPU second.",
		"The votes are those of the demo contest's files, over and over under other ids. So boxes compress better than they would in earnest: the " +
			"bytes in Kafka are the least that there can be.",
		"The log store is FerretDB 1.24 on SQLite; nothing here was measured on a real mongod.",
	}}
}

// text is a figure for people.
func (f figure) text() string {
	switch f.N {
	case 0:
		return "–"
	case 1:
		return number(f.Mean)
	}
	return number(f.Mean) + " ± " + number(f.Half)
}

func (l latency) texts() []string {
	if l.N == 0 {
		return []string{"–", "–", "–"}
	}
	return []string{number(l.P50), number(l.P99), number(l.P999)}
}

// number writes a number with three digits that tell something, and thousands
// apart.
func number(n float64) string {
	switch size := max(n, -n); {
	case size == 0:
		return "0"
	case size >= 100:
		return apart(strconv.FormatFloat(n, 'f', 0, 64))
	case size >= 10:
		return strconv.FormatFloat(n, 'f', 1, 64)
	}
	return strconv.FormatFloat(n, 'f', 2, 64)
}

func apart(digits string) string {
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return sign + digits
}
