package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// What is here runs the product as its users do: by the command, in processes of
// its own, on the parts that are embedded.

// binary builds the launcher and, by its first run, all else, once for all tests.
var binary = sync.OnceValues(func() (marimba string, err error) {
	home, err := os.MkdirTemp("", "marimba-way-")
	if err != nil {
		return "", err
	}
	marimba = filepath.Join(home, "marimba")
	if out, err := exec.Command("go", "build", "-o", marimba, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w: %s", err, out)
	}
	return marimba, os.Setenv("MARIMBA_HOME", home)
})

func TestMain(m *testing.M) {
	code := m.Run()
	if marimba, err := binary(); err == nil {
		os.RemoveAll(filepath.Dir(marimba))
	}
	os.Exit(code)
}

// start begins a marimba command; it is killed when the test ends.
func start(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	marimba, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, marimba, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=en_US.UTF-8")
	return cmd
}

// invoke runs a marimba command and decodes the last line of its output.
func invoke(t *testing.T, into any, args ...string) error {
	t.Helper()
	cmd := start(t, args...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	err := cmd.Run()
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if broken := json.Unmarshal([]byte(lines[len(lines)-1]), into); broken != nil {
		t.Fatalf("%v: %v\n%s%s", args, err, said.String(), out.String())
	}
	if err != nil {
		return fmt.Errorf("%w: %s", err, said.String())
	}
	return nil
}

// result is what demo and send write.
type result struct {
	Cast, Accepted, Counted, Duplicate, Refused, Dead int64
	OverLimit                                         int64 `json:"over_limit"`
	Balanced                                          bool
	Board                                             []band
}

type band struct {
	Place  int
	Name   string
	Votes  int64
	Albums []album
}

type album struct {
	Album string
	Votes int64
}

// write makes a vote file of lines.
func write(t *testing.T, name string, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// repeated is a vote file of n rows for one album each of two bands, all rows of
// a band the same: each is a vote.
func repeated(t *testing.T, n int) string {
	lines := []string{"["}
	for i := range n {
		row := `{"name": "Alux Nahual", "album": "Conquista", "year": "1990", "rank": "2"}`
		if i%4 == 3 {
			row = `{"name": "Bohemia Suburbana", "album": "Sub", "year": "2001", "rank": "1"}`
		}
		if i < n-1 {
			row += ","
		}
		lines = append(lines, row)
	}
	return write(t, "repeated.json", append(lines, "]")...)
}

// The demo with the contest's own votes: all are in a final state, of every kind
// that the files are made to show, and the board has the counted ones.
func TestDemo(t *testing.T) {
	var got result
	if err := invoke(t, &got, "demo", "--exit", "--json"); err != nil {
		t.Fatal(err)
	}
	sum := int64(0)
	for _, b := range got.Board {
		sum += b.Votes
	}
	if !got.Balanced || got.Cast != 540 || got.Counted != sum || got.Counted == 0 || got.OverLimit == 0 || got.Refused == 0 || got.Dead != 0 {
		t.Errorf("%+v, %d on the board", got, sum)
	}
}

// Rows that are the same to the letter are each a vote.
func TestDemoOfFile(t *testing.T) {
	var got result
	if err := invoke(t, &got, "demo", "--exit", "--json", "--votes", repeated(t, 1000)); err != nil {
		t.Fatal(err)
	}
	want := []band{
		{1, "Alux Nahual", 750, []album{{"Conquista", 750}}},
		{2, "Bohemia Suburbana", 250, []album{{"Sub", 250}}},
	}
	if !got.Balanced || got.Cast != 1000 || got.Counted != 1000 || !reflect.DeepEqual(got.Board, want) {
		t.Errorf("%+v", got)
	}
}

// up starts a house on a data folder and waits until it stands.
func up(t *testing.T, data string) *exec.Cmd {
	t.Helper()
	cmd, _ := standing(t, nil, "--data", data)
	return cmd
}

// standing starts a house, with more in its environment, and waits until it stands;
// said is the line that it says of itself then. It ends with the test.
func standing(t *testing.T, env []string, args ...string) (cmd *exec.Cmd, said []byte) {
	t.Helper()
	cmd = start(t, append([]string{"up", "--json", "--listen", "127.0.0.1:0"}, args...)...)
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var fault bytes.Buffer
	cmd.Stderr = &fault
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	if said, err = bufio.NewReader(out).ReadBytes('\n'); err != nil {
		t.Fatalf("up: %v %q\n%s", err, said, fault.String())
	}
	return cmd, said
}

// A file that is sent again, by whatever door, counts nothing the second time;
// and what was counted is still counted after kill -9 of everything.
func TestSendTwiceAndKill(t *testing.T) {
	t.Parallel() // it waits more than it works
	data, file := t.TempDir(), repeated(t, 600)
	house := up(t, data)
	send := func(via string) result {
		t.Helper()
		var got result
		if err := invoke(t, &got, "send", "--json", "--data", data, "--via", via, file); err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := send("http"); got.Accepted != 600 || got.Counted != 600 || got.Duplicate != 0 {
		t.Fatalf("first: %+v", got)
	}
	for _, via := range []string{"http", "grpc", "grpc-stream", "event"} {
		if got := send(via); got.Accepted != 600 || got.Counted != 0 || got.Duplicate != 600 {
			t.Errorf("again by %s: %+v", via, got)
		}
	}
	board := func() (b struct {
		Totals struct{ Votes int64 }
		Bands  []band
	}) {
		t.Helper()
		if err := invoke(t, &b, "results", "--json", "--data", data); err != nil {
			t.Fatal(err)
		}
		return b
	}
	before := board()
	if before.Totals.Votes != 600 {
		t.Errorf("board: %+v", before)
	}
	if err := house.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = house.Wait()
	up(t, data)
	if after := board(); !reflect.DeepEqual(after, before) {
		t.Errorf("after kill -9\n got %+v\nwant %+v", after, before)
	}
	if got := send("grpc"); got.Counted != 0 || got.Duplicate != 600 {
		t.Errorf("again after kill -9: %+v", got)
	}
}

// A file with one bad row of a thousand counts the others, and the bad one is
// told with its row and reason.
func TestOneBadRow(t *testing.T) {
	data := t.TempDir()
	up(t, data)
	lines := []string{"name,album,year,rank"}
	for i := range 1000 {
		year := "1990"
		if i == 499 {
			year = "mil"
		}
		lines = append(lines, "Alux Nahual,Conquista,"+year+",1st")
	}
	var got struct {
		result
		Rows []struct {
			Row  int
			Code string
		}
	}
	if err := invoke(t, &got, "send", "--json", "--data", data, write(t, "bad.csv", lines...)); err != nil {
		t.Fatal(err)
	}
	if got.Counted != 999 || got.result.Refused != 1 || len(got.Rows) != 1 || got.Rows[0].Row != 500 || got.Rows[0].Code != "year_malformed" {
		t.Errorf("%+v", got)
	}
}

// What cannot be done is said, with what to do about it.
func TestNobodyHome(t *testing.T) {
	cmd := start(t, "results", "--data", t.TempDir())
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "marimba up") {
		t.Errorf("%v: %s", err, out)
	}
}
