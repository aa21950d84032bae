package stage

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cloudevents/sdk-go/v2/event"
)

// An event that is to come again for a known reason is answered 503, and is no
// line in the log; one that failed is.
func TestWaitIsNoWarning(t *testing.T) {
	var out bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&out, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	held := errors.New("held")
	if err := Wait(held); !errors.Is(err, held) {
		t.Errorf("the reason is lost: %v", err)
	}
	for _, test := range []struct {
		err   error
		lines int
	}{{Wait(held), 0}, {held, 1}} {
		out.Reset()
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("{}"))
		for key, value := range map[string]string{"Ce-Id": "1", "Ce-Source": "a", "Ce-Type": "b", "Ce-Specversion": "1.0"} {
			r.Header.Set(key, value)
		}
		w := httptest.NewRecorder()
		New(func(context.Context, event.Event) error { return test.err }).ServeHTTP(w, r)
		if w.Code != http.StatusServiceUnavailable || strings.Count(out.String(), "\n") != test.lines {
			t.Errorf("%v: status %d, logged %q", test.err, w.Code, out.String())
		}
	}
}
