//go:build unix

package local

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
)

// ErrInUse says that another process runs on the same data folder.
var ErrInUse = errors.New("the data folder is in use by another process")

// state is what a data folder remembers: secrets that were made for it, and
// the ports that its parts last had, so that addresses stay the same.
type state struct {
	path string
	lock *os.File

	mu      sync.Mutex        // guards what is below
	Secrets map[string]string `json:"secrets"`
	Ports   map[string]int    `json:"ports"`
}

// Fresh reports whether no system ever ran on a data folder.
func Fresh(data string) bool {
	_, err := os.Lstat(filepath.Join(data, stateFile))
	return errors.Is(err, fs.ErrNotExist)
}

const stateFile = "state.json"

// openState takes the data folder for this process alone. The lock is the
// kernel's, so it ends with this process, however that ends.
func openState(data string) (*state, error) {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(data, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s", ErrInUse, data)
		}
		return nil, fmt.Errorf("lock data folder: %w", err)
	}
	s := &state{path: filepath.Join(data, stateFile), lock: lock}
	text, err := os.ReadFile(s.path)
	if err == nil {
		err = json.Unmarshal(text, s)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		lock.Close()
		return nil, fmt.Errorf("read state: %w", err)
	}
	if s.Secrets == nil {
		s.Secrets = map[string]string{}
	}
	if s.Ports == nil {
		s.Ports = map[string]int{}
	}
	return s, nil
}

// secret returns the secret of a name, and makes it the first time.
func (s *state) secret(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Secrets[name] == "" {
		s.Secrets[name] = rand.Text()
	}
	return s.Secrets[name]
}

// known returns the secret of a name, "" if none was made.
func (s *state) known(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Secrets[name]
}

// save writes the state so that a crash, also of the machine, leaves the old or
// the new one: a lost secret would make every voter a new one.
func (s *state) save() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	next := s.path + ".new"
	if err := writeSynced(next, text); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	if err := os.Rename(next, s.path); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	return nil
}

func writeSynced(path string, text []byte) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

func (s *state) close() { s.lock.Close() }

// port returns a free port of the loopback for a part: the one it had last, if
// that is free. It is free when this returns, and may be taken a moment later.
func (s *state) port(part string) (int, error) {
	lis, err := s.listen(part)
	if err != nil {
		return 0, err
	}
	return lis.Addr().(*net.TCPAddr).Port, lis.Close()
}

// listen opens a loopback port for a part: the one it had last, if that is
// free, or else any.
func (s *state) listen(part string) (lis net.Listener, err error) {
	err = s.bind(part, func(address string) (int, error) {
		if lis, err = net.Listen("tcp", address); err != nil {
			return 0, err
		}
		return lis.Addr().(*net.TCPAddr).Port, nil
	})
	return lis, err
}

// bind has a part listen at an address of the loopback, with the port it had
// last or, if that is not free, with any; listen says which.
func (s *state) bind(part string, listen func(address string) (port int, err error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	port, err := listen(net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Ports[part])))
	if err != nil && s.Ports[part] != 0 {
		port, err = listen("127.0.0.1:0")
	}
	if err != nil {
		return fmt.Errorf("find a port for %s: %w", part, err)
	}
	s.Ports[part] = port
	return nil
}
