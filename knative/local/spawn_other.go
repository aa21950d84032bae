//go:build unix && !linux

package local

import (
	"os/exec"
	"strconv"
	"syscall"
)

// dieWithParent has nothing to do where the kernel cannot; watch does it.
func dieWithParent(*syscall.SysProcAttr) {}

// watch starts a shell that waits until this process is gone, which closes the
// pipe that it reads, and then kills the child. The returned function ends the
// shell when the child has ended by itself.
func watch(pid int) func() {
	shell := exec.Command("/bin/sh", "-c", "cat >/dev/null; kill -9 "+strconv.Itoa(pid))
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe, err := shell.StdinPipe()
	if err != nil {
		return func() {}
	}
	if err := shell.Start(); err != nil {
		pipe.Close()
		return func() {}
	}
	return func() {
		_ = shell.Process.Kill()
		_ = shell.Wait()
		_ = pipe.Close()
	}
}
