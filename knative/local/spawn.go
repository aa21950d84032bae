//go:build unix

package local

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// nursery starts child processes, and sees to it that none outlives this
// process, even one that is killed. It has one OS thread of its own: Linux ties
// a child's life to the thread that started it (prctl(2), PR_SET_PDEATHSIG),
// and Go ends other threads as it likes.
type nursery struct {
	births chan func()
	closed chan struct{}
}

func newNursery() *nursery {
	n := &nursery{births: make(chan func()), closed: make(chan struct{})}
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this function
		for {
			select {
			case birth := <-n.births:
				birth()
			case <-n.closed:
				return
			}
		}
	}()
	return n
}

// close ends the nursery's thread, and with it, on Linux, whatever it started
// and that still runs.
func (n *nursery) close() { close(n.closed) }

// child is a running child process.
type child struct {
	cmd     *exec.Cmd
	pid     int
	metrics string // where a function answers Prometheus; "": nowhere
	started time.Time
	exited  chan struct{} // closed when the process is gone and reaped
	err     error         // how it ended; valid once exited is closed
}

// start runs a program with env as its whole environment. Its output goes to
// out.
func (n *nursery) start(program string, args, env []string, out io.Writer) (*child, error) {
	cmd := exec.Command(program, args...)
	cmd.Env = env
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C on the terminal is for us alone
	dieWithParent(cmd.SysProcAttr)
	cmd.WaitDelay = time.Second // a grandchild that holds the output must not hold us
	c := &child{cmd: cmd, exited: make(chan struct{})}
	failed := make(chan error, 1)
	select {
	case n.births <- func() { c.started = time.Now(); failed <- cmd.Start() }:
	case <-n.closed:
		return nil, os.ErrClosed
	}
	if err := <-failed; err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	c.pid = cmd.Process.Pid
	unwatch := watch(c.pid)
	go func() {
		c.err = cmd.Wait()
		unwatch()
		close(c.exited)
	}()
	return c, nil
}

// stop asks the child to end, and kills it when it has not ended within grace
// or ctx is done.
func (c *child) stop(ctx context.Context, grace time.Duration) {
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // an error means that it is gone
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-c.exited:
		return
	case <-timer.C:
	case <-ctx.Done():
	}
	c.kill()
	<-c.exited
}

// kill ends the child at once, as kill -9 does.
func (c *child) kill() { _ = c.cmd.Process.Kill() }

// alive says whether the child still runs.
func (c *child) alive() bool {
	select {
	case <-c.exited:
		return false
	default:
		return true
	}
}
