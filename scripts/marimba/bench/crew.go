package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"marimba/scripts/marimba/house"
)

// Bounds of the processes that are started here.
const (
	startTimeout = 30 * time.Second
	stopTimeout  = 30 * time.Second
	maxWords     = 2 << 10
)

// child is a process that was started here. It ends with its standard input.
type child struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	said *lastWords
	gone <-chan struct{}
}

// spawn starts this program itself in another part, or any other program.
func spawn(ctx context.Context, env []string, program string, args ...string) (*child, error) {
	c := &child{cmd: exec.Command(program, args...), said: &lastWords{}}
	c.cmd.Env, c.cmd.Stderr = env, c.said
	heard, says := io.Pipe()
	c.cmd.Stdout, c.out = says, bufio.NewReader(heard)
	var err error
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if c.gone, err = house.Spawn(c.cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(program), err)
	}
	unwatch := context.AfterFunc(ctx, func() { _ = c.cmd.Process.Kill() })
	go func() {
		<-c.gone
		unwatch()
		says.Close() //nolint:errcheck // never fails
	}()
	return c, nil
}

// self starts this program in one of its other parts.
func self(ctx context.Context, args ...string) (*child, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return spawn(ctx, os.Environ(), program, args...)
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// line reads a line; its error has what the child complained of last.
func (c *child) line() (string, error) {
	line, err := c.out.ReadString('\n')
	if err != nil {
		<-c.gone
		return "", fmt.Errorf("%w: %s", err, c.said)
	}
	return strings.TrimSpace(line), nil
}

// stop ends the child, as its standard input ends and SIGTERM tells it to.
func (c *child) stop() error {
	_ = c.in.Close()
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // an error means that it is gone
	go func() { _, _ = io.Copy(io.Discard, c.out) }()
	select {
	case <-c.gone:
		return nil
	case <-time.After(stopTimeout):
		_ = c.cmd.Process.Kill()
		<-c.gone
		return fmt.Errorf("%s did not end and was killed", filepath.Base(c.cmd.Path))
	}
}

// worker is a child that does a job.
type worker struct {
	*child
	warmed int64 // votes that were accepted before
}

// hire starts a worker and returns when it is warm.
func hire(ctx context.Context, j job) (*worker, error) {
	c, err := self(ctx, "work")
	if err != nil {
		return nil, err
	}
	w := &worker{child: c}
	text, err := json.Marshal(j)
	if err == nil {
		_, err = c.in.Write(append(text, '\n'))
	}
	var line string
	if err == nil {
		line, err = c.line()
	}
	if err == nil {
		_, err = fmt.Sscanf(line, "ready %d", &w.warmed)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("worker for %s%s: %w", j.Path, j.Floor, err), c.stop())
	}
	return w, nil
}

// tell says a word, and hears the answer that follows on it.
func (w *worker) tell(word string) (a answer, err error) {
	if _, err = fmt.Fprintln(w.in, word); err != nil {
		return answer{}, fmt.Errorf("worker: %w: %s", err, w.said)
	}
	line, err := w.line()
	if err != nil {
		return answer{}, fmt.Errorf("worker: %w", err)
	}
	if err = json.Unmarshal([]byte(line), &a); err != nil {
		return answer{}, fmt.Errorf("worker: it said %.100q: %w", line, err)
	}
	return a, nil
}

// server is a child that serves at an address.
type server struct {
	*child
	address string
}

// serveSelf starts one of the servers of this program.
func serveSelf(ctx context.Context, name string) (*server, error) {
	c, err := self(ctx, "serve", name)
	if err != nil {
		return nil, err
	}
	address, err := c.line()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), c.stop())
	}
	return &server{c, address}, nil
}

// serveFunction starts a function by itself, without Knative's stand-in before it.
func serveFunction(ctx context.Context, bin, name string, env ...string) (*server, error) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := lis.Addr().String()
	if err := lis.Close(); err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(address)
	c, err := spawn(ctx, append([]string{"PATH=" + os.Getenv("PATH"), "HOST=127.0.0.1", "PORT=" + port, "CPU_PROFILE=" + os.Getenv("CPU_PROFILE")}, env...), filepath.Join(bin, name))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err == nil {
			return &server{c, address}, conn.Close()
		}
		if !sleepUntil(ctx, time.Now().Add(10*time.Millisecond)) {
			return nil, errors.Join(fmt.Errorf("%s does not listen: %w: %s", name, err, c.said), c.stop())
		}
	}
}

// lastWords keeps the end of what is written to it.
type lastWords struct {
	mu   sync.Mutex
	text []byte
}

func (l *lastWords) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	if over := len(l.text) - maxWords; over > 0 {
		l.text = append(l.text[:0], l.text[over:]...)
	}
	return len(p), nil
}

func (l *lastWords) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.TrimSpace(string(l.text))
}
