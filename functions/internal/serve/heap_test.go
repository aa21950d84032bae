package serve

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
)

// The heap may grow to leastHeap where little lives, and by leastGrowth where much
// does.
func TestGrowth(t *testing.T) {
	for live, want := range map[uint64]int{
		0: 400, 1 << 20: 400, 4 << 20: 400, 8 << 20: 175, 11 << 20: 100, 12 << 20: 75, 16 << 20: 50, 1 << 62: 50,
	} {
		if got := growthOf(live); got != want {
			t.Errorf("with %d bytes alive: %d %%, want %d", live, got, want)
		}
	}
}

// What the collector is set to follows what lives, both ways.
func TestCollectorFollowsWhatLives(t *testing.T) {
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	easeCollector()
	until := func(what string, holds func(percent uint64) bool) {
		t.Helper()
		set := []metrics.Sample{{Name: "/gc/gogc:percent"}}
		for range 100 {
			if metrics.Read(set); holds(set[0].Value.Uint64()) {
				return
			}
			runtime.GC()
			runtime.Gosched() // finalizers have a goroutine of their own
		}
		t.Fatalf("%s: the collector is set to %d %%", what, set[0].Value.Uint64())
	}
	much := make([]byte, 64<<20)
	until("much lives", func(percent uint64) bool { return percent == leastGrowth })
	runtime.KeepAlive(much)
	until("little lives", func(percent uint64) bool { return percent > leastGrowth })
}
