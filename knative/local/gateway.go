//go:build unix

package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"time"
)

// Bounds of the gateway.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 64 << 10
	maxStreams    = 1000 // requests at once on one HTTP/2 connection
	copySize      = 16 << 10
)

// errTimeout ends a request that took longer than its service allows.
var errTimeout = errors.New("the function took longer than its timeout")

// gateway stands where Kourier does: it passes requests to services by the name
// in Host, SERVICE.NAMESPACE.localhost. Services that are cluster-local are not
// there for it. Under its own address it shows the functions' figures.
func gateway(doors map[string]http.Handler, figures http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		name, local := strings.CutSuffix(strings.ToLower(host), ".localhost")
		if !local && r.Method == http.MethodGet && r.URL.Path == FiguresPath {
			figures(w, r)
			return
		}
		door, ok := doors[name]
		if !local || !ok {
			http.Error(w, "no such service", http.StatusNotFound)
			return
		}
		door.ServeHTTP(w, r)
	})
}

// door is the way into one service from outside: it bounds the request's time,
// and passes it on as it comes, in both directions; an answer of unknown length
// is a stream, of which each piece is passed on at once.
func door(r *revision) http.Handler {
	proxy := &httputil.ReverseProxy{
		Transport:  r,
		BufferPool: &copyBuffers,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetXForwarded()
			p.Out.URL.Scheme, p.Out.URL.Host = "http", r.name // RoundTrip puts the instance's address
		},
		ErrorHandler: refuse,
		ErrorLog:     slog.NewLogLogger(r.log.Handler(), slog.LevelDebug),
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		ctx, cancel := context.WithTimeoutCause(req.Context(), r.timeout, errTimeout)
		defer cancel()
		if r.startTimeout > 0 {
			first, late := context.WithCancelCause(ctx)
			defer late(nil)
			timer := time.AfterFunc(r.startTimeout, func() { late(errTimeout) })
			defer timer.Stop()
			ctx, w = first, &starting{w, timer}
		}
		proxy.ServeHTTP(w, req.WithContext(ctx))
	})
}

// copyBuffers are what answers are copied through. Without them each answer
// would take 32 KiB of new memory.
var copyBuffers buffers

type buffers struct{ free sync.Pool }

func (b *buffers) Get() []byte {
	if buffer, ok := b.free.Get().(*[copySize]byte); ok {
		return buffer[:]
	}
	return make([]byte, copySize)
}

func (b *buffers) Put(buffer []byte) { b.free.Put((*[copySize]byte)(buffer)) }

// starting stops the timer of an answer's first byte when the answer begins.
type starting struct {
	http.ResponseWriter
	timer *time.Timer
}

func (s *starting) WriteHeader(status int) {
	s.timer.Stop()
	s.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach what is below.
func (s *starting) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// refuse answers a request that did not reach the function or got no answer.
func refuse(w http.ResponseWriter, req *http.Request, err error) {
	status := http.StatusBadGateway
	switch {
	case errors.Is(err, errTimeout), errors.Is(context.Cause(req.Context()), errTimeout):
		status = http.StatusGatewayTimeout
	case errors.Is(err, errBusy), errors.Is(err, errStart), errors.Is(err, errStopped):
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "1")
	case errors.Is(err, context.Canceled):
		return // the client went away
	}
	http.Error(w, fmt.Sprintf("%s: %v", http.StatusText(status), err), status)
}

// newServer returns a server of HTTP/1.1 and HTTP/2 without TLS.
func newServer(h http.Handler, log *slog.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           h,
		Protocols:         protocols,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}
