//go:build unix

package real

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// ErrMissing says that a program or file which a part needs is not on this
// machine.
var ErrMissing = errors.New("not on this machine")

// Bounds of a part's life.
const (
	startTimeout = 60 * time.Second
	stopTimeout  = 20 * time.Second
	askTimeout   = 5 * time.Second
	askEvery     = 20 * time.Millisecond
	maxLog       = 8 << 20 // a longer one is begun anew at a start
	maxReason    = 1 << 10
)

// Part is a server in a process of its own. Its address, its password and its
// data stay the same however often it is killed and started.
type Part struct {
	// Address is host:port of the loopback.
	Address string
	// Password is asked of clients; empty: none is.
	Password string

	name string
	log  string                      // file of its output
	argv []string                    // program and arguments
	ask  func(context.Context) error // whether it answers

	mu      sync.Mutex // one start, stop or kill at a time
	process *process   // nil: none was started
}

// open starts a part that was just made.
func open(ctx context.Context, p *Part) (*Part, error) {
	if err := p.Start(ctx); err != nil {
		return nil, err
	}
	return p, nil
}

// Start starts the part and waits until it answers. It must not run.
func (p *Part) Start(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.process.alive() {
		return fmt.Errorf("start %s: it runs", p.name)
	}
	log, err := openLog(p.log)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	defer log.Close() //nolint:errcheck // the process has its own handle
	if p.process, err = run(p.argv, log); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	if err := p.await(ctx); err != nil {
		p.process.kill()
		return fmt.Errorf("start %s: %w: %s", p.name, err, lastWords(p.log))
	}
	return nil
}

// await waits until the part answers.
func (p *Part) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	again := time.NewTicker(askEvery)
	defer again.Stop()
	for {
		err := p.answers(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-again.C:
		case <-p.process.gone:
			return fmt.Errorf("process %d ended: %v", p.process.pid(), p.process.err)
		case <-ctx.Done():
			return fmt.Errorf("it does not answer at %s: %w", p.Address, err)
		}
	}
}

// answers knocks before it asks: clients wait long before they knock again.
func (p *Part) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", p.Address)
	if err != nil {
		return err
	}
	if err := conn.Close(); err != nil {
		return err
	}
	return p.ask(ctx)
}

// Kill ends the part as kill -9 does, and returns when it is gone. A part that
// does not run stays as it is.
func (p *Part) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.process.kill()
}

// Stop asks the part to end and waits until it is gone. One that does not end
// in time is killed, which is an error.
func (p *Part) Stop(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.process.alive() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	_ = p.process.cmd.Process.Signal(syscall.SIGTERM) // an error means that it is gone
	select {
	case <-p.process.gone:
		return nil
	case <-ctx.Done():
		p.process.kill()
		return fmt.Errorf("stop %s: killed: %w", p.name, ctx.Err())
	}
}

// PID is the part's process; 0 if it does not run.
func (p *Part) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.process.alive() {
		return 0
	}
	return p.process.pid()
}

// process is one run of a part.
type process struct {
	cmd  *exec.Cmd
	gone chan struct{} // closed when it has ended and is reaped
	err  error         // how it ended; valid once gone is closed
}

// run starts a program with its output in log. The process is tied to this
// one: Linux kills it when the thread that started it ends (prctl(2),
// PR_SET_PDEATHSIG), so a thread is kept for as long as it runs.
func run(argv []string, log *os.File) (*process, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = environment()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C on the terminal is for us alone
	dieWithParent(cmd.SysProcAttr)
	p := &process{cmd: cmd, gone: make(chan struct{})}
	started := make(chan error, 1)
	go p.live(started)
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// live starts the process and stays with it to its end.
func (p *process) live(started chan<- error) {
	runtime.LockOSThread() // never unlocked: the thread ends with this function
	err := p.cmd.Start()
	started <- err
	if err == nil {
		p.err = p.cmd.Wait()
		close(p.gone)
	}
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) alive() bool {
	if p == nil {
		return false
	}
	select {
	case <-p.gone:
		return false
	default:
		return true
	}
}

func (p *process) kill() {
	if p == nil {
		return
	}
	_ = p.cmd.Process.Kill() // an error means that it is gone
	<-p.gone
}

// freePort returns a port of the loopback that nobody listens on. It is below
// those that the kernel gives to outgoing connections: while a part is down its
// clients go on knocking, and one of them could get the very port.
func freePort() (int, error) {
	const first, last, tries = 12_000, 32_000, 100
	var err error
	for range tries {
		port := first + rand.N(last-first)
		var lis net.Listener
		if lis, err = net.Listen("tcp", loopback(port)); err == nil {
			return port, lis.Close()
		}
	}
	return 0, fmt.Errorf("find a free port: %w", err)
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// makeFolder makes a part's folder and returns its absolute path, which a
// program may be told whatever its working directory is.
func makeFolder(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return dir, os.MkdirAll(dir, 0o700)
}

// environment is what a part gets of ours: nothing that happens to be set may
// change what it does.
func environment() []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "TZ"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

func openLog(path string) (*os.File, error) {
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if info, err := os.Stat(path); err == nil && info.Size() > maxLog {
		flags |= os.O_TRUNC
	}
	return os.OpenFile(path, flags, 0o600)
}

// lastWords returns the end of a log: what a part said before it failed.
func lastWords(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return "it has no log"
	}
	defer file.Close() //nolint:errcheck // it was only read
	if info, err := file.Stat(); err == nil && info.Size() > maxReason {
		_, _ = file.Seek(-maxReason, io.SeekEnd)
	}
	text, _ := io.ReadAll(io.LimitReader(file, maxReason))
	return string(bytes.TrimSpace(text))
}
