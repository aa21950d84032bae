//go:build unix && !linux

package real

import "syscall"

// dieWithParent has nothing to do where the kernel cannot.
func dieWithParent(*syscall.SysProcAttr) {}
