//go:build unix && !linux

package house

import "syscall"

// dieWithParent has nothing to do where the kernel cannot. Without /proc no
// process is found to be killed or measured either: who needs that needs Linux.
func dieWithParent(*syscall.SysProcAttr) {}
