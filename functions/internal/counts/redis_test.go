package counts

import (
	"context"
	"net"
	"os"
	"os/exec"
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
	return newServer(t, append([]string{"--appendonly", "no"}, settings...)...).addr
}

// server is a redis-server that can be killed and started again.
type server struct {
	t        testing.TB
	addr     string
	dir      string
	settings []string
	process  *exec.Cmd
}

// newServer starts a redis-server.
func newServer(t testing.TB, settings ...string) *server {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := lis.Addr().String()
	lis.Close()
	s := &server{t: t, addr: addr, dir: t.TempDir(), settings: settings}
	s.start()
	t.Cleanup(s.kill)
	return s
}

func (s *server) start() {
	s.t.Helper()
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		if os.Getenv("MARIMBA_REQUIRE_PARTS") != "" {
			s.t.Fatal("redis-server is not installed")
		}
		s.t.Skip("redis-server is not installed")
	}
	_, port, _ := net.SplitHostPort(s.addr)
	args := []string{"--bind", "127.0.0.1", "--port", port, "--dir", s.dir, "--save", "", "--set-max-intset-entries", "16384"}
	s.process = exec.Command(binary, append(args, s.settings...)...)
	if err := s.process.Start(); err != nil {
		s.t.Fatal(err)
	}
	client := s.client()
	defer client.Close()
	deadline := time.Now().Add(20 * time.Second)
	for client.Ping(context.Background()).Err() != nil {
		if time.Now().After(deadline) {
			s.t.Fatal("redis-server does not answer")
		}
		time.Sleep(5 * time.Millisecond) // until it listens and has read its file
	}
}

// kill ends the server at once, with what is not on its disk.
func (s *server) kill() {
	_ = s.process.Process.Kill()
	_ = s.process.Wait()
}

// client speaks to the server without our settings.
func (s *server) client() *redis.Client {
	return redis.NewClient(&redis.Options{Addr: s.addr, Protocol: 2, DisableIdentity: true})
}
