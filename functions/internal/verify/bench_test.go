package main

import (
	"bufio"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// BenchmarkVerify verifies an archive of 1,000,000 votes, from its file to the last
// check, and reports the votes a second, and the most memory that was in use at
// once (seen every 20 ms).
func BenchmarkVerify(b *testing.B) {
	const n = 1_000_000
	path := filepath.Join(b.TempDir(), "rock.tar.gz")
	file, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	to := bufio.NewWriterSize(file, 1<<20)
	key := newMade(n).write(b, to)
	if err := to.Flush(); err != nil {
		b.Fatal(err)
	}
	size, err := file.Seek(0, 1)
	if err != nil {
		b.Fatal(err)
	}
	if err := file.Close(); err != nil {
		b.Fatal(err)
	}
	runtime.GC()
	b.ResetTimer()
	var most uint64
	for b.Loop() {
		stop, seen := make(chan struct{}), make(chan uint64)
		go watchMemory(stop, seen)
		from, err := open(b.Context(), path)
		if err != nil {
			b.Fatal(err)
		}
		r, _ := examine(path, from, expected{Key: key}, nil)
		if err := from.Close(); err != nil {
			b.Fatal(err)
		}
		if !r.Holds || r.Votes != n {
			b.Fatalf("%d votes, does not hold: %s", r.Votes, r.broken())
		}
		close(stop)
		most = max(most, <-seen)
	}
	b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "votes/s")
	b.ReportMetric(float64(most)/(1<<20), "peak-MiB")
	b.ReportMetric(float64(size)/(1<<20), "archive-MiB")
}

// watchMemory tells the most memory of the heap that was in use until it is stopped.
func watchMemory(stop <-chan struct{}, seen chan<- uint64) {
	var most uint64
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapInuse)
		select {
		case <-stop:
			seen <- most
			return
		case <-tick.C:
		}
	}
}
