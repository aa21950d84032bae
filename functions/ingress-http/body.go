package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"marimba/events"
	"marimba/functions/internal/publish"
)

// Bounds of a body, as it is sent and as it is unpacked.
const (
	maxBody   = 4 << 20
	smallBody = 4 << 10
)

// body is what a request holds, unpacked. done must be called when nothing of it
// is needed any more, and may be called again.
type body struct {
	*bytes.Buffer
	large <-chan struct{} // where it has a place among the large
}

// Buffers and unpackers at rest.
var (
	buffers   = sync.Pool{New: func() any { return new(bytes.Buffer) }}
	unpackers = sync.Pool{New: func() any { return new(gzip.Reader) }}
)

func (b *body) done() {
	switch {
	case b.Buffer == nil:
		return
	case b.large != nil:
		<-b.large // its memory is too much to keep
	default:
		b.Reset()
		buffers.Put(b.Buffer)
	}
	b.Buffer = nil
}

// read reads the body of a request. One that does not fit its bounds is refused
// before more of it is read.
func (h *ingress) read(w http.ResponseWriter, req *http.Request) (*body, error) {
	if req.ContentLength > maxBody {
		return nil, tooLarge()
	}
	in := http.MaxBytesReader(w, req.Body, maxBody)
	b := &body{Buffer: buffers.Get().(*bytes.Buffer)}
	var err error
	switch encoding := strings.ToLower(req.Header.Get("Content-Encoding")); encoding {
	case "", "identity":
		err = h.fill(b, req, in, req.ContentLength)
	case "gzip", "x-gzip":
		z := unpackers.Get().(*gzip.Reader)
		if err = z.Reset(in); err == nil {
			err = h.fill(b, req, z, -1)
		}
		unpackers.Put(z)
	default:
		w.Header().Set("Accept-Encoding", "gzip, identity")
		err = events.Refuse(events.EncodingUnsupported, "", "encoding", shorten(encoding))
	}
	if err != nil {
		b.done()
		return nil, unreadable(err)
	}
	return b, nil
}

// fill reads in to its end. The size is -1 if it is not known.
func (h *ingress) fill(b *body, req *http.Request, in io.Reader, size int64) error {
	n, err := b.ReadFrom(io.LimitReader(in, smallBody+1))
	if err != nil || n <= smallBody {
		return err
	}
	wait := time.NewTimer(h.patience)
	defer wait.Stop()
	select {
	case h.large <- struct{}{}:
		b.large = h.large
	case <-wait.C:
		return publish.ErrBusy
	case <-req.Context().Done():
		return req.Context().Err()
	}
	if size > n {
		b.Grow(int(size-n) + bytes.MinRead) // one piece, and room to see its end
	}
	if _, err = b.ReadFrom(io.LimitReader(in, maxBody-n+1)); err == nil && b.Len() > maxBody {
		err = tooLarge()
	}
	return err
}

func tooLarge() *events.Refusal {
	return events.Refuse(events.BodyTooLarge, "", "max", strconv.Itoa(maxBody))
}

// unreadable says why a body could not be read.
func unreadable(err error) error {
	var no *events.Refusal
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &no), errors.Is(err, publish.ErrBusy):
		return err
	case errors.As(err, &large):
		return tooLarge()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return events.Refuse(events.BodyTooSlow, "")
	}
	return events.Refuse(events.BodyMalformed, "", "reason", shorten(err.Error()))
}

// maxShown bounds what an answer repeats of a request.
const maxShown = 200

// shorten makes a text of the request fit for an answer.
func shorten(s string) string {
	if len(s) > maxShown {
		s = s[:maxShown] + "…"
	}
	return strings.ToValidUTF8(s, "\ufffd")
}
