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

// build compiles the targets into bin, one after the other, as go build uses
// all cores by itself. What is built already costs a second or two.
func build(root, bin string, targets []target) error {
	p := newProgress(os.Stderr)
	defer p.stop()
	for _, t := range targets {
		go p.expect(stale(root, t))
	}
	for _, t := range targets {
		if err := compile(root, bin, t, p); err != nil {
			return err
		}
	}
	return nil
}

func compile(root, bin string, t target, p *progress) error {
	args := append([]string{"build", "-v", "-o", filepath.Join(bin, t.out) + suffix(t.out)}, t.packages...)
	cmd := exec.Command("go", args...)
	cmd.Dir = filepath.Join(root, t.dir)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("go build: %w (Go is needed: https://go.dev/dl)", err)
	}
	said := p.read(stderr)
	if err := cmd.Wait(); err != nil {
		p.stop()
		return fmt.Errorf("go build %s: %w\n%s", strings.Join(t.packages, " "), err, said)
	}
	return nil
}

// suffix makes an output that is a folder look like one to go build.
func suffix(out string) string {
	if out == "" {
		return string(filepath.Separator)
	}
	return ""
}

// stale counts the packages that have to be compiled for t. It is for the
// progress line only; 0 if that cannot be told.
func stale(root string, t target) int {
	args := append([]string{"list", "-deps", "-f", "{{if .Stale}}x{{end}}"}, t.packages...)
	cmd := exec.Command("go", args...)
	cmd.Dir = filepath.Join(root, t.dir)
	out, err := cmd.Output()
	if err != nil {
		return 0
	}
	return bytes.Count(out, []byte("x"))
}

// progress says on a terminal, in place, how far the build is; elsewhere it
// writes a line now and then. It says nothing about a build that takes less
// than a second.
type progress struct {
	out      io.Writer
	terminal bool
	built    atomic.Int64
	expected atomic.Int64
	last     atomic.Pointer[string]
	quit     chan struct{}
	quitted  chan struct{}
	stopped  bool
}

func newProgress(out *os.File) *progress {
	p := &progress{out: out, quit: make(chan struct{}), quitted: make(chan struct{})}
	if info, err := out.Stat(); err == nil {
		p.terminal = info.Mode()&os.ModeCharDevice != 0
	}
	go p.show()
	return p
}

func (p *progress) expect(packages int) { p.expected.Add(int64(packages)) }

// read counts the packages that go build names, and returns what else it said:
// compiler errors.
func (p *progress) read(stderr io.Reader) string {
	var said strings.Builder
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if module, ok := strings.CutPrefix(line, "go: downloading "); ok {
			line = "downloading " + module
		} else if strings.ContainsAny(line, " \t#:") {
			said.WriteString(line + "\n")
			continue
		} else {
			p.built.Add(1)
		}
		p.last.Store(&line)
	}
	return said.String()
}

func (p *progress) show() {
	defer close(p.quitted)
	start := time.Now()
	every := 5 * time.Second
	if p.terminal {
		every = 200 * time.Millisecond
	}
	select {
	case <-time.After(time.Second):
	case <-p.quit:
		return
	}
	fmt.Fprintln(p.out, "marimba: building; the first time takes a few minutes, later ones seconds")
	for {
		p.line(time.Since(start))
		select {
		case <-time.After(every):
		case <-p.quit:
			if p.terminal {
				fmt.Fprint(p.out, "\r\033[K")
			}
			fmt.Fprintf(p.out, "marimba: built in %s\n", time.Since(start).Round(time.Second))
			return
		}
	}
}

func (p *progress) line(elapsed time.Duration) {
	last := p.last.Load()
	if last == nil {
		return
	}
	count := fmt.Sprintf("%d packages", p.built.Load())
	if n := p.expected.Load(); n > 0 {
		count = fmt.Sprintf("%d of %d packages", min(p.built.Load(), n), n)
	}
	text := fmt.Sprintf("  %3ds  %s  %.60s", int(elapsed.Seconds()), count, *last)
	if p.terminal {
		fmt.Fprint(p.out, "\r\033[K"+text)
		return
	}
	fmt.Fprintln(p.out, text)
}

// stop ends the progress line; it may be called twice.
func (p *progress) stop() {
	if p.stopped {
		return
	}
	p.stopped = true
	close(p.quit)
	<-p.quitted
}
