package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"marimba/events"
	"marimba/functions/internal/desk"
	"marimba/functions/internal/publish"
)

// instant is a caster that has done it already.
type instant struct{}

func (instant) Cast(_ context.Context, _ string, _ events.Channel, votes []events.Vote) ([]publish.Receipt, error) {
	receipts := make([]publish.Receipt, len(votes))
	for i := range receipts {
		receipts[i] = publish.Receipt{ID: "0196ccd5-7d3b-7000-8000-000000000001", Receipt: "0196ccd5-7d3b-7000-8000-000000000002.0", At: noon}
	}
	return receipts, nil
}

// sink is a writer that keeps nothing but the status.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }
func (s *sink) WriteHeader(status int)      { s.status = status }

// What a request costs before Kafka, without the server around it.
func BenchmarkPost(b *testing.B) {
	handler := newIngress(desk.New(contests, keys), instant{}, nil, secrets).routes()
	voter := `{"name":"Alux Nahual","album":"Conquista","year":"1982","rank":"2","voter":"someone-0001"}`
	for _, c := range []struct {
		say, path, media, body string
		votes                  int
	}{
		{"one", rock, "application/json", voter, 1},
		{"one without a voter", rock, "application/json", vote, 1},
		{"older", "/insert", "application/json", voter, 1},
		{"refused", rock, "application/json", `{"name":"Nobody","album":"Conquista","year":"1982","rank":"2"}`, 1},
		{"event", "/", "application/json", voter, 1},
		{"thousand lines", rock, "application/x-ndjson", strings.Repeat(voter+"\n", 1000), 1000},
	} {
		b.Run(c.say, func(b *testing.B) {
			req := httptest.NewRequest(http.MethodPost, c.path, nil)
			req.Header.Set("Content-Type", c.media)
			req.ContentLength = int64(len(c.body))
			if c.path == "/" {
				for name, value := range map[string]string{"Specversion": "1.0", "Id": "e-1", "Source": "/bench", "Type": "vote", "Subject": "rock"} {
					req.Header.Set("Ce-"+name, value)
				}
			}
			w := &sink{header: http.Header{}}
			body := strings.NewReader("")
			b.ReportAllocs()
			for b.Loop() {
				body.Reset(c.body)
				req.Body = io.NopCloser(body)
				handler.ServeHTTP(w, req)
			}
			if (w.status == http.StatusAccepted) != (c.say != "refused") {
				b.Fatal(w.status)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*c.votes), "ns/vote")
		})
	}
}
