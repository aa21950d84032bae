package house

import "syscall"

// dieWithParent has the kernel kill a process that was spawned when this process ends.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
