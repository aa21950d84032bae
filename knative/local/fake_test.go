package local

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/reflection"
)

// The test binary is also every function that the tests run: started under a
// function's name, it is that function.
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "web", "stage", "shelf":
		puppet()
	case "chat":
		chat()
	case "broken":
		fmt.Fprintln(os.Stderr, "no settings")
		os.Exit(1)
	case "ferretdb":
		silent(os.Args[2])
	case "mute":
		select {} // never listens
	case "house":
		house()
	default:
		os.Exit(m.Run())
	}
}

// crash is the status by which a test tells a puppet to end at once.
const crash = 599

// puppet is a function whose every answer the test decides: it passes each
// request to the test's address and the answer back.
func puppet() {
	strings := os.Getenv("STRINGS")
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	server := &http.Server{Addr: "127.0.0.1:" + os.Getenv("PORT"), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/environ" {
			_ = json.NewEncoder(w).Encode(os.Environ())
			return
		}
		req, err := http.NewRequestWithContext(r.Context(), r.Method, strings+r.URL.RequestURI(), r.Body)
		if err != nil {
			panic(err)
		}
		req.Header = r.Header.Clone()
		req.Header.Set("Puppet-Function", os.Getenv("K_SERVICE"))
		req.Header.Set("Puppet-Pid", strconv.Itoa(os.Getpid()))
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		defer res.Body.Close()
		if res.StatusCode == crash {
			os.Exit(3)
		}
		for key, values := range res.Header {
			w.Header()[key] = values
		}
		w.WriteHeader(res.StatusCode)
		w.(http.Flusher).Flush()
		piece := make([]byte, 1024)
		for {
			n, err := res.Body.Read(piece)
			w.Write(piece[:n])
			w.(http.Flusher).Flush()
			if err != nil {
				return
			}
		}
	})}
	go func() {
		<-ctx.Done()
		server.Close()
	}()
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// chat is a gRPC function: reflection is a service with a stream in both
// directions that needs no code of ours.
func chat() {
	lis, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		panic(err)
	}
	server := grpc.NewServer()
	reflection.Register(server)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	go func() { <-signals; server.Stop() }()
	if err := server.Serve(lis); err != nil {
		panic(err)
	}
}

// silent listens, as the embedded MongoDB does, and says only who it is.
func silent(address string) {
	lis, err := net.Listen("tcp", address)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	go func() { <-signals; os.Exit(0) }()
	for {
		conn, err := lis.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprintln(conn, os.Getpid())
	}
}

// stageSet is a system of one test: its puppets' strings, and what happened.
type stageSet struct {
	*System
	t      *testing.T
	events chan Event
	mu     sync.Mutex
	play   http.HandlerFunc
}

// binaries makes a folder in which this test binary has all functions' names.
func binaries(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	for _, name := range []string{"web", "stage", "shelf", "chat", "broken", "mute", "house", "ferretdb"} {
		if err := os.Symlink(self, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	return bin
}

// open starts a system of the given manifests on a folder. play answers the
// requests of its puppets.
func open(t *testing.T, data string, manifests string, play http.HandlerFunc) *stageSet {
	t.Helper()
	set := &stageSet{t: t, events: make(chan Event, 10_000), play: play}
	strings := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		set.mu.Lock()
		play := set.play
		set.mu.Unlock()
		play(w, r)
	}))
	t.Cleanup(strings.Close)
	var err error
	set.System, err = Start(t.Context(), Options{
		Manifests: fstest.MapFS{"all.yaml": {Data: []byte(manifests)}},
		Data:      data,
		Bin:       binaries(t),
		Listen:    "127.0.0.1:0",
		Env:       map[string]string{"STRINGS": strings.URL},
		OnEvent:   func(e Event) { set.events <- e },
		Log:       testLog(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		strings.CloseClientConnections()
		if err := set.Stop(context.Background()); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return set
}

// await waits for an event of a function.
func (s *stageSet) await(kind Kind, function string) Event {
	s.t.Helper()
	limit := time.After(20 * time.Second)
	for {
		select {
		case e := <-s.events:
			if e.Kind == kind && e.Function == function {
				return e
			}
		case <-limit:
			s.t.Fatalf("%s was not %s; processes: %+v, figures: %+v", function, kind, s.Processes(), s.Figures())
		}
	}
}

// get asks a public function on its own port.
func (s *stageSet) get(function, path string) (int, string) {
	s.t.Helper()
	res, err := http.Get(s.url(function).Own + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, strings.TrimSpace(string(body))
}

func (s *stageSet) url(function string) URL {
	s.t.Helper()
	for _, u := range s.URLs() {
		if u.Function == function {
			return u
		}
	}
	s.t.Fatalf("no URL of %s", function)
	return URL{}
}

// sayPid answers with the process that was asked.
func sayPid(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Header.Get("Puppet-Pid")) }

// serviceYAML is a manifest; more are lines of its container's revision.
func serviceYAML(name string, annotations map[string]string, more ...string) string {
	var b bytes.Buffer
	port := "http1"
	if name == "chat" {
		port = "h2c"
	}
	labels := ""
	if name == "stage" || name == "shelf" {
		labels = ", labels: {networking.knative.dev/visibility: cluster-local}"
	}
	fmt.Fprintf(&b, "---\nkind: Service\nmetadata: {name: %s, namespace: test%s}\nspec:\n  template:\n    metadata:\n      annotations:\n", name, labels)
	fmt.Fprintf(&b, "        unrelated: \"x\"\n")
	for key, value := range annotations {
		fmt.Fprintf(&b, "        autoscaling.knative.dev/%s: %q\n", key, value)
	}
	fmt.Fprintf(&b, "    spec:\n")
	for _, line := range more {
		fmt.Fprintf(&b, "      %s\n", line)
	}
	fmt.Fprintf(&b, "      containers: [{image: ko://test/%s, ports: [{name: %s, containerPort: 8080}]}]\n", name, port)
	return b.String()
}
