// Package redistest runs redis-server for tests.
package redistest

import (
	"context"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Server is a redis-server that can be killed and started again.
type Server struct {
	Addr string
	Dir  string // its disk; another one may be put in between

	t        testing.TB
	settings []string
	process  *exec.Cmd
}

// Start runs a redis-server with these settings until the test ends. It keeps
// nothing on its disk unless they say so. The test is skipped where none is
// installed.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Addr: lis.Addr().String(), Dir: t.TempDir(), t: t, settings: settings}
	lis.Close()
	s.Again()
	t.Cleanup(s.Kill)
	return s
}

// Again starts the server once more, and returns when it answers.
func (s *Server) Again() {
	s.t.Helper()
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		if os.Getenv("MARIMBA_TEST_REAL") != "" {
			s.t.Fatal("redis-server is not installed")
		}
		s.t.Skip("redis-server is not installed")
	}
	_, port, _ := net.SplitHostPort(s.Addr)
	s.process = exec.Command(binary, append([]string{"--bind", "127.0.0.1", "--port", port, "--dir", s.Dir, "--save", ""}, s.settings...)...)
	if err := s.process.Start(); err != nil {
		s.t.Fatal(err)
	}
	client := s.Client()
	defer client.Close()
	deadline := time.Now().Add(20 * time.Second)
	for client.Ping(context.Background()).Err() != nil {
		if time.Now().After(deadline) {
			s.t.Fatal("redis-server does not answer")
		}
		time.Sleep(5 * time.Millisecond) // until it listens and has read its disk
	}
}

// Kill ends the server at once: what is not on its disk is lost.
func (s *Server) Kill() {
	_ = s.process.Process.Kill()
	_ = s.process.Wait()
}

// Client returns a plain client of the server.
func (s *Server) Client() *redis.Client {
	return redis.NewClient(&redis.Options{Addr: s.Addr, Protocol: 2, DisableIdentity: true})
}
