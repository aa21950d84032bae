package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"marimba/events"
	"marimba/functions/internal/board"
)

// quick makes feeds look often and hearts beat seldom.
func quick(ctx context.Context) *house {
	h := newHouse(ctx)
	h.feeds.every, h.feeds.beat = time.Millisecond, time.Hour
	return h
}

// welcome serves a house until all who listen to it are gone: a server that closes
// waits for those that it answers, and listeners leave before it, as they came
// after it.
func welcome(t *testing.T, h *house) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(h.routes())
	t.Cleanup(server.Close)
	return server
}

// live is a reader of a stream.
type live struct {
	lines *bufio.Reader
	close func()
}

// listen opens the live board of a contest.
func listen(t *testing.T, server *httptest.Server, contest, seen string) live {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/v1/contests/"+contest+"/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	if seen != "" {
		req.Header.Set("Last-Event-ID", seen)
	}
	answer, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != 200 || !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/event-stream") {
		t.Fatalf("stream is %d %v", answer.StatusCode, answer.Header)
	}
	stop := func() { cancel(); answer.Body.Close() }
	t.Cleanup(stop)
	l := live{bufio.NewReader(answer.Body), stop}
	if got := l.block(t); got != "retry: 2000" {
		t.Fatalf("stream begins with %q", got)
	}
	return l
}

// block returns the lines up to the next empty one.
func (l live) block(t *testing.T) string {
	t.Helper()
	var lines []string
	for {
		line, err := l.lines.ReadString('\n')
		if err != nil {
			t.Fatalf("stream ends after %q: %v", lines, err)
		}
		if line = strings.TrimSuffix(line, "\n"); line == "" {
			return strings.Join(lines, "\n")
		}
		lines = append(lines, line)
	}
}

type shownBoard struct {
	Phase  events.Phase
	Totals board.Totals
	Bands  []struct{ Name string }
}

// board returns the next board and its id.
func (l live) board(t *testing.T) (shownBoard, string) {
	t.Helper()
	block := l.block(t)
	lines := strings.Split(block, "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], "id: ") || lines[1] != "event: board" || !strings.HasPrefix(lines[2], "data: ") {
		t.Fatalf("event is %q", block)
	}
	var b shownBoard
	if err := json.Unmarshal([]byte(lines[2][len("data: "):]), &b); err != nil {
		t.Fatal(err)
	}
	return b, lines[0][len("id: "):]
}

// until reads boards until one has as many votes.
func (l live) until(t *testing.T, votes int64) string {
	t.Helper()
	for {
		if b, id := l.board(t); b.Totals.Votes == votes {
			return id
		}
	}
}

// A reader gets the board at once, and again whenever it changes.
func TestStreamSendsEachChange(t *testing.T) {
	h := quick(t.Context())
	h.redis.vote("Trébol", 1)
	server := welcome(t, h)
	l := listen(t, server, "rock", "")
	if b, _ := l.board(t); b.Totals.Votes != 1 || b.Bands[0].Name != "Trébol" {
		t.Errorf("board is %+v", b)
	}
	h.redis.vote("Trébol", 4)
	l.until(t, 5)
	h.redis.vote("Trébol", 1)
	l.until(t, 6)
}

// A reader that comes back is sent the board only if it shows something else,
// also when others look at it already.
func TestStreamGoesOnFromTheLastEvent(t *testing.T) {
	h := quick(t.Context())
	h.redis.vote("Trébol", 1)
	server := welcome(t, h)
	first := listen(t, server, "rock", "")
	_, seen := first.board(t)
	back := listen(t, server, "rock", seen)
	fresh := listen(t, server, "rock", "")
	if b, id := fresh.board(t); b.Totals.Votes != 1 || id != seen {
		t.Errorf("a new reader is sent %+v %s", b, id)
	}
	h.redis.vote("Trébol", 1)
	if b, _ := back.board(t); b.Totals.Votes != 2 {
		t.Errorf("a reader that comes back is first sent %+v", b)
	}
	stale := listen(t, server, "rock", seen)
	if b, _ := stale.board(t); b.Totals.Votes != 2 {
		t.Errorf("a reader that missed a board is sent %+v", b)
	}
}

// All readers of a contest share one look at Redis, and nobody looks when the
// last of them has left.
func TestFeedSleepsWithoutReaders(t *testing.T) {
	h := quick(t.Context())
	h.redis.asked = make(chan struct{}, 1)
	_, leaveA, err := h.feeds.join("rock", "")
	if err != nil {
		t.Fatal(err)
	}
	_, leaveB, err := h.feeds.join("rock", "")
	if err != nil {
		t.Fatal(err)
	}
	if len(h.feeds.open) != 1 || h.feeds.readers != 2 {
		t.Errorf("%d feeds for %d readers", len(h.feeds.open), h.feeds.readers)
	}
	feed := h.feeds.open["rock"]
	<-h.redis.asked // it looks
	leaveA()
	if len(h.feeds.open) != 1 {
		t.Error("the feed ended before its last reader left")
	}
	leaveB()
	if len(h.feeds.open) != 0 || h.feeds.readers != 0 || len(feed.readers) != 0 {
		t.Errorf("%d feeds for %d readers", len(h.feeds.open), h.feeds.readers)
	}
	// A later reader has a feed of its own, which looks again.
	frames, leave, err := h.feeds.join("rock", "")
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	<-frames
}

// A slow reader misses frames, never the latest, and keeps nobody waiting.
func TestSlowReaderMissesFrames(t *testing.T) {
	h := quick(t.Context())
	f := &feed{readers: make(map[*reader]bool)}
	slow := &reader{frames: make(chan frame, 1)}
	f.readers[slow] = true
	for _, id := range []string{"1", "2", "3"} {
		h.feeds.send(f, frame{id, []byte(id)})
	}
	h.feeds.send(f, frame{"3", []byte("3")})
	if got := <-slow.frames; got.id != "3" {
		t.Errorf("the frame is %s", got.id)
	}
	select {
	case got := <-slow.frames:
		t.Errorf("there is another frame, %s", got.id)
	default:
	}
}

// While Redis is away the stream stays and stands still; it goes on when Redis
// is back.
func TestStreamOutlivesAnOutage(t *testing.T) {
	h := quick(t.Context())
	h.redis.vote("Trébol", 1)
	server := welcome(t, h)
	l := listen(t, server, "rock", "")
	l.until(t, 1)
	h.redis.mu.Lock()
	h.redis.away, h.redis.asked = errAway, make(chan struct{})
	h.redis.mu.Unlock()
	<-h.redis.asked
	<-h.redis.asked
	h.redis.leave(nil)
	h.redis.vote("Trébol", 1)
	l.until(t, 2)
}

// A stream that has nothing to say beats, so that nothing between takes it for
// dead, and lives longer than the server lets a request take.
func TestStreamBeats(t *testing.T) {
	h := quick(t.Context())
	h.feeds.beat = 20 * time.Millisecond
	server := httptest.NewUnstartedServer(h.routes())
	server.Config.ReadTimeout = 50 * time.Millisecond
	server.Start()
	t.Cleanup(server.Close)
	l := listen(t, server, "rock", "")
	l.board(t)
	for range 8 { // well over ReadTimeout
		if got := l.block(t); got != ":" {
			t.Fatalf("beat is %q", got)
		}
	}
}

// There are no more streams than may be; who comes too many is told to come
// back, and finds a place when another has left.
func TestStreamsAreBounded(t *testing.T) {
	h := quick(t.Context())
	h.feeds.most = 1
	_, leave, err := h.feeds.join("rock", "")
	if err != nil {
		t.Fatal(err)
	}
	refused(t, h.get(t, "/v1/contests/rock/stream"), 503, "busy")
	leave()
	if _, leave, err = h.feeds.join("rock", ""); err != nil {
		t.Fatal(err)
	}
	leave()
}

// Who asks for the head of a stream gets that and takes no place: there is
// nothing to stay for. The next answer on its connection shows that it is over.
func TestHeadOfAStreamEnds(t *testing.T) {
	h := quick(t.Context())
	server := welcome(t, h)
	server.Client().Transport.(*http.Transport).MaxConnsPerHost = 1
	server.Client().Timeout = 10 * time.Second
	answer, err := server.Client().Head(server.URL + "/v1/contests/rock/stream")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != 200 || !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/event-stream") {
		t.Errorf("head is %d %v", answer.StatusCode, answer.Header)
	}
	next, err := server.Client().Get(server.URL + "/v1/contests")
	if err != nil {
		t.Fatal(err)
	}
	next.Body.Close()
	if h.feeds.readers != 0 {
		t.Errorf("%d readers are left", h.feeds.readers)
	}
}

// Streams end when the process does, and when their reader leaves.
func TestStreamsEnd(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	h := quick(ctx)
	server := welcome(t, h)
	gone := listen(t, server, "rock", "")
	stays := listen(t, server, "rock", "")
	gone.board(t)
	stays.board(t)
	gone.close()
	h.redis.vote("Trébol", 1)
	stays.until(t, 1)
	stop()
	if rest, err := io.ReadAll(stays.lines); err != nil {
		t.Errorf("the stream is cut off: %q, %v", rest, err)
	}
	server.Close() // waits for all handlers
	if h.feeds.readers != 0 || len(h.feeds.open) != 0 {
		t.Errorf("%d readers and %d feeds are left", h.feeds.readers, len(h.feeds.open))
	}
}

// A reader who takes nothing is let go, and does not keep its place.
func TestStuckReaderIsLetGo(t *testing.T) {
	ours, theirs := net.Pipe() // holds nothing: a write waits for its reader
	defer theirs.Close()
	s := stream{w: pipeWriter{httptest.NewRecorder(), ours}, control: http.NewResponseController(pipeWriter{httptest.NewRecorder(), ours})}
	_ = ours.SetWriteDeadline(time.Now())
	s.write([]byte("frame"))
	if s.err == nil || errors.Is(s.err, http.ErrNotSupported) {
		t.Errorf("error is %v", s.err)
	}
}

// pipeWriter is an answer that goes through a pipe, whose deadline has passed.
type pipeWriter struct {
	*httptest.ResponseRecorder
	pipe net.Conn
}

func (p pipeWriter) Write(text []byte) (int, error) { return p.pipe.Write(text) }
