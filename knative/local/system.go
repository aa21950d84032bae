//go:build unix

package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Options say what to run, and where.
type Options struct {
	Manifests fs.FS  // a folder of manifests
	Data      string // folder of all that shall outlive this process
	Bin       string // folder of the functions' binaries and ferretdb
	Listen    string // the gateway's address; empty: 127.0.0.1:8080
	// Ports are the addresses of public functions' own ports, by function. One
	// that is not named gets a free port, the same again at the next start.
	Ports map[string]string

	// Addresses of real parts; empty: embedded.
	Kafka, Redis, Mongo string
	RedisPassword       string

	// Observe is the address at which the house answers Prometheus, and tells it of
	// the functions' processes, which answer it too; empty: none does.
	Observe string
	// Prometheus, if it is given, is run on the data folder. It needs Observe.
	Prometheus *Prometheus

	// Env is added to the environment of every function, after the manifest's.
	Env map[string]string

	// Prepare is called when Kafka, Redis and MongoDB answer, before any function
	// can start. The embedded Redis is empty then.
	Prepare func(context.Context, Addresses) error
	// OnEvent is called as things happen, from several goroutines; it must return
	// soon.
	OnEvent func(Event)
	Log     *slog.Logger // nil: slog's default
}

// State is where a process is in its life.
type State string

// The states of a process.
const (
	Starting State = "starting"
	Running  State = "running"
	Leaving  State = "leaving" // takes no more requests
)

// Process is one process of a function.
type Process struct {
	Function string
	PID      int // 0 while it is not yet there
	State    State
	Started  time.Time
	Address  string
	Metrics  string // where it answers Prometheus; "": nowhere
	InFlight int    // requests
}

// URL says where a public function is reached.
type URL struct {
	Function string
	Gateway  string // by the function's name, as on a cluster; needs *.localhost to resolve
	Own      string // on the function's own port
}

// System is a running Marimba.
type System struct {
	options   Options
	log       *slog.Logger
	plan      *plan
	state     *state
	parts     *parts
	ledger    *ledger
	revisions map[string]*revision
	urls      []URL
	gateway   string
	observed  Observed
	failed    chan error

	closers []func(context.Context) error // in the order of opening
	stopped sync.Once
	stopErr error
}

// stopTimeout bounds Stop.
const stopTimeout = 30 * time.Second

// Start runs the manifests. It returns when Kafka, Redis and MongoDB answer and
// the gateway listens; functions start when something asks for them. The caller
// must Stop the system. It wraps ErrInUse if another process runs on the data.
func Start(ctx context.Context, o Options) (*System, error) {
	if o.Listen == "" {
		o.Listen = "127.0.0.1:8080"
	}
	s := &System{
		options: o, log: o.Log, failed: make(chan error, 1), revisions: map[string]*revision{},
		ledger: &ledger{onEvent: o.OnEvent, figures: map[string]Figures{}},
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	if o.Observe != "" {
		s.ledger.told = newTold()
	}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.Stop(ctx))
	}
	return s, nil
}

func (s *System) start(ctx context.Context) error {
	var err error
	if s.plan, err = read(s.options.Manifests); err != nil {
		return fmt.Errorf("read manifests: %w", err)
	}
	if s.state, err = openState(s.options.Data); err != nil {
		return err
	}
	s.onClose(func(context.Context) error { s.state.close(); return nil })
	if err := os.MkdirAll(filepath.Join(s.options.Data, "log"), 0o700); err != nil {
		return fmt.Errorf("make log folder: %w", err)
	}
	births := newNursery()
	s.onClose(func(context.Context) error { births.close(); return nil })
	if s.parts, err = openParts(ctx, s.options, s.state, births, s.log); err != nil {
		return err
	}
	s.onClose(func(ctx context.Context) error { s.parts.close(ctx); return nil })
	if err := makeTopics(ctx, s.parts.Kafka, s.plan.topics); err != nil {
		return err
	}
	if s.options.Prepare != nil {
		if err := s.options.Prepare(ctx, s.parts.Addresses); err != nil {
			return fmt.Errorf("prepare: %w", err)
		}
	}
	listeners, err := s.listen()
	if err != nil {
		return err
	}
	if err := s.openRevisions(births); err != nil {
		return err
	}
	member := ""
	if s.parts.kafka == nil {
		member = s.state.secret("member") // a Kafka that outlives us keeps our place in the groups
	}
	// Before the first vote: what is made of it with a secret must stay readable.
	if err := s.state.save(); err != nil {
		return err
	}
	if err := s.openSources(member); err != nil {
		return err
	}
	if s.options.Observe != "" {
		if err := s.observe(births); err != nil {
			return err
		}
	}
	s.serve(listeners)
	return nil
}

func (s *System) onClose(f func(context.Context) error) { s.closers = append(s.closers, f) }

// listen opens the gateway's address and the public functions' own ports; the
// gateway's has no name.
func (s *System) listen() (map[string]net.Listener, error) {
	listeners := map[string]net.Listener{}
	s.onClose(func(context.Context) error {
		for _, lis := range listeners {
			lis.Close() // those that are served are closed before; again does no harm
		}
		return nil
	})
	lis, err := net.Listen("tcp", s.options.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for the gateway: %w", err)
	}
	listeners[""] = lis
	s.gateway = "http://" + lis.Addr().String()
	_, port, _ := net.SplitHostPort(lis.Addr().String())
	for i := range s.plan.services {
		svc := &s.plan.services[i]
		if svc.private {
			continue
		}
		var own net.Listener
		if address := s.options.Ports[svc.name]; address != "" {
			own, err = net.Listen("tcp", address)
		} else {
			own, err = s.state.listen(svc.name)
		}
		if err != nil {
			return nil, fmt.Errorf("listen for %s: %w", svc.name, err)
		}
		listeners[svc.name] = own
		s.urls = append(s.urls, URL{
			Function: svc.name,
			Gateway:  fmt.Sprintf("http://%s.%s.localhost:%s", svc.name, svc.namespace, port),
			Own:      "http://" + own.Addr().String(),
		})
	}
	return listeners, nil
}

func (s *System) openRevisions(births *nursery) error {
	v := values{
		config: s.plan.config,
		own: map[string]string{
			"KAFKA_BROKER": s.parts.Kafka, "REDIS_URL": s.parts.Redis,
			"INGRESS_URL": "http://" + s.ownAddress("ingress-http"), "RESULTS_URL": "http://" + s.ownAddress("results"),
		},
		secret:  func(key string) string { return s.secret(key, s.state.secret) },
		address: s.ownAddress,
	}
	s.onClose(func(ctx context.Context) error {
		var all sync.WaitGroup
		for _, r := range s.revisions {
			all.Go(func() { r.close(ctx); r.output.close() })
		}
		all.Wait()
		return nil
	})
	for i := range s.plan.services {
		svc := &s.plan.services[i]
		binary := filepath.Join(s.options.Bin, svc.function)
		if _, err := os.Stat(binary); err != nil {
			return fmt.Errorf("find function: %w", err)
		}
		env, err := v.of(svc, s.options.Env)
		if err != nil {
			return err
		}
		output, err := openLog(filepath.Join(s.options.Data, "log", svc.name+".log"))
		if err != nil {
			return err
		}
		r := &revision{
			service: *svc, transport: newTransport(svc.h2c), ledger: s.ledger, log: s.log, output: output,
			launch: func() (*child, string, error) {
				port, err := freePort()
				if err != nil {
					return nil, "", err
				}
				own, metrics := append(slices.Clip(env), "PORT="+strconv.Itoa(port)), ""
				if s.options.Observe != "" {
					second, err := freePort()
					if err != nil {
						return nil, "", err
					}
					own, metrics = append(own, "METRICS_PORT="+strconv.Itoa(second)), loopback(second)
				}
				c, err := births.start(binary, nil, own, output)
				if err == nil {
					c.metrics = metrics
				}
				return c, loopback(port), err
			},
		}
		s.revisions[svc.name] = r
		s.ledger.told.begin(svc.name)
		r.open()
	}
	return nil
}

func (s *System) openSources(member string) error {
	sources, err := openSources(s.plan, s.parts.Kafka, member,
		func(function string) http.RoundTripper { return s.revisions[function] }, s.ledger, s.log)
	s.onClose(sources.close)
	return err
}

func (s *System) serve(listeners map[string]net.Listener) {
	doors := map[string]http.Handler{}
	handlers := map[string]http.Handler{"": gateway(doors, s.showFigures)}
	for name, r := range s.revisions {
		if !r.private {
			handlers[name] = s.ledger.told.counted(name, door(r))
			doors[r.name+"."+r.namespace] = handlers[name]
		}
	}
	var servers []*http.Server
	for name, lis := range listeners {
		server := newServer(handlers[name], s.log)
		servers = append(servers, server)
		go func() {
			if err := server.Serve(lis); !errors.Is(err, http.ErrServerClosed) {
				select {
				case s.failed <- fmt.Errorf("serve %s: %w", lis.Addr(), err):
				default:
				}
			}
		}()
	}
	s.onClose(func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, stopAfter)
		defer cancel()
		var all sync.WaitGroup
		for _, server := range servers {
			all.Go(func() {
				if server.Shutdown(ctx) != nil {
					server.Close() // streams that do not end by themselves
				}
			})
		}
		all.Wait()
		return nil
	})
}

// Stop ends the system: it takes no more requests and events, lets those on
// their way end for a few seconds, and ends all processes. What was not done is
// in Kafka, and comes again at the next start. It may be called again.
func (s *System) Stop(ctx context.Context) error {
	s.stopped.Do(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		for _, f := range slices.Backward(s.closers) {
			s.stopErr = errors.Join(s.stopErr, f(ctx))
		}
	})
	return s.stopErr
}

// Wait blocks until ctx is done, and returns nil, or until the system cannot go
// on, and returns why. The caller still has to Stop it.
func (s *System) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.failed:
		return err
	}
}

// Gateway is the gateway's own address.
func (s *System) Gateway() string { return s.gateway }

// URLs are where the public functions are reached, in the manifests' order.
func (s *System) URLs() []URL { return slices.Clone(s.urls) }

// Addresses are where Kafka, Redis and MongoDB are.
func (s *System) Addresses() Addresses { return s.parts.Addresses }

// Secret returns the value of a key of the Secret that the manifests refer to:
// what the parts need, and else one that was made for this data folder and stays
// the same. A value given in Options.Env goes before it. It is empty for any
// other key.
func (s *System) Secret(key string) string { return s.secret(key, s.state.known) }

func (s *System) secret(key string, made func(key string) string) string {
	if value, ok := s.options.Env[key]; ok {
		return value
	}
	switch key {
	case "MONGO_URL":
		return s.parts.Mongo
	case "REDIS_PASSWORD":
		return s.parts.RedisPassword
	}
	return made(key)
}

func (s *System) ownAddress(function string) string {
	for _, u := range s.urls {
		if u.Function == function {
			return strings.TrimPrefix(u.Own, "http://")
		}
	}
	return ""
}

// Processes lists the functions' processes, in the manifests' order.
func (s *System) Processes() []Process {
	var out []Process
	for _, svc := range s.plan.services {
		out = append(out, s.revisions[svc.name].processes()...)
	}
	return out
}

// Figures tell what happened to each function since Start.
func (s *System) Figures() map[string]Figures { return s.ledger.snapshot() }

// Kill kills one process of a function, as kill -9 does, to see what happens
// then. It returns the process's id.
func (s *System) Kill(function string) (int, error) {
	r, ok := s.revisions[function]
	if !ok {
		return 0, fmt.Errorf("no function %q", function)
	}
	return r.kill()
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// freePort returns a port of the loopback that is free now.
func freePort() (int, error) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer lis.Close()
	return lis.Addr().(*net.TCPAddr).Port, nil
}
