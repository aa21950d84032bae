package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
)

// machine is where a report comes from.
type machine struct {
	Cores    int               `json:"cores"`
	CPU      string            `json:"cpu"`
	Kernel   string            `json:"kernel"`
	Memory   string            `json:"memory"`
	Load     string            `json:"load"` // before the run, of 1, 5 and 15 minutes
	Versions map[string]string `json:"versions"`
}

// loadAtStart is read before anything is started here.
var loadAtStart = firstWords(oneLine("/proc/loadavg"), 3)

func firstWords(line string, n int) string {
	words := strings.Fields(line)
	return strings.Join(words[:min(n, len(words))], " ")
}

func thisMachine() machine {
	m := machine{
		Cores: runtime.NumCPU(), CPU: fieldOf("/proc/cpuinfo", "model name"), Memory: fieldOf("/proc/meminfo", "MemTotal"),
		Kernel: oneLine("/proc/sys/kernel/ostype") + " " + oneLine("/proc/sys/kernel/osrelease"), Load: loadAtStart,
		Versions: map[string]string{"go": runtime.Version()},
	}
	if out, err := exec.Command("redis-server", "--version").Output(); err == nil {
		for _, word := range strings.Fields(string(out)) {
			if version, ok := strings.CutPrefix(word, "v="); ok {
				m.Versions["redis-server"] = version
			}
		}
	}
	if out, err := exec.Command("java", "-version").CombinedOutput(); err == nil {
		line, _, _ := strings.Cut(string(out), "\n")
		m.Versions["java"] = strings.TrimSpace(line)
	}
	home, _ := os.UserHomeDir()
	for _, dir := range []string{os.Getenv("MARIMBA_KAFKA"), filepath.Join(home, ".cache", "marimba", "kafka-4.1.0")} {
		if jars, _ := filepath.Glob(filepath.Join(dir, "kafka_2.13-*.jar")); dir != "" && len(jars) > 0 {
			m.Versions["Apache Kafka"] = strings.TrimSuffix(strings.TrimPrefix(filepath.Base(jars[0]), "kafka_2.13-"), ".jar")
			break
		}
	}
	m.Versions["log store"] = "FerretDB 1.24 on SQLite, in MongoDB's place"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			switch dep.Path {
			case "google.golang.org/grpc", "github.com/confluentinc/confluent-kafka-go/v2", "github.com/tetratelabs/wazero":
				m.Versions[dep.Path] = dep.Version
			}
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				m.Versions["marimba"] = s.Value
			}
			if s.Key == "vcs.modified" && s.Value == "true" {
				m.Versions["marimba, changed since"] = "yes"
			}
		}
	}
	return m
}

func oneLine(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "not known"
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSpace(line)
}

// fieldOf finds "name : value" in a file of /proc.
func fieldOf(path, name string) string {
	file, err := os.Open(path)
	if err != nil {
		return "not known"
	}
	defer file.Close() //nolint:errcheck // it was only read
	for lines := bufio.NewScanner(file); lines.Scan(); {
		key, value, ok := strings.Cut(lines.Text(), ":")
		if ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "not known"
}
