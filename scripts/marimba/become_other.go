//go:build !unix

package main

import "errors"

// become is not possible here: what runs the functions needs a Unix.
func become(string, []string, []string) error {
	return errors.New("marimba runs on Linux, macOS and other Unix systems; on Windows, in WSL")
}
