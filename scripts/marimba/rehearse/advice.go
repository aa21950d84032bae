package rehearse

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"marimba/events"
)

// Advice is a setting that would suit what was seen, and why.
type Advice struct {
	Function string `json:"function"`
	Setting  string `json:"setting"`
	Value    int    `json:"value"`
	Why      string `json:"why"`
}

// unhurried are the functions that no vote waits for. Of notary there is one at
// most, whatever is to be done: a contest's batches come one after the other.
var unhurried = []string{"notary", "shelve"}

// slowStart is how long a first vote may wait for a function to start without a
// word of advice.
const slowStart = 500 * time.Millisecond

// advise says what should be set otherwise for the show. It goes by what was seen:
// of functions that could not be seen it says only what their votes tell.
func advise(h Happened) []Advice {
	var out []Advice
	most := map[string]int{} // max-scale, by function
	for _, route := range events.Routes {
		f, seen := h.Watched.function(route.Function)
		if !seen || f.AtOnce == 0 || slices.Contains(unhurried, route.Function) {
			continue
		}
		if f.Starts > 0 {
			out = append(out, Advice{f.Name, "min-scale", f.AtOnce, fmt.Sprintf(
				"%d started while votes came, the slowest in %.2f s; as many as there were at the height are awake before it", f.Starts, f.ColdStart)})
		}
		allowed, known := h.MaxScale[f.Name]
		most[f.Name] = allowed
		if known && 2*f.AtOnce > allowed {
			most[f.Name] = 2 * f.AtOnce
			out = append(out, Advice{f.Name, "max-scale", 2 * f.AtOnce, fmt.Sprintf(
				"%d of at most %d were needed: it should be twice what a rehearsal needs", f.AtOnce, allowed)})
		}
	}
	if len(h.Watched.Functions) == 0 && h.Loaded.First > slowStart {
		for _, function := range []string{"ingress-http", "ingress-grpc", "screen", "tally"} {
			out = append(out, Advice{function, "min-scale", 1, fmt.Sprintf(
				"the first vote was answered after %s, half of all within %s: somebody had to start", h.Loaded.First.Round(time.Millisecond), h.Loaded.P50.Round(100*time.Microsecond))})
		}
	}
	return append(out, partitions(h, most)...)
}

// partitions says how many a topic should have: no function can be more often at
// work than there are partitions of what it reads, if its source is ordered, nor
// spread evenly over fewer.
func partitions(h Happened, most map[string]int) []Advice {
	var out []Advice
	for _, route := range events.Routes {
		need, have := most[route.Function], h.MaxScale[route.Function]
		if len(route.Reads) == 0 || need <= have {
			continue
		}
		for _, topic := range route.Reads {
			out = append(out, Advice{route.Function, "partitions of " + string(topic), need, fmt.Sprintf(
				"max-scale of %s is to be %d, and a topic needs as many partitions", route.Function, need)})
		}
	}
	return out
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
