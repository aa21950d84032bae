package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// answerTimeout bounds one request, and maxAnswer what is read of its answer.
const (
	answerTimeout = 60 * time.Second
	maxAnswer     = 4 << 20
)

// sampled is how many bulks there are to one that asks for receipts: these cost
// the door something, and tell which box is to be waited for.
const sampled = 10

// path is a way of votes into the house. It may be used by many goroutines.
type path interface {
	// cast sends the n-th request and returns when it is answered: how many of its
	// votes were accepted, and a box that has the last of them, if that was told.
	cast(ctx context.Context, n int) (accepted int, box string, err error)
	close() error
}

// openPath opens a path by its name.
func openPath(j job) (path, error) {
	votes, err := newBallots(j.IDs)
	if err != nil {
		return nil, err
	}
	switch j.Path {
	case "grpc-unary", "grpc-batch", "grpc-stream":
		return openGRPC(j, votes)
	case "http-json":
		return openHTTP(j, votes, "/wasm"), nil
	case "grpc-front":
		return openHTTP(j, votes, "/grpc"), nil
	case "cloudevents":
		return openHTTP(j, votes, "/"), nil
	case "bulk":
		return openHTTP(j, votes, "/v1/contests/"+contest+"/votes"), nil
	}
	return nil, fmt.Errorf("no path %q", j.Path)
}

// overHTTP is every path that begins with an HTTP request.
type overHTTP struct {
	client *http.Client
	url    string
	votes  ballots
	batch  int
	event  bool
	bulk   bool
}

func openHTTP(j job, votes ballots, route string) *overHTTP {
	transport := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		MaxIdleConnsPerHost: mostAtOnce,
		DisableKeepAlives:   j.Fresh,
		DisableCompression:  true,
	}
	return &overHTTP{
		client: &http.Client{Transport: transport, Timeout: answerTimeout},
		url:    strings.TrimSuffix(j.Address, "/") + route,
		votes:  votes, batch: max(1, j.Batch),
		event: j.Path == "cloudevents", bulk: j.Path == "bulk",
	}
}

func (p *overHTTP) close() error {
	p.client.CloseIdleConnections()
	return nil
}

func (p *overHTTP) cast(ctx context.Context, n int) (int, string, error) {
	url, kind := p.url, "application/json"
	var body *bytes.Buffer
	var err error
	if p.bulk {
		kind = "application/x-ndjson"
		if n%sampled == 0 {
			url += "?receipts=1"
		}
		body, err = p.votes.lines(n*p.batch, p.batch)
	} else {
		var text []byte
		text, err = p.votes.json(n)
		body = bytes.NewBuffer(text)
	}
	if err != nil {
		return 0, "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, body)
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", kind)
	if p.event {
		req.Header.Set("Accept", "application/json") // else success has no body
		req.Header.Set("Ce-Specversion", "1.0")
		req.Header.Set("Ce-Id", p.votes.vote(n).ID)
		req.Header.Set("Ce-Source", "/marimba/bench")
		req.Header.Set("Ce-Type", "gt.marimba.vote")
		req.Header.Set("Ce-Subject", contest)
	}
	answer, err := p.ask(req)
	if err != nil {
		return 0, "", err
	}
	// A bulk of which some are refused is answered with success too, and says so.
	if p.bulk && bytes.Contains(answer, []byte(`"partial"`)) {
		return 0, "", fmt.Errorf("a bulk was not accepted as a whole: %.200s", answer)
	}
	return p.batch, lastBox(answer), nil
}

func (p *overHTTP) ask(req *http.Request) ([]byte, error) {
	res, err := p.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close() //nolint:errcheck // it was only read
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusAccepted {
		return nil, fmt.Errorf("status %d: %.200s", res.StatusCode, answer)
	}
	return answer, nil
}

// lastBox finds the box of the last receipt in an answer.
func lastBox(answer []byte) string {
	const key = `"receipt":"`
	at := bytes.LastIndex(answer, []byte(key))
	if at < 0 {
		return ""
	}
	receipt, _, _ := bytes.Cut(answer[at+len(key):], []byte(`"`))
	return boxOf(string(receipt))
}

// boxOf returns the box of a receipt, "<box>.<index>".
func boxOf(receipt string) string {
	box, _, _ := strings.Cut(receipt, ".")
	return box
}
