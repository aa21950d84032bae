package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
)

// talk runs a worker and says to it what the other end says.
func talk(t *testing.T, j job) answer {
	t.Helper()
	heard, says := io.Pipe()
	said, told := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := work(t.Context(), heard, told)
		told.CloseWithError(io.EOF)
		ended <- err
	}()
	lines := bufio.NewReader(said)
	text, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(says, "%s\n", text)
	if line, err := lines.ReadString('\n'); err != nil || !strings.HasPrefix(line, "ready ") {
		t.Fatalf("%q, %v, %v", line, err, <-ended)
	}
	fmt.Fprintln(says, "go")
	var a answer
	hear := func() {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("%v, %v", err, <-ended)
		}
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatal(err)
		}
	}
	hear() // when all is answered
	fmt.Fprintln(says, "end")
	hear()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	return a
}

// The paths of one vote work on the servers that do nothing, and a worker accounts
// for each request, also with a connection each.
func TestWorkerOnNothing(t *testing.T) {
	at := map[string]string{}
	for _, name := range []string{"no-op-grpc", "no-op-http"} {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- serving[name](ctx, lis) }()
		t.Cleanup(func() {
			stop()
			if err := <-ended; err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
		at[name] = "http://" + lis.Addr().String()
	}
	for path, server := range map[string]string{
		"grpc-unary": "no-op-grpc", "http-json": "no-op-http", "cloudevents": "no-op-http", "grpc-front": "no-op-http", "bulk": "no-op-http",
	} {
		batch := 1
		if path == "bulk" {
			batch = 10
		}
		for _, fresh := range []bool{false, true} {
			a := talk(t, job{Path: path, Address: at[server], IDs: "t", Votes: 50, Batch: batch, AtOnce: 4, Warm: 2, Fresh: fresh})
			if a.Accepted != 50 || a.Failed != 0 || a.Warmed != int64(2*batch) {
				t.Errorf("%s, fresh %t: %+v", path, fresh, a)
			}
		}
	}
}

// What is refused is no vote that was accepted.
func TestWorkerIsRefused(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serveNoGRPC(ctx, lis) }()
	a := talk(t, job{Path: "grpc-batch", Address: lis.Addr().String(), IDs: "t", Votes: 20, Batch: 10, AtOnce: 1})
	if a.Accepted != 0 || a.Failed != 2 || a.First == "" {
		t.Errorf("%+v", a)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// The loops over single votes judge and read what is cast.
func TestLoops(t *testing.T) {
	for _, name := range []string{"read-json", "read-proto", "judge"} {
		if a := talk(t, job{Floor: name, IDs: "t", Votes: 2000}); a.Accepted != 2000 || a.Seconds <= 0 {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

// A box is that of the last receipt.
func TestLastBox(t *testing.T) {
	for text, want := range map[string]string{
		`{"id":"a","receipt":"b1.0"}`: "b1", `{"receipts":[{"row":1,"receipt":"b1.0"},{"row":2,"receipt":"b2.1"}]}`: "b2", `{"status":"accepted"}`: "",
	} {
		if got := lastBox([]byte(text)); got != want {
			t.Errorf("%s: %q", text, got)
		}
	}
}
