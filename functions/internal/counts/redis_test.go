package counts

import (
	"context"
	"net"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"marimba/config"
	"marimba/events"
)

// onEach runs a test on miniredis, and on redis-server if there is one.
func onEach(t *testing.T, test func(t *testing.T, s *Store)) {
	t.Run("miniredis", func(t *testing.T) {
		server := miniredis.RunT(t)
		test(t, open(t, server.Addr()))
	})
	t.Run("redis-server", func(t *testing.T) {
		test(t, open(t, startRedis(t)))
	})
}

func open(t testing.TB, addr string) *Store {
	t.Helper()
	s, err := Open(config.Redis{URL: "redis://" + addr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	return s
}

// begin gives a contest's counts their first life, with nothing in them.
func begin(t testing.TB, s *Store, c events.Contest) {
	t.Helper()
	sh, err := s.Shadow(t.Context(), c)
	if err == nil {
		err = sh.Live(t.Context(), 1)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// startRedis runs a redis-server of its own until the test ends, and returns its
// address. The test is skipped where none is installed.
func startRedis(t testing.TB, settings ...string) string {
	t.Helper()
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		if os.Getenv("MARIMBA_REQUIRE_PARTS") != "" {
			t.Fatal("redis-server is not installed")
		}
		t.Skip("redis-server is not installed")
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := lis.Addr().(*net.TCPAddr).Port
	lis.Close()
	args := []string{"--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--dir", t.TempDir(),
		"--save", "", "--appendonly", "no", "--set-max-intset-entries", "16384"}
	server := exec.Command(binary, append(args, settings...)...)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	client := redis.NewClient(&redis.Options{Addr: addr, Protocol: 2})
	defer client.Close()
	deadline := time.Now().Add(20 * time.Second)
	for client.Ping(context.Background()).Err() != nil {
		if time.Now().After(deadline) {
			t.Fatal("redis-server does not answer")
		}
		time.Sleep(5 * time.Millisecond) // until it listens
	}
	return addr
}
