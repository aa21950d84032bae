// Command marimba runs Marimba on one machine, sends votes to it and shows what
// became of them. `go run ./scripts/marimba` needs Go and a C compiler, no more.
//
// What is here only builds: the functions, the embedded MongoDB and the command
// proper (scripts/marimba/cli), of which it then takes the place. It uses the
// standard library alone, so that something is on the screen within seconds even
// when everything else has to be compiled first.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "marimba:", err)
		os.Exit(1)
	}
}

// run builds what a command needs, and becomes that command.
func run(args []string) error {
	root, err := module(!checks(args))
	if err != nil {
		return err
	}
	home := os.Getenv("MARIMBA_HOME")
	if home == "" {
		home = filepath.Join(root, ".marimba")
	}
	bin := filepath.Join(home, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return fmt.Errorf("make folder of binaries: %w", err)
	}
	if err := build(root, bin, needed(args)); err != nil {
		return err
	}
	env := append(os.Environ(), "MARIMBA_HOME="+home)
	program := "cli"
	switch name := command(args); {
	case checks(args):
		program = "verify"
	case name == "chaos", name == "bench":
		program = name
	}
	return become(filepath.Join(bin, program), append([]string{"marimba"}, args...), env)
}

// names are the commands that need more than the command proper.
var names = append([]string{"up", "demo", "chaos", "bench"}, ofBooks...)

// ofBooks are those that the binary books does the work of.
var ofBooks = []string{"audit", "recount", "replay", "close", "reseal", "annul", "forget"}

// command returns the first of the arguments that is the name of such a command.
// Flags may stand before it, and their values are not told from names here: at
// worst, more is built than is needed.
func command(args []string) string {
	if i := slices.IndexFunc(args, func(arg string) bool { return slices.Contains(names, arg) }); i >= 0 {
		return args[i]
	}
	return ""
}

// checks reports whether a command checks what was sealed. Whoever checks a result
// need not build what counts one, nor have a C compiler.
func checks(args []string) bool {
	i := slices.IndexFunc(args, func(arg string) bool { return !strings.HasPrefix(arg, "-") })
	return i >= 0 && (args[i] == "verify" || args[i] == "whatif")
}

// module returns the folder of Marimba's go.mod. Without a C compiler, which the
// Kafka client needs, it says so where one is needed, rather than let the build fail at
// the end.
func module(needsC bool) (string, error) {
	out, err := exec.Command("go", "env", "GOMOD", "CGO_ENABLED", "CC").Output()
	if err != nil {
		return "", fmt.Errorf("ask go for the module: %w", err)
	}
	answers := strings.Split(string(out), "\n")
	if len(answers) < 3 || answers[0] == "" || answers[0] == os.DevNull {
		return "", errors.New("run it in Marimba's own folder")
	}
	compiler, _, _ := strings.Cut(answers[2], " ")
	if _, err := exec.LookPath(compiler); needsC && (err != nil || answers[1] != "1") {
		return "", fmt.Errorf("a C compiler is needed, and %q is not there (Debian: apt-get install gcc libc6-dev; macOS: xcode-select --install) or CGO_ENABLED is 0", compiler)
	}
	return filepath.Dir(answers[0]), nil
}

// target is what one go build makes.
type target struct {
	dir      string // of the module, from the root
	packages []string
}

// needed returns what has to be built for a command: the whole house for those
// that start one, and the command itself for all others.
func needed(args []string) []target {
	cli := target{".", []string{"./scripts/marimba/cli"}}
	house := target{".", []string{"./functions/...", "./scripts/marimba/cli"}}
	store := target{"knative/local/ferretdb", []string{"."}}
	if checks(args) {
		return []target{{".", []string{"./functions/internal/verify"}}}
	}
	if slices.Contains(args, "--help") || slices.Contains(args, "-h") {
		return []target{cli}
	}
	switch name := command(args); {
	case name == "up", name == "demo":
		return []target{house, store}
	case name == "chaos", name == "bench":
		house.packages = append(house.packages, "./scripts/marimba/"+name)
		return []target{house, store}
	case slices.Contains(ofBooks, name):
		return []target{{".", []string{"./functions/internal/books", "./scripts/marimba/cli"}}}
	}
	return []target{cli}
}
