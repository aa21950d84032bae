package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// rehearsal runs the command on a home without a house.
func rehearsal(t *testing.T, args ...string) (told string, err error) {
	t.Helper()
	for _, name := range []string{"MARIMBA_HTTP", "MARIMBA_GRPC", "MARIMBA_RESULTS", "KAFKA_BROKER", "CONTESTS_DIR"} {
		t.Setenv(name, "")
	}
	var out, said bytes.Buffer
	cmd := rehearseCommand(&settings{home: t.TempDir(), out: &out, err: &said})
	cmd.SetArgs(args)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	err = cmd.ExecuteContext(t.Context())
	if out.Len() > 0 {
		t.Errorf("%v: it writes %s", args, out.String())
	}
	return said.String(), err
}

// What cannot be rehearsed is refused before anything is laid, and a shadow that
// nobody voted in is taken out again.
func TestRehearseRefuses(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "show.yaml"), []byte(show), 0o600); err != nil {
		t.Fatal(err)
	}
	nowhere := []string{"--http", "http://127.0.0.1:1", "--grpc", "127.0.0.1:1", "--results", "http://127.0.0.1:1"}
	for want, args := range map[string][]string{
		"nothing runs on":      {"show"},
		"are no televote":      {"show", "--votes", "1"},
		"needs --grpc":         {"show", "--http", "http://127.0.0.1:1"},
		"--via \"post\"":       {"show", "--via", "post", "--http", "http://127.0.0.1:1"},
		"--results is needed":  {"show", "--via", "event", "--http", "http://127.0.0.1:1"},
		"--contests is needed": append([]string{"show"}, nowhere...),
		"no contest \"other\"": append([]string{"other", "--contests", dir}, nowhere...),
		"accepts 1 arg(s)":     {},
	} {
		if _, err := rehearsal(t, args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %s", args, err, want)
		}
	}
	r := &rehearsing{visitor: visitor{settings: &settings{err: new(bytes.Buffer)}}, length: time.Minute, now: time.Now}
	shadow, remove, err := r.lay(dir, "show", true)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, shadow.ID+".yaml")
	if _, err := os.Stat(file); err != nil || !shadow.ClosesAt.After(time.Now().Add(clusterAppear+configMapMargin+time.Minute)) {
		t.Errorf("%v; it closes at %s", err, shadow.ClosesAt)
	}
	remove()
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("the shadow is still there: %v", err)
	}
}
