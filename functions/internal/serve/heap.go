package serve

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// leastHeap is up to where the heap grows before it is collected, however little of
// it lives. A function that takes one vote a request has some 5 MiB alive, and would
// by Go's default collect at each 10, for an eighth of its CPU.
const leastHeap = 22 << 20

// Bounds and grain of what the collector is set to, in per cent of what lives. The
// least is below Go's default of 100: where much lives, memory is worth more than CPU.
const (
	leastGrowth = 50
	mostGrowth  = 400
	growthGrain = 25
)

// easeCollector sets the collector anew after each collection, by what lives then.
// If GOGC is set, that holds.
func easeCollector() {
	if os.Getenv("GOGC") != "" {
		return
	}
	set := growthOf(0)
	debug.SetGCPercent(set)
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	var after func(*cycle)
	after = func(*cycle) {
		metrics.Read(live)
		if next := growthOf(live[0].Value.Uint64()); next != set {
			set = next
			debug.SetGCPercent(set)
		}
		runtime.SetFinalizer(new(cycle), after)
	}
	runtime.SetFinalizer(new(cycle), after)
}

// cycle is found dead by each collection. It holds a pointer, so that it shares its
// memory with nothing.
type cycle struct{ _ *cycle }

// growthOf is by how much, in per cent, the heap may grow above what lives.
func growthOf(live uint64) int {
	if live == 0 {
		return mostGrowth
	}
	growth := int(min(100*leastHeap/live, 100+mostGrowth)) - 100
	return min(max(growth-growth%growthGrain, leastGrowth), mostGrowth)
}
