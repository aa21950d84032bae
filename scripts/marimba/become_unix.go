//go:build unix

package main

import (
	"fmt"
	"syscall"
)

// become puts a program in the place of this process. It returns only if it
// could not.
func become(program string, args, env []string) error {
	return fmt.Errorf("start %s: %w", program, syscall.Exec(program, args, env))
}
