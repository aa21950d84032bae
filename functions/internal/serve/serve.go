// Package serve is the life of a function's process: it starts, listens on one
// port, and on SIGTERM stops taking, finishes what it took, and closes.
package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"marimba/config"
	"marimba/functions/internal/telemetry"
)

// Bounds of a request and of the end of the process. Knative gives a pod its
// timeoutSeconds (60 at least in our manifests) to end; draining and closing
// stay below it.
const (
	readTimeout  = 30 * time.Second // headers and body
	idleTimeout  = 2 * time.Minute
	drainTimeout = 25 * time.Second
	closeTimeout = 15 * time.Second
	maxHeader    = 64 << 10
)

// Main runs a function until it ends or is told to end, and exits with 1 if it
// failed. It logs JSON to standard error, with the function's name on each
// line. The context that run gets ends at SIGTERM or SIGINT. CPU_PROFILE, if it is
// set, is a folder where the process leaves a CPU profile when it ends.
func Main(name string, run func(ctx context.Context, environ []string) error) {
	var level slog.LevelVar
	if err := level.UnmarshalText([]byte(os.Getenv("LOG_LEVEL"))); err != nil {
		level.Set(slog.LevelInfo)
	}
	telemetry.Name(name)
	log := slog.New(telemetry.Log(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: &level})))
	slog.SetDefault(log.With("function", name))
	easeCollector()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	end, err := profile(os.Getenv("CPU_PROFILE"), name)
	if err == nil {
		err = errors.Join(run(ctx, os.Environ()), end())
	}
	stop()
	if err != nil {
		slog.Error("function failed", "error", err)
		os.Exit(1)
	}
}

// Socket opens the port that the platform assigned; 0 picks a free one.
func Socket(at config.Server) (net.Listener, error) {
	lis, err := net.Listen("tcp", net.JoinHostPort(at.Host, strconv.Itoa(at.Port)))
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	slog.Info("listening", "address", lis.Addr().String())
	return lis, nil
}

// HTTP serves HTTP/1.1 and HTTP/2 without TLS on one port until ctx ends. Then
// it takes no more requests, lets those that run finish, and calls each closer
// in turn. GET /healthz answers 200 as long as the process serves: it says
// nothing of Kafka, Redis or MongoDB, whose absence must not stop the process
// that tells of it.
func HTTP(ctx context.Context, at config.Server, h http.Handler, closers ...func(context.Context) error) error {
	lis, err := Socket(at)
	if err != nil {
		return err
	}
	most := maxHeader
	if w, ok := h.(wide); ok {
		most = w.MaxHeader()
	}
	requests := telemetry.Requests(h)
	handler := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/healthz" && (req.Method == http.MethodGet || req.Method == http.MethodHead) {
			w.WriteHeader(http.StatusOK)
			return
		}
		req.Pattern = "/" // unless h knows better
		requests.ServeHTTP(w, req)
	})

	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{
		Handler:        handler,
		Protocols:      protocols,
		ReadTimeout:    readTimeout,
		IdleTimeout:    idleTimeout,
		MaxHeaderBytes: most,
		ErrorLog:       slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn), // panics are told there
	}
	told := telemetry.Open(at)
	return Until(ctx,
		func() error { return server.Serve(lis) },
		func(limit context.Context) error { return drain(limit, server) }, append(closers, told.Close)...)
}

// wide is a handler of requests whose headers may be longer than usual.
type wide interface{ MaxHeader() int }

// drain lets the requests that run finish. Those that do not within limit are cut
// off, before what they use is closed.
func drain(limit context.Context, server *http.Server) error {
	err := server.Shutdown(limit)
	if err != nil {
		_ = server.Close()
	}
	return err
}

// Until runs serve until it fails or ctx ends. At the end it calls drain, which
// must make serve return, and then each closer, all within bounded time. A cause
// for which ctx ended, other than that it was told to, is a failure.
func Until(ctx context.Context, serve func() error, drain func(context.Context) error, closers ...func(context.Context) error) error {
	served := make(chan error, 1)
	go func() { served <- serve() }()

	var failed error
	select {
	case failed = <-served:
	case <-ctx.Done():
		if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) { // as a signal is
			failed = cause
		}
		slog.Info("draining")
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
		if err := drain(limit); err != nil {
			failed = errors.Join(failed, fmt.Errorf("drain: %w", err))
		}
		cancel()
	}
	if errors.Is(failed, http.ErrServerClosed) {
		failed = nil
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	for _, closer := range closers {
		if err := closer(limit); err != nil {
			failed = errors.Join(failed, fmt.Errorf("close: %w", err))
		}
	}
	return failed
}
