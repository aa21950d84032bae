//go:build unix && !linux

package main

import "syscall"

// dieWithParent has nothing to do where the kernel cannot. Without /proc no
// function is found to be killed either: the suite is for Linux.
func dieWithParent(*syscall.SysProcAttr) {}
