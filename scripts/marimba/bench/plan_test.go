package main

import (
	"slices"
	"testing"
)

// Each round does the steps that are wanted, each once, the first in the order of the
// plan; a pattern that is none is a fault of the plan.
func TestStepsOfARound(t *testing.T) {
	p := full
	all := p.order(p.toKafka(), 1)
	if len(all) != len(p.toKafka()) || all[0].Name != "no-op-grpc" {
		t.Fatalf("the first round begins with %s and has %d steps", all[0].Name, len(all))
	}
	p.Only = "^(bulk|http-json)$"
	for round := 1; round <= 5; round++ {
		var names []string
		for _, s := range p.order(p.toKafka(), round) {
			names = append(names, s.Name)
		}
		if round == 1 && !slices.Equal(names, []string{"http-json", "bulk"}) {
			t.Errorf("the first round does %v", names)
		}
		if slices.Sort(names); !slices.Equal(names, []string{"bulk", "http-json"}) {
			t.Errorf("round %d does %v", round, names)
		}
	}
	if err := p.check(); err != nil {
		t.Error(err)
	}
	if p.Only = "("; p.check() == nil {
		t.Error("a broken pattern is taken")
	}
}
