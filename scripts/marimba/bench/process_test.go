package main

import (
	"os"
	"testing"
	"time"
)

// A line of /proc/<pid>/stat is read whatever the program is called, and one that is
// cut off is an error.
func TestParseStat(t *testing.T) {
	const rest = " S 1 2 3 4 5 6 7 8 9 10 150 50 13 14 20 0 9 0 777 888 1000 18446744073709551615 1 1"
	for _, name := range []string{"(tally)", "(a (b) c)", "(x) S 1 2)"} {
		got, err := parseStat("4711 "+name+rest, 4096)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if want := (consumed{2 * time.Second, 1000 * 4096}); got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	for _, line := range []string{"", "4711 (tally) S 1 2", "no name", "4711 (tally) S 1 2 3 4 5 6 7 8 9 10 x 50 13 14 20 0 9 0 777 888 1000"} {
		if _, err := parseStat(line, 4096); err == nil {
			t.Errorf("%q was read", line)
		}
	}
}

// A meter sees what a process uses from when it is started on, and of one that comes
// later all.
func TestMeter(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("there is no /proc")
	}
	m := startMeter(func() crew { return crew{"self": {os.Getpid()}, "nobody": {1 << 30}} })
	before, err := consumption(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for now := before; now.cpu < before.cpu+3*tick; {
		if now, err = consumption(os.Getpid()); err != nil {
			t.Fatal(err)
		}
	}
	u := m.stop()
	if u.CPU["self"] < (3*tick).Seconds() || u.Peak["self"] < 1 {
		t.Errorf("%+v", u)
	}
	if _, ok := u.CPU["nobody"]; ok {
		t.Error("a process that is not there was measured")
	}
}
