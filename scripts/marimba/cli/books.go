package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// bookkeeper is a command that works on the books of a house: on Kafka, Redis and
// MongoDB themselves. It is the house that runs on the data folder, or any other
// by the addresses of these three.
type bookkeeper struct {
	*settings
	given    addresses
	progress func(line []byte) // gets each line of JSON that books says on its way; nil: it says none
	secrets  []string          // variables that are for books whichever house it works on
}

func (b *bookkeeper) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&b.given.Kafka, "kafka", os.Getenv("KAFKA_BROKER"), "host:port of Kafka (KAFKA_BROKER; further settings in KAFKA_*)")
	f.StringVar(&b.given.Redis, "redis", os.Getenv("REDIS_URL"), "redis:// URL of Redis (REDIS_URL; password in REDIS_PASSWORD)")
	f.StringVar(&b.given.Mongo, "mongo", os.Getenv("MONGO_URL"), "mongodb:// URL (MONGO_URL)")
	f.StringVar(&b.given.Contests, "contests", os.Getenv("CONTESTS_DIR"), "folder of contests (CONTESTS_DIR; default: those of the house)")
	for _, secret := range []string{"redis", "mongo"} { // they may hold a password, which help must not show
		f.Lookup(secret).DefValue = ""
	}
}

// books runs the binary books and returns its result, also that of one which
// fails with it.
func (b *bookkeeper) books(ctx context.Context, args ...string) (json.RawMessage, error) {
	env, err := b.environment()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(b.bin(), "books"), args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Env = env
	var result bytes.Buffer
	said := heard{progress: b.progress}
	cmd.Stdout, cmd.Stderr = &result, &said
	if err = cmd.Run(); err != nil {
		if fault := said.fault(); fault != "" {
			err = errors.New(strings.TrimPrefix(fault, "books: "))
		}
	}
	return result.Bytes(), err
}

// heard is what books says on standard error: lines of JSON on its way, and what
// went wrong.
type heard struct {
	progress func(line []byte)
	line     []byte // that has not ended
	rest     bytes.Buffer
}

func (h *heard) Write(text []byte) (int, error) {
	h.line = append(h.line, text...)
	for {
		line, more, ended := bytes.Cut(h.line, []byte("\n"))
		if !ended {
			return len(text), nil
		}
		if h.progress != nil && bytes.HasPrefix(line, []byte("{")) {
			h.progress(line)
		} else {
			h.rest.Write(line)
			h.rest.WriteByte('\n')
		}
		h.line = more
	}
}

func (h *heard) fault() string {
	h.rest.Write(h.line)
	return strings.TrimSpace(h.rest.String())
}

// environment tells books where the house is. Given addresses stand alone: the
// books of one house are not held against those of another.
func (b *bookkeeper) environment() ([]string, error) {
	at, env := b.given, os.Environ()
	if at.Kafka == "" && at.Redis == "" && at.Mongo == "" {
		text, err := os.ReadFile(addressFile(b.folder()))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("nothing runs on %s: start it with `go run ./scripts/marimba up`, or say where it is with --kafka, --redis and --mongo", b.folder())
		}
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(text, &at); err != nil {
			return nil, fmt.Errorf("read %s: %w", addressFile(b.folder()), err)
		}
		if b.given.Contests != "" {
			at.Contests = b.given.Contests
		}
		env = []string{"REDIS_PASSWORD=" + at.RedisPassword} // what is set for others is not for this one
		for _, name := range b.secrets {
			env = append(env, name+"="+os.Getenv(name))
		}
	}
	for name, value := range map[string]string{
		"KAFKA_BROKER": at.Kafka, "REDIS_URL": at.Redis, "MONGO_URL": at.Mongo, "CONTESTS_DIR": at.Contests,
	} {
		if value != "" {
			env = append(env, name+"="+value) // of two of one name the last one counts
		}
	}
	return env, nil
}

// show runs books and shows its result as it is, or as a decoded one is shown.
func (b *bookkeeper) show(ctx context.Context, shown func(json.RawMessage) error, args ...string) error {
	result, err := b.books(ctx, args...)
	if len(result) == 0 {
		return err
	}
	if !b.json {
		return errors.Join(shown(result), err)
	}
	return errors.Join(b.write(result), err)
}
