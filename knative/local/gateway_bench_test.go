//go:build unix

package local

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// BenchmarkGateway measures what the way through the gateway adds to a request
// to a function that does next to nothing.
//
//	go test -run xxx -bench Gateway -benchmem ./knative/local
func BenchmarkGateway(b *testing.B) {
	log := slog.New(slog.DiscardHandler)
	function := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, `{"id":"0199a3f2-7c1e-7a54-9f8e-5a3c1d2b4e6f","status":"accepted"}`)
	})
	for name, h2c := range map[string]bool{"http1": false, "h2c": true} {
		behind := serveOn(b, function, log)
		through := serveOn(b, door(standing(behind, h2c)), log)
		client := &http.Client{Transport: newTransport(h2c)}
		b.Run(name+"/direct", func(b *testing.B) { cast(b, client, behind) })
		b.Run(name+"/gateway", func(b *testing.B) { cast(b, client, through) })
	}
}

// standing is a revision whose only instance is a server that is there already.
func standing(address string, h2c bool) *revision {
	r := &revision{
		service:   service{name: "web", timeout: time.Minute, target: 100, maxScale: 1, h2c: h2c},
		transport: newTransport(h2c),
		ledger:    &ledger{figures: map[string]Figures{}},
		log:       slog.New(slog.DiscardHandler),
		instances: []*instance{{address: address, ready: true, child: &child{exited: make(chan struct{}), started: time.Now()}}},
	}
	r.load.reset(time.Now())
	return r
}

func serveOn(tb testing.TB, h http.Handler, log *slog.Logger) (address string) {
	tb.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	server := newServer(h, log)
	go server.Serve(lis)
	tb.Cleanup(func() { server.Close() })
	return lis.Addr().String()
}

// cpu is what this process has used; unlike the time that goes by, it tells the
// cost also on a machine that has other work.
func cpu(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// cast sends one vote after the other from several callers.
func cast(b *testing.B, client *http.Client, address string) {
	const vote = `{"name":"Alux Nahual","album":"Alto al fuego","year":1987,"rank":1}`
	b.ReportAllocs()
	b.SetParallelism(8)
	before := cpu(b)
	defer func() { b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op") }()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			res, err := client.Post("http://"+address+"/v1/contests/default/votes", "application/json", strings.NewReader(vote))
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
			if res.StatusCode != http.StatusAccepted {
				b.Errorf("status %d", res.StatusCode)
				return
			}
		}
	})
}
