package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"marimba/events"
)

// house is Marimba itself, as `marimba up` runs it, in a process of its own: the
// gateway, the sources' dispatchers and, below it, the functions. To kill it is to
// kill all of these.
type house struct {
	bin, data, log string
	env            []string
	args           []string

	cmd  *exec.Cmd
	gone chan struct{}
	at   addresses
}

// addresses are what up says where it is.
type addresses struct {
	HTTP, GRPC, Results string
}

// start starts the house and waits until it stands.
func (h *house) start(ctx context.Context) error {
	log, err := os.OpenFile(h.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("start house: %w", err)
	}
	defer log.Close() //nolint:errcheck // the process has its own handle
	h.cmd = exec.Command(filepath.Join(h.bin, "cli"), append([]string{"up", "--json", "--data", h.data}, h.args...)...)
	h.cmd.Env, h.cmd.Stderr = h.env, log
	h.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(h.cmd.SysProcAttr)
	out, err := h.cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("start house: %w", err)
	}
	started, first := make(chan error, 1), make(chan string, 1)
	h.gone = make(chan struct{})
	go func() {
		// The kernel ties the house to the thread that started it, and Go may end
		// any other thread.
		runtime.LockOSThread()
		defer close(h.gone)
		err := h.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		line, _ := bufio.NewReader(out).ReadString('\n')
		first <- line
		_ = h.cmd.Wait()
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start house: %w", err)
	}
	select {
	case line := <-first:
		if err := json.Unmarshal([]byte(line), &h.at); err != nil {
			h.kill()
			return fmt.Errorf("start house: it said %q; see %s", line, h.log)
		}
		return nil
	case <-ctx.Done():
		h.kill()
		return fmt.Errorf("start house: %w", ctx.Err())
	}
}

// kill ends the house as kill -9 does. Its functions end with it.
func (h *house) kill() {
	_ = h.cmd.Process.Kill()
	<-h.gone
}

// stop asks the house to end, and kills it if it does not.
func (h *house) stop() {
	_ = h.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-h.gone:
	case <-time.After(time.Minute):
		h.kill()
	}
}

// functions returns the processes of the house's functions, by function.
func (h *house) functions() map[string][]int {
	out := make(map[string][]int)
	for _, pid := range children(h.cmd.Process.Pid) {
		name := program(pid)
		if _, ok := events.RouteOf(name); ok {
			out[name] = append(out[name], pid)
		}
	}
	return out
}

// children lists the processes that a process started, from /proc.
func children(parent int) []int {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	var pids []int
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil {
			continue // the thread has ended
		}
		for _, field := range strings.Fields(string(text)) {
			if pid, err := strconv.Atoi(field); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// program returns the name of a process's program; "" if it has ended.
func program(pid int) string {
	path, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return ""
	}
	return filepath.Base(path)
}
