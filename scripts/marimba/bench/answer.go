package main

import (
	"encoding/json"
	"fmt"
	"math"

	"google.golang.org/protobuf/proto"
)

// The question that this whole contest of systems began with, answered out of a
// report: which took less time, and why? When gRPC, when Wasm?

// effect is one difference between two steps that differ in one thing alone.
type effect struct {
	what string
	than string // the step that the other is held against
	this string
}

// effects, each with the two steps that separate it.
var effects = []effect{
	{"protocol alone: gRPC instead of HTTP/1.1, servers that do nothing", "no-op-http", "no-op-grpc"},
	{"all together: gRPC unary instead of HTTP JSON, one vote each", "http-json", "grpc-unary"},
	{"a stream instead of calls", "grpc-unary", "grpc-stream"},
	{"an HTTP front before gRPC (/grpc)", "http-json", "grpc-front"},
	{"CloudEvents instead of plain JSON", "http-json", "cloudevents"},
	{"a connection for each vote, gRPC", "grpc-unary", "grpc-unary fresh"},
	{"a connection for each vote, HTTP", "http-json", "http-json fresh"},
	{"10 votes a call, gRPC", "grpc-unary", "grpc-batch of 10"},
	{"100 votes a call, gRPC", "grpc-unary", "grpc-batch of 100"},
	{"a full batch a call, gRPC", "grpc-unary", "grpc-batch"},
	{"a full bulk a request, HTTP", "http-json", "bulk"},
	{"gRPC batch instead of HTTP bulk, as many votes each", "bulk", "grpc-batch"},
}

// differ says whether two figures differ by more than rounds do by chance: their
// intervals do not meet.
func differ(a, b figure) bool { return math.Abs(a.Mean-b.Mean) > a.Half+b.Half }

// verdict says in words which of two steps is faster.
func verdict(a, b line) string {
	switch {
	case a.Answered.N < 2 || b.Answered.N < 2:
		return "One round tells nothing."
	case !differ(a.Answered, b.Answered):
		return fmt.Sprintf("%s and %s do not differ by more than rounds do by chance.", a.Step, b.Step)
	case a.Answered.Mean < b.Answered.Mean:
		a, b = b, a
	}
	return fmt.Sprintf("%s took less time: %s against %s votes/s, %.2f times as many.",
		a.Step, a.Answered.text(), b.Answered.text(), ratio(a.Answered.Mean, b.Answered.Mean))
}

// answer makes the page.
func (r report) answer() ([]section, error) {
	grpc, ok := r.line(onDoors, "grpc-unary")
	http, also := r.line(onDoors, "http-json")
	if !ok || !also {
		return nil, fmt.Errorf("the report has not both of grpc-unary and http-json, %s", onDoors)
	}
	out := []section{
		{Title: "gRPC or Wasm?", Text: []string{
			"Which took less time, and why? When gRPC, when Wasm?",
			"The two were never alternatives: gRPC is a way to send votes, and WebAssembly is where the rules run that judge them. Here every " +
				"door gives the same promise, which is that Kafka has the vote, and asks the same rules in the same WebAssembly. What is left to " +
				"compare are protocols, encodings, how many votes travel together, and connections; each is held apart below.",
			"**" + verdict(grpc, http) + "**",
			fmt.Sprintf("Made of the report of %s, `%s`, on %d cores of %s.", r.At.Format("2006-01-02 15:04 MST"), r.Command, r.Machine.Cores, r.Machine.CPU),
		}},
		r.racing(), r.separated(), r.withinVote(), r.advice(),
	}
	if r.Plan.Quick {
		out[0].Text = append(out[0].Text, "**This is of a quick run, whose figures are of too little to be told to anybody.**")
	}
	return out, nil
}

// racing are all paths beside one another.
func (r report) racing() section {
	s := section{
		Title: "Which took less time", Text: []string{"Up to the answer, one generator, as many requests on their way; and the whole way until votes are counted, on FerretDB."},
		Head: []string{"path", "votes/s answered", "p50, ms", "p99, ms", "CPU of the doors, µs a vote", "CPU of the sender, µs a vote", "votes/s counted, whole way"},
	}
	for _, path := range append(append([]string{}, single...), bundled...) {
		l, ok := r.line(onDoors, path)
		if !ok {
			continue
		}
		whole, _ := r.line(onWhole, path)
		s.Rows = append(s.Rows, []string{
			path, l.Answered.text(), number(l.Durable.P50), number(l.Durable.P99), l.Functions.text(), l.CPU[generator].text(), whole.Counted.text(),
		})
	}
	return s
}

// separated is one effect a row.
func (r report) separated() section {
	s := section{
		Title: "Why: each effect by itself", Text: []string{"Each row is two steps that differ in this one thing. A factor above 1 is more votes a second."},
		Head: []string{"effect", "from", "to", "factor", "beyond chance", "CPU of all servers, µs a vote: from", "to"},
	}
	for _, e := range effects {
		than, ok := r.line(onDoors, e.than)
		this, also := r.line(onDoors, e.this)
		if !ok || !also {
			continue
		}
		word := "no"
		if than.Answered.N > 1 && differ(than.Answered, this.Answered) {
			word = "yes"
		}
		s.Rows = append(s.Rows, []string{
			e.what, than.Answered.text() + " votes/s", this.Answered.text() + " votes/s", number(ratio(this.Answered.Mean, than.Answered.Mean)), word,
			number(ofDoors(than)), number(ofDoors(this)),
		})
	}
	return s
}

// ofDoors is the CPU of whatever took the votes.
func ofDoors(l line) float64 {
	sum := 0.0
	for _, name := range []string{"ingress-http", "ingress-grpc", "no-op-http", "no-op-grpc"} {
		sum += l.CPU[name].Mean
	}
	return sum
}

// withinVote is encoding and validation, by themselves.
func (r report) withinVote() section {
	s := section{
		Title: "Encoding, and validation in Wasm", Text: []string{"Loops within one process: what the steps inside a door take for one vote, and how much of the door's CPU that is."},
		Head: []string{"step", "µs a vote", "share of grpc-unary's CPU", "of http-json's", "of bulk's"},
	}
	share := func(micros float64, step, door string) string {
		l, _ := r.line(onDoors, step)
		if part := ratio(micros, l.CPU[door].Mean); part > 0 {
			return fmt.Sprintf("%.0f %%", 100*part)
		}
		return "–"
	}
	for _, of := range []struct{ floor, says string }{
		{"read-proto", "reading a vote in protobuf"}, {"read-json", "reading a vote in JSON, in the Wasm sandbox"}, {"judge", "the contest's rules, in Wasm"},
	} {
		l, ok := r.line(onDoors, of.floor)
		if !ok {
			continue
		}
		us := 1e6 / l.Answered.Mean
		row := []string{of.says, number(us), share(us, "grpc-unary", "ingress-grpc"), share(us, "http-json", "ingress-http"), share(us, "bulk", "ingress-http")}
		if of.floor == "read-proto" {
			row[3], row[4] = "–", "–"
		}
		if of.floor == "read-json" {
			row[2], row[4] = "–", "–" // a bulk's rows are read elsewhere
		}
		s.Rows = append(s.Rows, row)
	}
	if asJSON, asProto, err := sizesOfVotes(); err == nil {
		s.After = []string{fmt.Sprintf("A vote as it is sent has %s bytes in JSON and %s in protobuf, on average, without headers.", number(asJSON), number(asProto))}
	}
	return s
}

// sizesOfVotes are the mean bytes of a vote in JSON and in protobuf.
func sizesOfVotes() (asJSON, asProto float64, err error) {
	votes, err := newBallots("size")
	if err != nil {
		return 0, 0, err
	}
	for n := range distinct {
		text, err := json.Marshal(votes.vote(n))
		if err != nil {
			return 0, 0, err
		}
		wire, err := proto.Marshal(votes.message(n))
		if err != nil {
			return 0, 0, err
		}
		asJSON, asProto = asJSON+float64(len(text)), asProto+float64(len(wire))
	}
	return asJSON / distinct, asProto / distinct, nil
}

// advice is what follows from the figures, in words that depend on them.
func (r report) advice() section {
	s := section{Title: "When gRPC, when Wasm"}
	say := func(format string, args ...any) { s.Text = append(s.Text, fmt.Sprintf(format, args...)) }
	factor := func(than, this string) (float64, bool) {
		a, ok := r.line(onDoors, than)
		b, also := r.line(onDoors, this)
		return ratio(b.Answered.Mean, a.Answered.Mean), ok && also && a.Answered.N > 1 && differ(a.Answered, b.Answered)
	}
	batch, known := factor("grpc-unary", "grpc-batch")
	bulk, also := factor("http-json", "bulk")
	if known && also {
		say("Send many votes together, whatever the protocol: that is worth a factor of %s with gRPC and %s with HTTP.", number(batch), number(bulk))
	}
	if of, known := factor("http-json", "grpc-unary"); known && of > 1 {
		say("Between programs that send one vote at a time, gRPC takes %s times as many votes a second as HTTP JSON.", number(of))
	} else if known {
		say("Between programs that send one vote at a time, HTTP JSON takes %s times as many votes a second as gRPC here.", number(1/of))
	} else {
		say("For one vote at a time it makes no difference beyond chance whether gRPC or HTTP JSON brings it: take what the sender has.")
	}
	if of, known := factor("grpc-unary", "grpc-unary fresh"); known {
		say("Keep connections: with a new one for each vote gRPC has %s of its speed left.", number(of))
	}
	if of, known := factor("http-json", "grpc-front"); known {
		say("An HTTP front before gRPC is for senders that cannot speak it; it gives %s times the votes a second of the direct way.", number(of))
	}
	if judge, ok := r.line(onDoors, "judge"); ok {
		say("The rules in Wasm cost %s µs a vote, by every door. That is what a sandbox for rules that can change, and that anybody can run "+
			"again on the same bytes, costs; it is not a reason for or against gRPC.", number(1e6/judge.Answered.Mean))
	}
	return s
}
