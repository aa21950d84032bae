//go:build unix

// Package realtest gives tests the parts of marimba/knative/local/real.
//
// A test that needs what is not on the machine is skipped, and says what is
// missing. With MARIMBA_TEST_REAL=1, as scripts/test sets it, it fails.
package realtest

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"marimba/knative/local/real"
)

// partTimeout bounds the start of a part, and buildTimeout a build with empty
// caches.
const (
	partTimeout  = time.Minute
	buildTimeout = 8 * time.Minute
)

// Kafka runs Apache Kafka until the test ends; flags are the JVM's.
func Kafka(t testing.TB, flags ...string) *real.Part {
	t.Helper()
	return keep(t, func(ctx context.Context, dir string) (*real.Part, error) { return real.Kafka(ctx, dir, flags...) })
}

// Redis runs redis-server until the test ends; settings are lines of its
// configuration.
func Redis(t testing.TB, settings ...string) *real.Part {
	t.Helper()
	return keep(t, func(ctx context.Context, dir string) (*real.Part, error) { return real.Redis(ctx, dir, settings...) })
}

// FerretDB builds FerretDB, and runs it until the test ends.
func FerretDB(t testing.TB) *real.Part {
	t.Helper()
	binary := filepath.Join(Build(t, "knative/local/ferretdb", "."), "ferretdb")
	return keep(t, func(ctx context.Context, dir string) (*real.Part, error) { return real.FerretDB(ctx, dir, binary) })
}

func keep(t testing.TB, start func(ctx context.Context, dir string) (*real.Part, error)) *real.Part {
	t.Helper()
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(context.Background(), partTimeout)
	defer cancel()
	p, err := start(ctx, dir)
	if err != nil {
		Missing(t, err)
	}
	t.Cleanup(p.Kill) // before the folder is removed
	return p
}

// Build builds packages of the module in dir, a folder of this repository, into
// the folder where scripts/marimba has its programs, and returns that. What is
// there and fresh is not built again.
func Build(t testing.TB, dir string, packages ...string) string {
	t.Helper()
	root := moduleRoot(t)
	look(t, root)
	bin := filepath.Join(root, ".marimba", "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()
	args := append([]string{"build", "-o", bin + string(filepath.Separator)}, packages...)
	build := exec.CommandContext(ctx, "go", args...)
	build.Dir = filepath.Join(root, dir)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %v in %s: %v\n%s", packages, dir, err, out)
	}
	return bin
}

// look reads the module's folders, since go test keeps results: it runs a test
// again when what that has read is not the same any more, and does not see what
// a build of the test's own reads.
func look(t testing.TB, root string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && path != root && strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// moduleRoot is the folder of the module marimba.
func moduleRoot(t testing.TB) string {
	t.Helper()
	mod, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		Missing(t, err)
	}
	return filepath.Dir(string(bytes.TrimSpace(mod)))
}

// Missing ends a test that needs what is not there.
func Missing(t testing.TB, err error) {
	t.Helper()
	if os.Getenv("MARIMBA_TEST_REAL") != "" {
		t.Fatal(err)
	}
	t.Skip(err)
}
