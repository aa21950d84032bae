package journal

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"marimba/config"
)

// server is the address of the MongoDB that the tests run on, and noServer why
// there is none.
var server, noServer string

// The tests run on FerretDB, built from this repository, or on the server of
// MONGO_URL.
func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if server = os.Getenv("MONGO_URL"); server != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "journal")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	stop, err := startFerretDB(dir)
	if err != nil {
		noServer = "FerretDB does not run here: " + err.Error()
		return m.Run()
	}
	defer stop()
	return m.Run()
}

func startFerretDB(dir string) (stop func(), err error) {
	binary := filepath.Join(dir, "ferretdb")
	build := exec.Command("go", "build", "-C", "../../../knative/local/ferretdb", "-o", binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build: %w: %s", err, out)
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := lis.Addr().String()
	lis.Close()
	ferret := exec.Command(binary, "--listen", addr, "--data", filepath.Join(dir, "data"))
	if err := ferret.Start(); err != nil {
		return nil, err
	}
	server = "mongodb://" + addr + "/"
	return func() {
		_ = ferret.Process.Kill()
		_ = ferret.Wait()
	}, nil
}

var databases atomic.Int64

// open returns a log in a database of its own.
func open(t testing.TB) *Journal {
	t.Helper()
	if server == "" {
		if os.Getenv("MARIMBA_TEST_REAL") != "" {
			t.Fatal(noServer)
		}
		t.Skip(noServer)
	}
	j, err := Open(config.Mongo{
		URL:      config.Secret(server),
		Database: fmt.Sprintf("journal_%d_%d", os.Getpid(), databases.Add(1)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	// A server that was just started may not listen yet: the driver waits for it.
	if err := j.client.Ping(ctx, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = j.boxes.Database().Drop(context.Background())
		if err := j.Close(context.Background()); err != nil && !strings.Contains(err.Error(), "disconnected") {
			t.Error(err)
		}
	})
	return j
}
