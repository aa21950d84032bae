package local

import (
	"bytes"
	"fmt"
	"os"
	"sync"
)

// Bounds of what is kept of a child's output.
const (
	maxLog  = 8 << 20 // of a log file; as much again in the file before it
	maxTail = 2 << 10
)

// logFile keeps the output of a function's processes in a file of bounded size,
// and the end of it in memory for error messages. Several processes may write
// to it.
type logFile struct {
	mu   sync.Mutex
	path string
	file *os.File
	size int64
	tail []byte
}

func openLog(path string) (*logFile, error) {
	l := &logFile{path: path}
	return l, l.open()
}

func (l *logFile) open() error {
	file, err := os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return fmt.Errorf("open log: %w", err)
	}
	l.file, l.size = file, info.Size()
	return nil
}

// Write never fails: a full disk must not stop a function.
func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tail = append(l.tail, p...)
	if over := len(l.tail) - maxTail; over > 0 {
		l.tail = append(l.tail[:0], l.tail[over:]...)
	}
	if l.file == nil {
		return len(p), nil
	}
	if l.size+int64(len(p)) > maxLog {
		l.file.Close()
		l.file = nil
		if err := os.Rename(l.path, l.path+".1"); err != nil || l.open() != nil {
			return len(p), nil
		}
	}
	n, _ := l.file.Write(p)
	l.size += int64(n)
	return len(p), nil
}

// last returns the last line that was written.
func (l *logFile) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := bytes.TrimSpace(l.tail)
	return string(text[bytes.LastIndexByte(text, '\n')+1:])
}

func (l *logFile) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		l.file.Close()
		l.file = nil
	}
}
