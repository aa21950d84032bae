package main

import (
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"marimba/events"
)

// From the start of a process until it has answered its first vote, which Kafka
// has then. One process follows another, so the program is in memory; where it has
// to be read from disk first, that comes on top.
func BenchmarkStart(b *testing.B) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(8, string(events.VotesCast)))
	if err != nil {
		b.Fatal(err)
	}
	defer cluster.Close()
	program := filepath.Join(b.TempDir(), "ingress-http")
	if out, err := exec.Command("go", "build", "-ldflags=-s -w", "-o", program, ".").CombinedOutput(); err != nil {
		b.Fatalf("build: %v: %s", err, out)
	}
	var took []time.Duration
	for b.Loop() {
		port := freePort(b)
		function := exec.Command(program)
		function.Env = []string{fmt.Sprint("PORT=", port), "HOST=127.0.0.1", "KAFKA_BROKER=" + cluster.ListenAddrs()[0],
			"VOTER_SECRET=s", "RECEIPT_SECRET=r", fmt.Sprint("GRPC_TARGET=127.0.0.1:", freePort(b))}
		start := time.Now()
		if err := function.Start(); err != nil {
			b.Fatal(err)
		}
		for {
			res, err := http.Post(fmt.Sprintf("http://127.0.0.1:%d/v1/contests/default/votes", port), "application/json",
				strings.NewReader(`{"name": "Alux Nahual", "album": "Conquista", "year": 1982, "rank": 1}`))
			if err == nil {
				took = append(took, time.Since(start))
				_ = res.Body.Close()
				if res.StatusCode != http.StatusAccepted {
					b.Fatal(res.Status)
				}
				break
			}
			if time.Since(start) > 10*time.Second {
				b.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		_ = function.Process.Signal(syscall.SIGTERM)
		if err := function.Wait(); err != nil {
			b.Fatal(err)
		}
	}
	slices.Sort(took)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1e3, "ms-median")
	b.ReportMetric(float64(took[len(took)-1].Microseconds())/1e3, "ms-slowest")
}
