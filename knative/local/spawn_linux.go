package local

import "syscall"

// dieWithParent has the kernel kill the child when the thread that started it
// ends.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }

// watch has nothing to do on Linux.
func watch(int) func() { return func() {} }
