package serve

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// A process that is told a folder leaves a profile there that bears its name; one
// that is told none leaves nothing, and one whose folder is not there says so.
func TestProfile(t *testing.T) {
	folder := t.TempDir()
	end, err := profile(folder, "screen")
	if err != nil {
		t.Fatal(err)
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(folder, "screen-*.pprof"))
	if err != nil || len(left) != 1 {
		t.Fatalf("left %v, %v", left, err)
	}
	file, err := os.Open(left[0])
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	text, err := gzip.NewReader(file) // as pprof's files are
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, text); n == 0 || err != nil {
		t.Errorf("a profile of %d bytes, %v", n, err)
	}

	if end, err = profile("", "screen"); err != nil || end() != nil {
		t.Errorf("without a folder: %v", err)
	}
	if _, err := profile(filepath.Join(folder, "none"), "screen"); err == nil {
		t.Error("a folder that is not there is no fault")
	}
}
