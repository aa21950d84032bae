package real_test

import (
	"bufio"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"marimba/knative/local/real/realtest"
)

// A part does not outlive the process that started it, even if that is killed.
func TestNoOrphans(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("redis-server"); err != nil {
		realtest.Missing(t, err)
	}
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), "PARENT_OF_PART="+t.TempDir())
	stdin, err := parent.StdinPipe() // held open: the parent does not end by itself
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	said, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line := bufio.NewScanner(said)
	line.Scan()
	pid, err := strconv.Atoi(line.Text())
	if err != nil {
		t.Fatalf("the parent said %q", line.Text())
	}
	part, err := unix.PidfdOpen(pid, 0) // it names this process, even when its number is another's
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(part)
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	ended := []unix.PollFd{{Fd: int32(part), Events: unix.POLLIN}}
	if n, err := unix.Poll(ended, int(20*time.Second/time.Millisecond)); n != 1 {
		t.Errorf("the part, process %d, is still there: %v", pid, err)
	}
}
