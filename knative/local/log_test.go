package local

import (
	"log/slog"
	"testing"
)

// testLog writes to the test's log.
func testLog(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(testWriter{t}, nil))
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	if w.t.Context().Err() == nil { // what comes at the end of the test has nowhere to go
		w.t.Log(string(p[:len(p)-1]))
	}
	return len(p), nil
}
