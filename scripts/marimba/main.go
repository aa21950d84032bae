// Command marimba is the door to Marimba: `go run ./scripts/marimba demo`.
//
// It is a launcher, and imports little, so that the first line appears within
// seconds on a machine that has built nothing yet. It builds what the command
// needs into .marimba/bin, shows how far it is, and becomes the real command,
// which is scripts/marimba/command.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

func main() {
	if err := launch(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "marimba:", err)
		os.Exit(1)
	}
}

// launch does not return if it succeeds: this process becomes the command.
func launch(args []string) error {
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	bin := filepath.Join(root, ".marimba", "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return err
	}
	if err := build(root, bin, targets(args)); err != nil {
		return fmt.Errorf("build: %w", err)
	}
	command := filepath.Join(bin, "marimba")
	env := append(os.Environ(), "MARIMBA_BIN="+bin)
	if err := syscall.Exec(command, append([]string{"marimba"}, args...), env); err != nil {
		return fmt.Errorf("start %s: %w", command, err)
	}
	return nil
}

// moduleRoot finds the folder of the module marimba, from here upwards.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(mod), "module marimba\n") {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("run this in a checkout of marimba")
		}
		dir = parent
	}
}

// target is one call of go build.
type target struct {
	dir      string // below the module's root
	out      string // below the bin folder; "" for the folder itself
	packages []string
}

var (
	theCommand   = target{".", "marimba", []string{"./scripts/marimba/command"}}
	theFunctions = target{".", "", []string{
		"./functions/ingress-http", "./functions/ingress-grpc", "./functions/screen",
		"./functions/tally", "./functions/shelve", "./functions/results",
	}}
	theLogStore = target{"knative/local/ferretdb", "ferretdb", []string{"."}}
)

// targets returns what a command needs: those that run the house need its
// functions and its embedded MongoDB, all others the command alone.
func targets(args []string) []target {
	for _, arg := range args {
		switch arg {
		case "up", "demo", "bench", "chaos", "rehearse":
			if os.Getenv("MONGO_URL") != "" || has(args, "--mongo") {
				return []target{theCommand, theFunctions}
			}
			return []target{theCommand, theFunctions, theLogStore}
		}
		if !strings.HasPrefix(arg, "-") {
			break
		}
	}
	return []target{theCommand}
}

func has(args []string, flag string) bool {
	for _, arg := range args {
		if arg == flag || strings.HasPrefix(arg, flag+"=") {
			return true
		}
	}
	return false
}
