package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// Bounds of live streams. A reader who does not take a frame within
// frameTimeout is let go; one who is slower than the frames misses some, never
// the latest.
const (
	frameEvery    = 250 * time.Millisecond // at most
	heartbeat     = 15 * time.Second
	frameTimeout  = 10 * time.Second
	streamLife    = 9 * time.Minute // below Knative's bound of a request; browsers come back
	maxStreams    = 2000
	streamBands   = 100
	streamAlbums  = 20
	comeBackAfter = 2 * time.Second
)

// frame is what goes over a live stream, such as a board. Its id names what it
// shows, in each process the same.
type frame struct {
	id   string
	text []byte
}

// feeds has one feed for each contest that anybody looks at, whatever their
// number. A contest that nobody looks at is not polled.
type feeds struct {
	what  string // is shown
	look  func(ctx context.Context, contest string) (frame, error)
	ctx   context.Context // of the process: feeds end with it
	every time.Duration
	beat  time.Duration
	most  int

	mu      sync.Mutex
	readers int
	open    map[string]*feed // by contest
}

// feed sends each new frame of a contest to its readers.
type feed struct {
	stop    context.CancelFunc
	readers map[*reader]bool
	last    frame
}

// reader has a place for the one frame that it has not taken yet.
type reader struct {
	frames chan frame
	seen   string // id of the frame that was put there last, or that it came with
}

// put replaces what the reader has not taken. The feeds' lock must be held.
func (r *reader) put(next frame) {
	if next.text == nil || next.id == r.seen {
		return
	}
	select {
	case <-r.frames:
	default:
	}
	r.frames <- next
	r.seen = next.id
}

func newFeeds(ctx context.Context, what string, every time.Duration, look func(context.Context, string) (frame, error)) *feeds {
	return &feeds{what: what, look: look, ctx: ctx, every: every, beat: heartbeat, most: maxStreams, open: make(map[string]*feed)}
}

// join returns a channel that has the latest frame of a contest, but for the one that the reader has seen already. leave must be called.
func (f *feeds) join(contest, seen string) (frames <-chan frame, leave func(), err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.readers >= f.most {
		return nil, nil, errBusy
	}
	f.readers++
	shown := f.open[contest]
	if shown == nil {
		ctx, stop := context.WithCancel(f.ctx)
		shown = &feed{stop: stop, readers: make(map[*reader]bool)}
		f.open[contest] = shown
		go f.poll(ctx, contest, shown)
	}
	r := &reader{make(chan frame, 1), seen}
	shown.readers[r] = true
	r.put(shown.last)
	return r.frames, func() { f.leave(contest, shown, r) }, nil
}

func (f *feeds) leave(contest string, from *feed, r *reader) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.readers--
	delete(from.readers, r)
	if len(from.readers) == 0 {
		from.stop()
		delete(f.open, contest)
	}
}

// poll looks at a contest until the last reader has left.
func (f *feeds) poll(ctx context.Context, contest string, to *feed) {
	tick := time.NewTicker(f.every)
	defer tick.Stop()
	away := false
	for {
		next, err := f.frame(ctx, contest)
		switch {
		case err == nil:
			away = false
			f.send(to, next)
		case ctx.Err() == nil && !away:
			away = true // said once until it is back
			slog.Warn("live stream stands still", "of", f.what, "contest", contest, "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (f *feeds) frame(ctx context.Context, contest string) (frame, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	return f.look(ctx, contest)
}

// frame returns a contest's board for its live stream.
func (b *boards) frame(ctx context.Context, contest string) (frame, error) {
	shown, digest, err := b.public(ctx, contest)
	if err != nil {
		return frame{}, err
	}
	text, err := json.Marshal(shown.cut(streamBands, streamAlbums))
	if err != nil {
		return frame{}, fmt.Errorf("write board of %s: %w", contest, err)
	}
	return frame{digest, text}, nil
}

// send gives a frame to all readers that have not seen it.
func (f *feeds) send(to *feed, next frame) {
	f.mu.Lock()
	defer f.mu.Unlock()
	to.last = next
	for r := range to.readers {
		r.put(next)
	}
}

const eventStream = "text/event-stream; charset=utf-8"

// streamBoard sends the board whenever it changes, as server-sent events
// (https://html.spec.whatwg.org/multipage/server-sent-events.html).
func (r *results) streamBoard(w http.ResponseWriter, req *http.Request) error {
	c, err := r.contestOf(req)
	if err != nil {
		return err
	}
	return r.feeds.follow(w, req, c.ID, "board")
}

// follow sends a reader the frames of a contest as events of a name, until either
// of them ends.
func (f *feeds) follow(w http.ResponseWriter, req *http.Request, contest, event string) error {
	h := w.Header()
	if req.Method == http.MethodHead {
		h.Set("Content-Type", eventStream)
		return nil // what is written is thrown away: it would beat for nobody
	}
	frames, leave, err := f.join(contest, req.Header.Get("Last-Event-ID"))
	if err != nil {
		return err
	}
	defer leave()
	s := stream{w: w, control: http.NewResponseController(w)}
	h.Set("Content-Type", eventStream)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	_ = s.control.SetReadDeadline(time.Time{}) // the server's bounds the request, not the looking
	beat := time.NewTicker(f.beat)
	defer beat.Stop()
	life := time.NewTimer(streamLife)
	defer life.Stop()
	s.write(fmt.Appendf(nil, "retry: %d\n\n", comeBackAfter.Milliseconds()))
	for s.err == nil {
		select {
		case next := <-frames:
			s.write(fmt.Appendf(nil, "id: %s\nevent: %s\ndata: %s\n\n", next.id, event, next.text))
		case <-beat.C:
			s.write([]byte(":\n\n"))
		case <-req.Context().Done():
			return nil
		case <-f.ctx.Done():
			return nil // the process ends; the reader comes back to another
		case <-life.C:
			return nil
		}
	}
	return nil
}

// stream writes to a reader who may be slow or gone.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	err     error
}

func (s *stream) write(text []byte) {
	_ = s.control.SetWriteDeadline(time.Now().Add(frameTimeout)) // where it is not known, the reader's leaving is
	if _, s.err = s.w.Write(text); s.err == nil {
		s.err = s.control.Flush()
	}
}
