package config

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// opened is a register of a folder that looks only when it is poked, and what it
// logs.
func opened(t *testing.T, dir string) (*Register, *bytes.Buffer) {
	t.Helper()
	var said bytes.Buffer
	usual := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&said, nil)))
	t.Cleanup(func() { slog.SetDefault(usual) })
	r := &Register{contests: Contests{Dir: dir}}
	if err := r.open(); err != nil {
		t.Fatal(err)
	}
	return r, &said
}

func closing(r *Register) time.Time {
	c, _ := r.Contest("show")
	return c.ClosesAt
}

// replace is what an organiser's command does to a file.
func replace(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := WriteContest(filepath.Join(dir, name), []byte(text)); err != nil {
		t.Fatal(err)
	}
}

// A changed file is taken once it rests: at the second look that sees it so.
// Contests that come and go are too.
func TestRegisterFollowsItsFolder(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "show.yaml", show)
	r, said := opened(t, dir)
	if !closing(r).Equal(instant("12:00:00")) {
		t.Fatalf("it closes at %v", closing(r))
	}
	amended, err := Amend("show", []byte(show), Change{"closes_at", instant("13:00:00"), "Ana", "why"}, instant("11:00:00"), 0)
	if err != nil {
		t.Fatal(err)
	}
	replace(t, dir, "show.yaml", string(amended))
	r.look()
	if !closing(r).Equal(instant("12:00:00")) {
		t.Error("a file is taken that may be half written")
	}
	r.look()
	if !closing(r).Equal(instant("13:00:00")) {
		t.Errorf("after an amendment it closes at %v", closing(r))
	}
	replace(t, dir, "more.yaml", "id: more\ntitle: {es: Más, en: More}\nopen_roster: true\nrank_mode: score\nrank_max: 10\n")
	r.look()
	r.look()
	if want := []string{"more", "show"}; !slices.Equal(r.IDs(), want) {
		t.Errorf("contests are %v, want %v", r.IDs(), want)
	}
	if err := os.Remove(filepath.Join(dir, "show.yaml")); err != nil {
		t.Fatal(err)
	}
	r.look()
	r.look()
	if _, ok := r.Contest("show"); ok {
		t.Error("a contest is there that is gone")
	}
	if n := strings.Count(said.String(), "contests have changed"); n != 3 {
		t.Errorf("3 changes are told %d times:\n%s", n, said)
	}
}

// A folder that becomes faulty, or goes away, leaves the contests as they were;
// each fault is told once, and again when it comes again.
func TestRegisterKeepsTheLastGoodRoll(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "contests")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "show.yaml", show)
	r, said := opened(t, dir)
	looks := func() {
		for range 4 {
			r.look()
		}
	}
	told := func(times int) {
		t.Helper()
		if !closing(r).Equal(instant("12:00:00")) {
			t.Errorf("it closes at %v", closing(r))
		}
		if n := strings.Count(said.String(), "contests stay as they were"); n != times {
			t.Errorf("faults are told %d times, want %d:\n%s", n, times, said)
		}
	}
	for i := range 2 {
		replace(t, dir, "show.yaml", show+"colour: red\n")
		looks()
		told(3*i + 1)
		replace(t, dir, "other.yaml", "")
		looks()
		told(3*i + 2)
		if err := os.Rename(dir, dir+" away"); err != nil {
			t.Fatal(err)
		}
		looks()
		told(3*i + 3)
		if err := os.Rename(dir+" away", dir); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(dir, "other.yaml")); err != nil {
			t.Fatal(err)
		}
		replace(t, dir, "show.yaml", show)
		looks()
		told(3*i + 3)
	}
}

// A folder that is a mounted ConfigMap changes by its link: all files at once.
func TestRegisterFollowsAConfigMap(t *testing.T) {
	dir := t.TempDir()
	version := func(name, text string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), "show.yaml", text)
		next := filepath.Join(dir, "..data_tmp")
		if err := os.Symlink(name, next); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	version("..2026_1", show)
	if err := os.Symlink(filepath.Join("..data", "show.yaml"), filepath.Join(dir, "show.yaml")); err != nil {
		t.Fatal(err)
	}
	r, _ := opened(t, dir)
	version("..2026_2", strings.Replace(show, "12:00:00", "12:30:00", 1)) // as long as before
	r.look()
	r.look()
	if !closing(r).Equal(instant("12:30:00")) {
		t.Errorf("it closes at %v", closing(r))
	}
}

// A change between the first look and the reading is not missed.
func TestRegisterReadsAgainWhatChangedAtTheStart(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "show.yaml", show)
	r, _ := opened(t, dir)
	replace(t, dir, "show.yaml", strings.Replace(show, "12:00:00", "12:30:00", 1))
	r.look()
	r.look()
	if !closing(r).Equal(instant("12:30:00")) {
		t.Errorf("it closes at %v", closing(r))
	}
}

// A register looks by itself until it is no longer needed. Faults at the start
// are an error; contests that are built in need no looking.
func TestFollow(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if _, err := (Contests{Dir: t.TempDir()}).Follow(ctx); err == nil {
		t.Error("an empty folder is followed")
	}
	r, err := Contests{}.Follow(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"default", "rock-gt"}; !slices.Equal(r.IDs(), want) {
		t.Errorf("contests are %v, want %v", r.IDs(), want)
	}
	dir := t.TempDir()
	write(t, dir, "show.yaml", show)
	if r, err = (Contests{Dir: dir}).Follow(ctx); err != nil {
		t.Fatal(err)
	}
	replace(t, dir, "show.yaml", strings.Replace(show, "12:00:00", "12:30:00", 1))
	limit, stop := context.WithTimeout(ctx, 30*time.Second)
	defer stop()
	for !closing(r).Equal(instant("12:30:00")) {
		select {
		case <-limit.Done():
			t.Fatal("a change is not seen")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// The built-in contests lie in the folder as they are built in, and what an
// organiser has made of them stays.
func TestLayContests(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "contests")
	if err := LayContests(dir); err != nil {
		t.Fatal(err)
	}
	laid, err := Contests{Dir: dir}.Load()
	if err != nil {
		t.Fatal(err)
	}
	built, err := Contests{}.Load()
	if err != nil {
		t.Fatal(err)
	}
	if changes := built.changes(laid); len(changes) > 0 {
		t.Errorf("laid differently: %v", changes)
	}
	replace(t, dir, "show.yaml", show)
	text, err := os.ReadFile(filepath.Join(dir, "rock-gt.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	replace(t, dir, "rock-gt.yaml", string(text)+"closes_at: 2099-01-01T00:00:00Z\n")
	if err := LayContests(dir); err != nil {
		t.Fatal(err)
	}
	again, err := Contests{Dir: dir}.Load()
	if err != nil {
		t.Fatal(err)
	}
	if c, _ := again.Contest("rock-gt"); len(again.IDs()) != 3 || c.ClosesAt.Year() != 2099 {
		t.Errorf("contests are %v, and rock-gt closes at %v", again.IDs(), c.ClosesAt)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 4 { // three contests and the schema
		t.Errorf("the folder has %v, %v", entries, err)
	}
}

// Reading the contests from a folder costs little more than from the binary: a
// function starts so with each vote that wakes it. It takes about 3 ms, as
// each file is held against the schema.
func BenchmarkFolderOfContests(b *testing.B) {
	dir := b.TempDir()
	if err := LayContests(dir); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := (Contests{Dir: dir}).Load(); err != nil {
			b.Fatal(err)
		}
	}
}
