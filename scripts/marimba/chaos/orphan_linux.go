package main

import "syscall"

// dieWithParent has the kernel kill the house when this process ends.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
