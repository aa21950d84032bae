package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"marimba/events"
)

func packed(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, text)
	_ = z.Close()
	return b.String()
}

// A body that never ends is read to its bound and no further, whether the client
// tells its size or not.
func TestBodyThatNeverEnds(t *testing.T) {
	h := newHouse()
	counted := &counting{Reader: endless{" "}}
	w := h.do(t, httptest.NewRequest(http.MethodPost, rock, counted))
	wants(t, "endless", w, http.StatusRequestEntityTooLarge, events.BodyTooLarge, "")
	if counted.n > maxBody+64<<10 {
		t.Errorf("%d bytes were read", counted.n)
	}
	req := httptest.NewRequest(http.MethodPost, rock, counted)
	req.ContentLength = maxBody + 1
	before := counted.n
	wants(t, "told", h.do(t, req), http.StatusRequestEntityTooLarge, events.BodyTooLarge, "")
	if counted.n != before {
		t.Errorf("%d bytes were read of a body that is too large by its own word", counted.n-before)
	}
}

type counting struct {
	io.Reader
	n int
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}

// What goes wrong while a body arrives is told apart: too slow may be tried
// again, cut off not.
func TestBodyThatDoesNotArrive(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		code   events.Code
	}{
		{os.ErrDeadlineExceeded, http.StatusRequestTimeout, events.BodyTooSlow},
		{io.ErrUnexpectedEOF, http.StatusBadRequest, events.BodyMalformed},
	} {
		h := newHouse()
		body := io.MultiReader(strings.NewReader(`{"name":`), iotest.ErrReader(c.err))
		wants(t, c.err.Error(), h.do(t, httptest.NewRequest(http.MethodPost, rock, body)), c.status, c.code, "")
	}
}

// Large bodies have places of their own: there are only so many in memory at
// once, one more waits and is then told to come again, and small ones pass
// meanwhile.
func TestLargeBodiesAreFew(t *testing.T) {
	h := newHouse()
	h.ingress.patience = time.Millisecond
	large := "[" + strings.Repeat(vote+",", 500) + vote + "]"
	h.twin.hold, h.twin.begun = make(chan struct{}), make(chan struct{}, largeAtOnce)
	done := make(chan int, largeAtOnce)
	for range largeAtOnce {
		go func() { done <- h.post(t, rock, large).Code }()
	}
	for range largeAtOnce {
		<-h.twin.begun
	}
	wants(t, "one more", h.post(t, rock, large), http.StatusServiceUnavailable, events.Busy, "")
	go func() { done <- h.post(t, rock, vote).Code }()
	<-h.twin.begun
	close(h.twin.hold)
	for range largeAtOnce + 1 {
		if status := <-done; status != http.StatusAccepted {
			t.Errorf("status %d", status)
		}
	}
	if len(h.large) != 0 || len(h.room) != 0 {
		t.Error("a place is not given back")
	}
}

// What one request left in a buffer is not seen by the next.
func TestBuffersAreClean(t *testing.T) {
	h := newHouse()
	for range 20 {
		h.post(t, rock, vote+strings.Repeat(" ", 1000))
		h.post(t, rock, packed(vote), "Content-Encoding: gzip")
		wants(t, "half a vote", h.post(t, rock, vote[:30]), http.StatusBadRequest, events.BodyMalformed, "")
		wants(t, "half a packed vote", h.post(t, rock, packed(vote[:30]), "Content-Encoding: gzip"), http.StatusBadRequest, events.BodyMalformed, "")
	}
}
