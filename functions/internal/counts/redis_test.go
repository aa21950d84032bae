package counts

import (
	"context"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"marimba/config"
	"marimba/events"
	"marimba/functions/internal/counts/redistest"
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
func startRedis(t testing.TB) string { return newServer(t).Addr }

// newServer runs a redis-server that takes as many ids a bucket as come.
func newServer(t testing.TB, settings ...string) *redistest.Server {
	t.Helper()
	return redistest.Start(t, append([]string{"--set-max-intset-entries", "16384"}, settings...)...)
}
