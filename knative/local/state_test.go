//go:build unix

package local

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// A state that cannot be read is told of, and not replaced: its secrets may
// still be saved by hand.
func TestStateUnreadable(t *testing.T) {
	data := t.TempDir()
	path := filepath.Join(data, "state.json")
	if err := os.WriteFile(path, []byte(`{"secrets": {`), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // nor does it stay locked
		if _, err := openState(data); err == nil || !strings.Contains(err.Error(), "read state") {
			t.Errorf("open: %v", err)
		}
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != `{"secrets": {` {
		t.Errorf("state is now %q, %v", text, err)
	}
}

// Secrets are long, differ, stay the same once saved, and are for their owner
// alone.
func TestStateSecrets(t *testing.T) {
	data := t.TempDir()
	s, err := openState(data)
	if err != nil {
		t.Fatal(err)
	}
	one, two := s.secret("one"), s.secret("two")
	if len(one) < 26 || one == two || s.secret("one") != one {
		t.Errorf("secrets %q, %q", one, two)
	}
	if err := s.save(); err != nil {
		t.Fatal(err)
	}
	s.close()
	info, err := os.Stat(filepath.Join(data, "state.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("state's mode is %v, %v", info.Mode(), err)
	}
	if s, err = openState(data); err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if s.secret("one") != one || s.secret("two") != two {
		t.Error("secrets changed")
	}
}

// A part gets the port that it had, and another while that is taken.
func TestStatePorts(t *testing.T) {
	s, err := openState(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	first, err := s.listen("web")
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	had := first.Addr().(*net.TCPAddr)
	if !had.IP.IsLoopback() {
		t.Errorf("listens on %s", had)
	}
	other, err := s.port("web")
	if err != nil || other == had.Port {
		t.Errorf("port %d, %v; %d is taken", other, err, had.Port)
	}
	again, err := s.port("web")
	if err != nil || again != other {
		t.Errorf("port %d, %v; want %d again", again, err, other)
	}
}

// A log file is turned over when it is full, so that no function fills the disk;
// its last line is known.
func TestLogFileTurnsOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "web.log")
	l, err := openLog(path)
	if err != nil {
		t.Fatal(err)
	}
	line := []byte(strings.Repeat("x", 1<<20-1) + "\n")
	for range 20 {
		if n, err := l.Write(line); n != len(line) || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
	}
	if _, err := l.Write([]byte("panic: at the disco\n\n")); err != nil {
		t.Fatal(err)
	}
	if got := l.last(); got != "panic: at the disco" {
		t.Errorf("last line %q", got)
	}
	l.close()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 2 {
		t.Fatalf("files %v, %v; want two", entries, err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Size() > maxLog || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", e.Name(), info, err)
		}
	}
	now, err := os.ReadFile(path)
	if err != nil || !strings.HasSuffix(string(now), "panic: at the disco\n\n") {
		t.Errorf("the newest lines are not in %s: %v", path, err)
	}
	// The next one goes on where this one ended.
	if l, err = openLog(path); err != nil || l.size != int64(len(now)) {
		t.Errorf("size %d, %v; want %d", l.size, err, len(now))
	}
	l.close()
}

// A log that cannot be written stops no function.
func TestLogFileNeverFails(t *testing.T) {
	dir := t.TempDir()
	l, err := openLog(filepath.Join(dir, "web.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	piece := make([]byte, maxLog/2+1)
	for range 3 { // beyond the turn
		if n, err := l.Write(piece); n != len(piece) || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	if _, err := l.Write([]byte("still here")); err != nil || l.last() != strings.Repeat("\x00", maxTail-len("still here"))+"still here" {
		t.Errorf("%v, %q", err, l.last())
	}
}

// The meter is exact about what came and went between two ticks, and forgets
// what is older than asked.
func TestMeter(t *testing.T) {
	now := time.Now()
	var m meter
	m.reset(now)
	after := func(d time.Duration) time.Time { now = now.Add(d); return now }
	if m.over(time.Second) != 0 {
		t.Errorf("before the first tick %g", m.over(time.Second))
	}
	m.set(now, 4)
	m.set(after(tick/2), 0)
	m.tick(after(tick/2), time.Second) // 4 for half of it
	if got := m.over(time.Second); got != 2 {
		t.Errorf("first tick %g, want 2", got)
	}
	m.set(now, 6)
	m.tick(after(tick), time.Second)
	if got := m.over(time.Second); got != 4 {
		t.Errorf("two ticks %g, want 4", got)
	}
	if got := m.over(tick); got != 6 {
		t.Errorf("last tick %g, want 6", got)
	}
	for range 10 {
		m.tick(after(tick), time.Second)
	}
	if got := m.over(time.Hour); got != 6 || len(m.past) != int(time.Second/tick) {
		t.Errorf("%g of %d ticks, want 6 of the last second's", got, len(m.past))
	}
	m.reset(now)
	if m.over(time.Second) != 0 || m.level != 6 {
		t.Errorf("after reset %g, level %g", m.over(time.Second), m.level)
	}
}

// A window shorter than a tick is one tick, and not none: else the load would
// never be seen.
func TestMeterShortWindow(t *testing.T) {
	now := time.Now()
	var m meter
	m.reset(now)
	m.set(now, 3)
	m.tick(now.Add(tick), tick/2)
	if got := m.over(tick / 2); got != 3 {
		t.Errorf("%g, want 3", got)
	}
}

// Addresses are given as URLs, lists and both, with a login and without a port.
func TestHosts(t *testing.T) {
	for address, want := range map[string][]string{
		"127.0.0.1:9092":           {"127.0.0.1:9092"},
		"a:1,b:2, c":               {"a:1", "b:2", "c:7"},
		"redis://localhost":        {"localhost:7"},
		"rediss://:pass@a:1,b:2/0": {"a:1", "b:2"},
		"mongodb://me:p%40ss@a,b:2/marimba?replicaSet=rs": {"a:7", "b:2"},
		"mongodb://a?tls=true":                            {"a:7"},
		"redis://[::1]:6379/1":                            {"[::1]:6379"},
		"redis://[::1]":                                   {"[::1]:7"},
	} {
		if got := hosts(address, "7"); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", address, got, want)
		}
	}
}
