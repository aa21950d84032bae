package main

import (
	"crypto/rand"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// mood is how a proxy treats what passes.
type mood int32

const (
	passes   mood = iota
	slow          // each piece waits
	refuses       // takes no connection, and cuts those that there are
	garbles       // answers nonsense in place of what was answered, and cuts
	cutsHalf      // cuts in the middle of a piece
)

// slowness is what each piece waits in a slow proxy.
const slowness = 2 * time.Second

// proxy stands between the house and a store, on an address of its own that stays
// the same while the store behind it comes and goes.
type proxy struct {
	lis  net.Listener
	to   string
	mood atomic.Int32

	mu    sync.Mutex
	conns map[net.Conn]bool
}

func newProxy(to string) (*proxy, error) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{lis: lis, to: to, conns: make(map[net.Conn]bool)}
	go p.serve()
	return p, nil
}

func (p *proxy) address() string { return p.lis.Addr().String() }

func (p *proxy) close() {
	_ = p.lis.Close()
	p.cut()
}

// set changes the mood; one that ends connections ends those that there are.
func (p *proxy) set(m mood) {
	p.mood.Store(int32(m))
	if m == refuses {
		p.cut()
	}
}

func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.conns {
		_ = conn.Close()
	}
}

func (p *proxy) hold(conn net.Conn) {
	p.mu.Lock()
	p.conns[conn] = true
	p.mu.Unlock()
}

func (p *proxy) drop(conn net.Conn) {
	_ = conn.Close()
	p.mu.Lock()
	delete(p.conns, conn)
	p.mu.Unlock()
}

func (p *proxy) serve() {
	for {
		in, err := p.lis.Accept()
		if err != nil {
			return
		}
		if mood(p.mood.Load()) == refuses {
			_ = in.Close()
			continue
		}
		go p.pass(in)
	}
}

// pass joins a connection with one to the store, until either ends.
func (p *proxy) pass(in net.Conn) {
	p.hold(in)
	defer p.drop(in)
	out, err := net.DialTimeout("tcp", p.to, 2*time.Second)
	if err != nil {
		return
	}
	p.hold(out)
	defer p.drop(out)
	ended := make(chan struct{}, 2)
	go func() { p.copy(out, in, false); ended <- struct{}{} }()
	go func() { p.copy(in, out, true); ended <- struct{}{} }()
	<-ended
}

// copy passes pieces one way, as the mood of the moment has it. answer is the way
// back: only there nonsense is put, since a store that was told nonsense could
// not be blamed for keeping it.
func (p *proxy) copy(to io.Writer, from io.Reader, answer bool) {
	piece := make([]byte, 32<<10)
	for {
		n, err := from.Read(piece)
		if n > 0 {
			switch mood(p.mood.Load()) {
			case slow:
				time.Sleep(slowness)
			case garbles:
				if answer {
					_, _ = rand.Read(piece[:n])
					_, _ = to.Write(piece[:n])
					return
				}
			case cutsHalf:
				_, _ = to.Write(piece[:n/2])
				return
			}
			if _, err := to.Write(piece[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
