package house

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"marimba/events"
)

// House is Marimba itself, as `marimba up` runs it, in a process of its own: the
// gateway, the sources' dispatchers and, below it, the functions. To kill it is to
// kill all of these.
type House struct {
	Bin  string   // folder of the programs
	Data string   // folder of its data
	Log  string   // file of what it says
	Env  []string // its whole environment
	Args []string // of up

	At Addresses // once it stands

	cmd  *exec.Cmd
	gone <-chan struct{}
}

// Addresses are what up says where it is.
type Addresses struct {
	HTTP, GRPC, Results string
}

// Start starts the house and waits until it stands.
func (h *House) Start(ctx context.Context) error {
	log, err := os.OpenFile(h.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("start house: %w", err)
	}
	defer log.Close() //nolint:errcheck // the process has its own handle
	said, says := io.Pipe()
	defer said.Close() //nolint:errcheck // what it says later is for nobody
	h.cmd = exec.Command(filepath.Join(h.Bin, "cli"), append([]string{"up", "--json", "--data", h.Data}, h.Args...)...)
	h.cmd.Env, h.cmd.Stdout, h.cmd.Stderr = h.Env, says, log
	if h.gone, err = Spawn(h.cmd); err != nil {
		return fmt.Errorf("start house: %w", err)
	}
	go func() {
		<-h.gone
		says.Close() //nolint:errcheck // never fails
	}()
	first := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(said).ReadString('\n')
		first <- line
	}()
	select {
	case line := <-first:
		if err := json.Unmarshal([]byte(line), &h.At); err != nil {
			h.Kill()
			return fmt.Errorf("start house: it said %q; see %s", line, h.Log)
		}
		return nil
	case <-ctx.Done():
		h.Kill()
		return fmt.Errorf("start house: %w", ctx.Err())
	}
}

// Kill ends the house as kill -9 does. Its functions end with it.
func (h *House) Kill() {
	_ = h.cmd.Process.Kill()
	<-h.gone
}

// Stop asks the house to end, and kills it if it does not. One that was never
// started stays as it is.
func (h *House) Stop() {
	if h.gone == nil {
		return
	}
	_ = h.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-h.gone:
	case <-time.After(time.Minute):
		h.Kill()
	}
}

// PID is the house's own process.
func (h *House) PID() int { return h.cmd.Process.Pid }

// Functions returns the processes of the house's functions, by function.
func (h *House) Functions() map[string][]int {
	out := make(map[string][]int)
	for _, pid := range Children(h.cmd.Process.Pid) {
		name := Program(pid)
		if _, ok := events.RouteOf(name); ok {
			out[name] = append(out[name], pid)
		}
	}
	return out
}
