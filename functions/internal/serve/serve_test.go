package serve

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"marimba/config"
)

// asFunction names the function that this binary is, if it is not the tests.
const asFunction = "SERVE_TEST_FUNCTION"

func TestMain(m *testing.M) {
	switch os.Getenv(asFunction) {
	case "":
		os.Exit(m.Run())
	case "slow":
		Main("slow", slow)
	case "failing":
		Main("failing", func(context.Context, []string) error { return errors.New("nothing goes") })
	}
}

// slow is a function whose requests to /slow wait until a line is written to it.
// It says what it does on standard output.
func slow(ctx context.Context, environ []string) error {
	if !slices.Contains(environ, asFunction+"=slow") {
		return errors.New("the environment is not given")
	}
	lines := make(chan string)
	go func() {
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			lines <- in.Text()
		}
	}()
	mux := http.NewServeMux()
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("taken", r.Proto)
		select {
		case <-lines:
			fmt.Fprint(w, "done")
		case <-r.Context().Done():
			fmt.Println("cut off")
		}
	})
	return HTTP(ctx, config.Server{}, mux,
		func(context.Context) error { fmt.Println("first closed"); return nil },
		func(context.Context) error { fmt.Println("second closed"); return nil })
}

// process is a function's process.
type process struct {
	*exec.Cmd
	in   io.Writer
	out  *bufio.Reader // what it says
	logs *bufio.Reader // what it logs
}

func start(t *testing.T, function string) process {
	t.Helper()
	p := process{Cmd: exec.CommandContext(t.Context(), os.Args[0])}
	p.Env = append(os.Environ(), asFunction+"="+function)
	in, err := p.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	logs, err := p.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	p.in, p.out, p.logs = in, bufio.NewReader(out), bufio.NewReader(logs)
	return p
}

// said returns the next line that the process says.
func (p process) said(t *testing.T) string {
	t.Helper()
	line, err := p.out.ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return strings.TrimSuffix(line, "\n")
}

// logged reads its log up to a message, and returns that line.
func (p process) logged(t *testing.T, message string) map[string]any {
	t.Helper()
	for {
		line, err := p.logs.ReadBytes('\n')
		if err != nil {
			t.Fatalf("it ends without %q: %v", message, err)
		}
		var entry map[string]any
		if err := json.Unmarshal(line, &entry); err != nil {
			t.Fatalf("%q is not JSON: %v", line, err)
		}
		if entry["msg"] == message {
			return entry
		}
	}
}

func client(h2 bool) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!h2)
	protocols.SetUnencryptedHTTP2(h2)
	return &http.Client{Transport: &http.Transport{Protocols: protocols}}
}

// A process speaks HTTP/1.1 and HTTP/2 on its one port. At SIGTERM it takes no
// more, finishes what it took, closes what it used, in order, and ends well.
func TestLifeOfAProcess(t *testing.T) {
	p := start(t, "slow")
	address := p.logged(t, "listening")["address"].(string)
	_, port, _ := net.SplitHostPort(address)
	address = net.JoinHostPort("127.0.0.1", port)
	type answer struct {
		text string
		err  error
	}
	answers := make(chan answer)
	for proto, c := range map[string]*http.Client{"HTTP/1.1": client(false), "HTTP/2.0": client(true)} {
		healthy, err := c.Get("http://" + address + "/healthz")
		if err != nil || healthy.StatusCode != 200 || healthy.Proto != proto {
			t.Fatalf("%s: %+v, %v", proto, healthy, err)
		}
		healthy.Body.Close()
		go func() {
			r, err := c.Post("http://"+address+"/slow", "text/plain", strings.NewReader("x"))
			if err != nil {
				answers <- answer{"", err}
				return
			}
			defer r.Body.Close()
			text, err := io.ReadAll(r.Body)
			answers <- answer{string(text), err}
		}()
	}
	taken := []string{p.said(t), p.said(t)}
	slices.Sort(taken)
	if !slices.Equal(taken, []string{"taken HTTP/1.1", "taken HTTP/2.0"}) {
		t.Fatalf("it says %q", taken)
	}
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.logged(t, "draining")
	for { // until it does not listen any more
		conn, err := net.Dial("tcp", address)
		if err != nil {
			break
		}
		conn.Close()
	}
	fmt.Fprint(p.in, "go on\ngo on\n")
	for range 2 {
		if a := <-answers; a.err != nil || a.text != "done" {
			t.Errorf("a request that ran got %q, %v", a.text, a.err)
		}
	}
	if said := []string{p.said(t), p.said(t), p.said(t)}; !slices.Equal(said, []string{"first closed", "second closed", ""}) {
		t.Errorf("it says %q", said)
	}
	if err := p.Wait(); err != nil {
		t.Errorf("it ends with %v", err)
	}
}

// A function that fails says so in its log, with its name, and ends with 1.
func TestFailureEndsTheProcess(t *testing.T) {
	p := start(t, "failing")
	entry := p.logged(t, "function failed")
	if entry["error"] != "nothing goes" || entry["function"] != "failing" || entry["level"] != "ERROR" {
		t.Errorf("log is %v", entry)
	}
	var exit *exec.ExitError
	if err := p.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("it ends with %v", err)
	}
}

// A port that is taken is told.
func TestPortIsTaken(t *testing.T) {
	lis, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	if err := HTTP(t.Context(), config.Server{Port: lis.Addr().(*net.TCPAddr).Port}, http.NotFoundHandler()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("got %v", err)
	}
}

// A request that does not finish within the drain's bound is cut off.
func TestDrainCutsOff(t *testing.T) {
	entered, ended := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
		close(ended)
	}))
	defer server.Close()
	go func() {
		if answer, err := http.Get(server.URL); err == nil {
			answer.Body.Close()
		}
	}()
	<-entered
	limit, cancel := context.WithCancel(t.Context())
	cancel()
	if err := drain(limit, server.Config); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	<-ended
}

// Draining and closing end within their bounds, however long they would take,
// and what fails on the way is told with the rest.
func TestEndIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ctx, stop := context.WithCancel(t.Context())
		stop()
		stopped := make(chan struct{})
		var closed []string
		err := Until(ctx,
			func() error { <-stopped; return http.ErrServerClosed },
			func(limit context.Context) error { <-limit.Done(); close(stopped); return limit.Err() },
			func(limit context.Context) error {
				closed = append(closed, "first")
				<-limit.Done()
				return errors.New("stuck")
			},
			func(limit context.Context) error { closed = append(closed, "second"); return limit.Err() })
		if took := time.Since(start); took != drainTimeout+closeTimeout || took >= time.Minute {
			t.Errorf("the end takes %v", took)
		}
		if !slices.Equal(closed, []string{"first", "second"}) {
			t.Errorf("closed are %v", closed)
		}
		if err == nil || !strings.Contains(err.Error(), "drain: context deadline exceeded") || !strings.Contains(err.Error(), "close: stuck") {
			t.Errorf("got %v", err)
		}
	})
}

// To be told to end is not a failure; to lose what one cannot do without is, and
// so is a server that fails.
func TestCauseOfTheEnd(t *testing.T) {
	lost := errors.New("the producer is lost")
	told, tell := context.WithCancelCause(context.Background())
	tell(nil)
	losing, lose := context.WithCancelCause(context.Background())
	lose(lost)
	for _, c := range []struct {
		ctx   context.Context
		serve func() error
		want  error
	}{
		{told, func() error { select {} }, nil},
		{losing, func() error { select {} }, lost},
		{context.Background(), func() error { return lost }, lost},
		{context.Background(), func() error { return http.ErrServerClosed }, nil},
	} {
		closed := false
		err := Until(c.ctx, c.serve, func(context.Context) error { return nil }, func(context.Context) error { closed = true; return nil })
		if !errors.Is(err, c.want) || !closed {
			t.Errorf("got %v, want %v; closed: %v", err, c.want, closed)
		}
	}
}

// wideDoor takes long headers.
type wideDoor struct{ http.Handler }

func (wideDoor) MaxHeader() int { return 1 << 20 }

// Headers are bounded, and by more only for a handler that says so.
func TestHeaders(t *testing.T) {
	quiet := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	for say, c := range map[string]struct {
		handler http.Handler
		want    int
	}{
		"usual": {quiet, http.StatusRequestHeaderFieldsTooLarge},
		"wide":  {wideDoor{quiet}, http.StatusOK},
	} {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := lis.Addr().(*net.TCPAddr).Port
		lis.Close()
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- HTTP(ctx, config.Server{Host: "127.0.0.1", Port: port}, c.handler) }()
		req, _ := http.NewRequest(http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/", port), nil)
		req.Header.Set("Ce-Long", strings.Repeat("x", 200<<10))
		var res *http.Response
		for range 500 { // until it listens
			if res, err = http.DefaultClient.Do(req); !errors.Is(err, syscall.ECONNREFUSED) {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		if err != nil || res.StatusCode != c.want {
			t.Errorf("%s: %v, %v; want %d", say, res, err, c.want)
		}
		if err == nil {
			res.Body.Close()
		}
		stop()
		if err := <-ended; err != nil {
			t.Errorf("%s: %v", say, err)
		}
	}
}
