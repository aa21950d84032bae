package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"marimba/config"
	"marimba/config/voterkey"
	"marimba/events"
	"marimba/knative"
	"marimba/knative/local"
)

// house is what up and demo start.
type house struct {
	*settings
	listen              string
	kafka, redis, mongo string
	contests            string
	observed            bool

	mu     sync.Mutex
	quiet  bool // a progress bar is on the screen
	missed []string
}

// listenAt is the gateway's usual address.
const listenAt = "127.0.0.1:8080"

func (h *house) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&h.listen, "listen", "", "the gateway's address (default "+listenAt+", or any free port if that is taken)")
	f.StringVar(&h.kafka, "kafka", "", "host:port of a Kafka to use (default: embedded)")
	f.StringVar(&h.redis, "redis", "", "host:port of a Redis to use, password in REDIS_PASSWORD (default: embedded)")
	f.StringVar(&h.mongo, "mongo", "", "mongodb:// URL to use (default: embedded)")
	f.StringVar(&h.contests, "contests", "", "folder of contests (default: those that are built in, laid into the data folder)")
}

// ownPorts are the usual ports of public functions. One that is taken is
// replaced by a free one.
var ownPorts = map[string]string{"ingress-http": "8081", "ingress-grpc": "8082", "results": "8083"}

// start starts the system on a data folder. The caller must stop it.
func (h *house) start(ctx context.Context, folder string) (*local.System, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	log, err := os.OpenFile(filepath.Join(folder, "house.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	options := local.Options{
		Manifests: knative.Base, Data: folder, Bin: h.bin(),
		Listen: h.listen, Ports: map[string]string{},
		Kafka: h.kafka, Redis: h.redis, Mongo: h.mongo, RedisPassword: os.Getenv("REDIS_PASSWORD"),
		Env:     map[string]string{},
		OnEvent: h.onEvent,
		Log:     slog.New(slog.NewJSONHandler(log, nil)),
	}
	if err := h.layContests(folder); err != nil {
		return nil, err
	}
	options.Env["CONTESTS_DIR"] = h.contests
	if options.Env["VOTER_KEYS_DIR"], err = h.layKeys(folder); err != nil {
		return nil, err
	}
	passTraces(options.Env)
	if options.Listen == "" {
		if options.Listen = listenAt; !free(listenAt) {
			options.Listen = "127.0.0.1:0"
		}
		for function, port := range ownPorts {
			if at := net.JoinHostPort("127.0.0.1", port); free(at) {
				options.Ports[function] = at
			}
		}
	}
	if h.observed {
		h.observe(&options)
	}
	if h.redis == "" {
		options.Prepare = func(ctx context.Context, a local.Addresses) error { return h.restore(ctx, a, options.Env) }
	}
	system, err := local.Start(ctx, options)
	if errors.Is(err, local.ErrInUse) {
		return nil, fmt.Errorf("%w; choose another with --data", err)
	}
	return system, err
}

// layContests settles on the folder of contests. Those that are built in are laid
// into the data folder, where they can be amended.
func (h *house) layContests(folder string) (err error) {
	if h.contests == "" {
		h.contests = filepath.Join(folder, "contests")
		if err := config.LayContests(h.contests); err != nil {
			return err
		}
	}
	h.contests, err = filepath.Abs(h.contests)
	return err
}

// keysIn is the folder of a house's voter keys.
func keysIn(folder string) string { return filepath.Join(folder, "voter-keys") }

// layKeys gives the contests voter keys of their own in the data folder, as far as
// nobody can have voted in them without, and returns their folder.
func (h *house) layKeys(folder string) (string, error) {
	dir, err := filepath.Abs(keysIn(folder))
	if err != nil {
		return "", err
	}
	roll, err := config.Contests{Dir: h.contests}.Load()
	if err != nil {
		return "", err
	}
	var contests []events.Contest
	for _, id := range roll.IDs() {
		c, _ := roll.Contest(id)
		contests = append(contests, c)
	}
	return dir, voterkey.Lay(dir, contests, local.Fresh(folder), time.Now())
}

// free reports whether an address can be listened at, now.
func free(address string) bool {
	lis, err := net.Listen("tcp", address)
	if err != nil {
		return false
	}
	return lis.Close() == nil
}

// restore puts the log back into the embedded Redis, which forgets at each end.
func (h *house) restore(ctx context.Context, a local.Addresses, env map[string]string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(h.bin(), "books"), "restore")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	cmd.Env = []string{"REDIS_URL=" + a.Redis, "REDIS_PASSWORD=" + a.RedisPassword, "MONGO_URL=" + a.Mongo}
	if dir, ok := env["CONTESTS_DIR"]; ok {
		cmd.Env = append(cmd.Env, "CONTESTS_DIR="+dir)
	}
	var said, fault bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &fault
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("restore the counts: %w: %s", err, bytes.TrimSpace(fault.Bytes()))
	}
	var done struct{ Contests, Boxes, Votes int64 }
	if err := json.Unmarshal(said.Bytes(), &done); err != nil {
		return fmt.Errorf("restore the counts: %w", err)
	}
	if done.Votes > 0 {
		h.tell("The counts of %d votes were rebuilt from the log and agree with it.", done.Votes)
	}
	return nil
}

// onEvent tells what happens to the functions.
func (h *house) onEvent(e local.Event) {
	var line string
	switch e.Kind {
	case local.Ready:
		line = fmt.Sprintf("%-12s started in %d ms", e.Function, e.Took.Milliseconds())
	case local.Stopped:
		line = fmt.Sprintf("%-12s stopped, idle, after %s", e.Function, e.Took.Round(100*time.Millisecond))
	case local.Crashed:
		line = fmt.Sprintf("%-12s failed: %v", e.Function, e.Err)
	case local.DeadLetter:
		line = fmt.Sprintf("%-12s did not take an event; it is in the dead letters: %v", e.Function, e.Err)
	default:
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	line = time.Now().Format("15:04:05 ") + line
	if h.quiet {
		h.missed = append(h.missed, line)
		return
	}
	h.tell("%s", line)
}

// hush keeps events back while something else is on the screen, and the returned
// function tells them.
func (h *house) hush() (speak func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.quiet = true
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, line := range h.missed {
			h.tell("%s", line)
		}
		h.quiet, h.missed = false, nil
	}
}

// tellURLs says where everything is.
func (h *house) tellURLs(system *local.System) {
	does := map[string]string{"ingress-http": "votes by HTTP", "ingress-grpc": "votes by gRPC", "results": "board and log"}
	for _, u := range system.URLs() {
		h.tell("  %-14s %-46s  or  %s", does[u.Function], u.Gateway, u.Own)
	}
}
