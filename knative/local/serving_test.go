package local

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
)

// A function that nothing asks for has no process; the first request starts one
// and is answered; when it has been idle for the window the process ends; and
// the next request starts another.
func TestFromZeroAndBack(t *testing.T) {
	s := open(t, t.TempDir(), serviceYAML("web", map[string]string{"window": "300ms"}), sayPid)
	if p := s.Processes(); len(p) != 0 {
		t.Fatalf("before the first request: %+v", p)
	}
	status, first := s.get("web", "/")
	if status != 200 {
		t.Fatalf("first request: %d %s", status, first)
	}
	s.await(Stopped, "web")
	if p := s.Processes(); len(p) != 0 {
		t.Fatalf("after the window: %+v", p)
	}
	status, second := s.get("web", "/")
	if status != 200 || second == first {
		t.Fatalf("request after the window: %d, process %s; want another than %s", status, second, first)
	}
	if f := s.Figures()["web"]; f.Starts != 2 || len(f.ColdStarts) != 2 || f.Crashes != 0 {
		t.Errorf("figures: %+v", f)
	}
}

// Requests that come while a function starts are held, and all of them are
// answered by the one process that was started.
func TestHeldWhileStarting(t *testing.T) {
	s := open(t, t.TempDir(), serviceYAML("web", nil), sayPid)
	var all sync.WaitGroup
	answers := make(chan string, 50)
	for range cap(answers) {
		all.Go(func() {
			_, pid := s.get("web", "/")
			answers <- pid
		})
	}
	all.Wait()
	close(answers)
	first := <-answers
	for pid := range answers {
		if pid != first {
			t.Fatalf("answers of processes %s and %s", first, pid)
		}
	}
	if f := s.Figures()["web"]; f.Starts != 1 {
		t.Errorf("figures: %+v, want one start", f)
	}
}

// min-scale keeps processes that nobody asked for.
func TestMinScale(t *testing.T) {
	s := open(t, t.TempDir(), serviceYAML("web", map[string]string{"min-scale": "2", "window": "300ms"}), sayPid)
	s.await(Ready, "web")
	s.await(Ready, "web")
}

// With a hard limit of one request, as many processes come up as there are
// requests, but no more than max-scale; the request beyond them waits, and is
// answered when another has ended.
func TestScale(t *testing.T) {
	here, leave := make(chan string, 10), make(chan struct{})
	s := open(t, t.TempDir(),
		serviceYAML("web", map[string]string{"max-scale": "3", "window": "1s"}, "containerConcurrency: 1"),
		func(w http.ResponseWriter, r *http.Request) {
			here <- r.Header.Get("Puppet-Pid")
			<-leave
		})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if status, _ := s.get("web", "/"); status != 200 {
				t.Errorf("status %d", status)
			}
		})
	}
	pids := map[string]bool{}
	for range 3 {
		pids[<-here] = true
	}
	if len(pids) != 3 {
		t.Errorf("three requests at once in processes %v, want three", pids)
	}
	select {
	case pid := <-here:
		t.Errorf("a fourth request got into process %s", pid)
	default:
	}
	leave <- struct{}{}
	if pid := <-here; !pids[pid] {
		t.Errorf("the fourth request went to a new process %s, not one of %v", pid, pids)
	}
	close(leave)
	all.Wait()
	for range 3 {
		s.await(Stopped, "web")
	}
}

// A process that ends in the middle of a request costs that request, which gets
// an answer that says so; the next one finds a new process. The same holds for
// one that is killed.
func TestCrash(t *testing.T) {
	s := open(t, t.TempDir(), serviceYAML("web", nil), func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/crash" {
			w.WriteHeader(crash)
			return
		}
		sayPid(w, r)
	})
	if status, body := s.get("web", "/crash"); status != http.StatusBadGateway {
		t.Fatalf("request in which the process ended: %d %s", status, body)
	}
	s.await(Crashed, "web")
	status, first := s.get("web", "/")
	if status != 200 {
		t.Fatalf("request after the crash: %d %s", status, first)
	}
	if _, err := s.Kill("web"); err != nil {
		t.Fatal(err)
	}
	s.await(Crashed, "web")
	if status, second := s.get("web", "/"); status != 200 || second == first {
		t.Fatalf("request after kill -9: %d %s", status, second)
	}
}

// A function that cannot start answers 503 with what it last said, rather than
// letting its callers wait.
func TestNeverStarts(t *testing.T) {
	s := open(t, t.TempDir(), serviceYAML("broken", nil), sayPid)
	for range 2 {
		status, body := s.get("broken", "/")
		if status != http.StatusServiceUnavailable || !strings.Contains(body, "no settings") {
			t.Fatalf("%d %s", status, body)
		}
	}
}

// A request that takes longer than the manifest's timeoutSeconds is answered
// with 504.
func TestTimeout(t *testing.T) {
	gone := make(chan struct{})
	s := open(t, t.TempDir(), serviceYAML("web", nil, "timeoutSeconds: 1"), func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		close(gone)
	})
	if status, body := s.get("web", "/"); status != http.StatusGatewayTimeout {
		t.Fatalf("%d %s", status, body)
	}
	<-gone // and the function is told
}

// The gateway finds services by the name in Host, on the cluster's pattern, and
// has neither those that are cluster-local nor those that do not exist.
func TestGatewayNames(t *testing.T) {
	s := open(t, t.TempDir(), serviceYAML("web", nil)+serviceYAML("stage", nil), sayPid)
	gateway := strings.TrimPrefix(s.url("web").Gateway, "http://web.test.localhost")
	for host, want := range map[string]int{
		"web.test.localhost":      200,
		"WEB.test.localhost:80":   200,
		"stage.test.localhost":    404,
		"web.other.localhost":     404,
		"web.test.svc.local":      404,
		"other.test.localhost":    404,
		"localhost":               404,
		"127.0.0.1":               404,
		"web.test.localhost.evil": 404,
	} {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1"+gateway, nil)
		req.Host = host
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("Host %s: %d, want %d", host, res.StatusCode, want)
		}
	}
	if f := s.Figures()["stage"]; f.Starts != 0 {
		t.Errorf("the cluster-local function was started: %+v", f)
	}
}

// What a function writes to an open answer arrives at once, not when the answer
// ends.
func TestStreamOut(t *testing.T) {
	next := make(chan string)
	s := open(t, t.TempDir(), serviceYAML("web", nil), func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.(http.Flusher).Flush()
		for line := range next {
			io.WriteString(w, line+"\n")
			w.(http.Flusher).Flush()
		}
	})
	res, err := http.Get(s.url("web").Own)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	next <- "first"
	if !lines.Scan() || lines.Text() != "first" {
		t.Fatalf("first line: %q %v", lines.Text(), lines.Err())
	}
	next <- "second"
	if !lines.Scan() || lines.Text() != "second" {
		t.Fatalf("second line: %q %v", lines.Text(), lines.Err())
	}
	close(next)
	if lines.Scan() || lines.Err() != nil {
		t.Fatalf("after the end: %q %v", lines.Text(), lines.Err())
	}
}

// gRPC passes in both directions at once, by the gateway's name and by the
// function's own port, and starts the function.
func TestGRPCBothWays(t *testing.T) {
	s := open(t, t.TempDir(), serviceYAML("chat", nil), sayPid)
	u := s.url("chat")
	name, port, _ := strings.Cut(strings.TrimPrefix(u.Gateway, "http://"), ":")
	for address, authority := range map[string]string{
		"127.0.0.1:" + port:                  name,
		strings.TrimPrefix(u.Own, "http://"): "",
	} {
		conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithAuthority(authority),
			grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		stream, err := reflectionpb.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 { // each answer comes while the stream is open for the next question
			if err := stream.Send(&reflectionpb.ServerReflectionRequest{
				MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{},
			}); err != nil {
				t.Fatal(err)
			}
			answer, err := stream.Recv()
			if err != nil {
				t.Fatal(err)
			}
			if len(answer.GetListServicesResponse().GetService()) == 0 {
				t.Fatalf("no services in %v", answer)
			}
		}
		if err := stream.CloseSend(); err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != io.EOF {
			t.Fatalf("end of the stream: %v, want EOF with status OK", err)
		}
	}
}
