package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// build builds targets into a folder. Nothing is said as long as nothing has to
// be compiled; the first time that is known before the first package.
func build(root, bin string, targets []target) error {
	p := &progress{out: os.Stderr, live: isTerminal(os.Stderr), began: time.Now()}
	if _, err := os.Stat(filepath.Join(bin, "cli")); err != nil {
		p.begin()
	}
	for _, t := range targets {
		go p.expect(stale(filepath.Join(root, t.dir), t.packages))
	}
	for _, t := range targets {
		args := append([]string{"build", "-v", "-ldflags=-s -w", "-o", bin + string(filepath.Separator)}, t.packages...)
		if err := compile(filepath.Join(root, t.dir), args, p); err != nil {
			return fmt.Errorf("build %s: %w", strings.Join(t.packages, " "), err)
		}
	}
	p.end()
	return nil
}

// stale counts the packages that have to be compiled. It is for the progress
// only: 0 if that cannot be told.
func stale(dir string, packages []string) int {
	cmd := exec.Command("go", append([]string{"list", "-deps", "-f", "{{if .Stale}}x{{end}}"}, packages...)...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return 0
	}
	return bytes.Count(out, []byte("x"))
}

// compile runs go and reports each package that it compiles. What it says
// besides is an error, and is in the error.
func compile(dir string, args []string, p *progress) error {
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	said, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	var fault bytes.Buffer
	lines := bufio.NewScanner(said)
	for lines.Scan() {
		switch line := lines.Text(); {
		case strings.HasPrefix(line, "go: downloading "):
			p.step("fetch", strings.TrimPrefix(line, "go: downloading "))
		case isPackage(line):
			p.step("compile", line)
		default:
			if fault.Len() < 64<<10 {
				fmt.Fprintln(&fault, line)
			}
		}
	}
	if lines.Err() != nil {
		_, _ = io.Copy(io.Discard, said)
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%w\n%s", err, strings.TrimSpace(fault.String()))
	}
	return nil
}

// isPackage tells the line of go build -v from an error message: an import path
// has no spaces and begins with none of an error's signs.
func isPackage(line string) bool {
	return line != "" && !strings.ContainsAny(line, " \t:") && !strings.HasPrefix(line, "#")
}

// progress tells how a build goes on: one line that changes on a terminal, and
// elsewhere a line now and then.
type progress struct {
	out      io.Writer
	live     bool
	began    time.Time
	expected atomic.Int64 // packages, as far as is known yet
	done     int64
	told     time.Time
}

// between is the time between two lines where they do not replace one another.
const between = 5 * time.Second

func (p *progress) expect(packages int) { p.expected.Add(int64(packages)) }

func (p *progress) begin() {
	p.told = time.Now()
	fmt.Fprintln(p.out, "Marimba is being built. The first time takes a few minutes, later ones seconds.")
}

func (p *progress) step(what, name string) {
	if p.told.IsZero() {
		p.begin()
	}
	if what == "compile" {
		p.done++
	}
	line := fmt.Sprintf("%4d of %4d  %s %s", p.done, max(p.done, p.expected.Load()), what, name)
	now := time.Now()
	switch {
	case p.live:
		fmt.Fprintf(p.out, "\r\x1b[K%.100s", line)
	case now.Sub(p.told) >= between:
		fmt.Fprintln(p.out, line)
	default:
		return
	}
	p.told = now
}

func (p *progress) end() {
	if p.told.IsZero() {
		return
	}
	if p.live {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
	fmt.Fprintf(p.out, "Built in %s.\n", time.Since(p.began).Round(time.Second))
}

// isTerminal reports whether a file is a terminal, or at least a device that
// shows characters.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
