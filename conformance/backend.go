package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"go-loadbalancer/conformance/corpus"
)

// backend is the server behind a subject. It understands what it gets by its own
// strict reading, keeps all of it, and answers by the case that runs.
type backend struct {
	l    net.Listener
	done sync.WaitGroup

	mu     sync.Mutex
	conns  map[*line]struct{}
	count  int // connections so far
	script *corpus.Response
	got    []received
	heads  int           // of requests, since begin
	change chan struct{} // closed and replaced when anything changes
}

// line is a connection from a subject.
type line struct {
	number int
	net    net.Conn
	busy   bool // a message has begun and not ended
}

// received is a message and the connection it came by, numbered from 1.
type received struct {
	*message
	line int
}

// sentinel is the target of the requests that the runner puts behind a case; the
// answers to them say sentinelBody.
const (
	sentinel     = "/sentinel"
	sentinelBody = "sentinel"
)

// listenBackend starts a backend on a free port of 127.0.0.1.
func listenBackend() (*backend, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &backend{l: l, conns: map[*line]struct{}{}, change: make(chan struct{})}
	b.done.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			x := &line{net: c}
			b.note(func() {
				b.count++
				x.number = b.count
				b.conns[x] = struct{}{}
			})
			b.done.Go(func() {
				b.serve(x)
				c.Close()
				b.note(func() { delete(b.conns, x) })
			})
		}
	})
	return b, nil
}

func (b *backend) addr() string { return b.l.Addr().String() }

// close ends every connection and joins what serves them.
func (b *backend) close() {
	b.l.Close()
	b.mu.Lock()
	for x := range b.conns {
		x.net.Close()
	}
	b.mu.Unlock()
	b.done.Wait()
}

func (b *backend) note(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
	close(b.change)
	b.change = make(chan struct{})
}

// begin starts a case: what came before is forgotten.
func (b *backend) begin(script *corpus.Response) {
	b.note(func() { b.got, b.heads, b.script = nil, 0, script })
}

// settle waits until no connection is within a message, or for as long as given.
// What is still unfinished then is ended, so that it is no other case's.
func (b *backend) settle(within time.Duration) {
	late := time.After(within)
	for {
		b.mu.Lock()
		busy := false
		for x := range b.conns {
			busy = busy || x.busy
		}
		change := b.change
		b.mu.Unlock()
		if !busy {
			return
		}
		select {
		case <-change:
		case <-late:
			b.mu.Lock()
			for x := range b.conns {
				if x.busy {
					x.net.Close()
				}
			}
			b.mu.Unlock()
			late = nil
		}
	}
}

// gone waits until that many connections have come, one that was made may not have
// been accepted yet, and all have ended.
func (b *backend) gone(made int) {
	for {
		b.mu.Lock()
		over, change := b.count >= made && len(b.conns) == 0, b.change
		b.mu.Unlock()
		if over {
			return
		}
		<-change
	}
}

// began waits for the head of a request, or until one of the others happens.
func (b *backend) began(answered <-chan struct{}, late <-chan time.Time) {
	for {
		b.mu.Lock()
		heads, change := b.heads, b.change
		b.mu.Unlock()
		if heads > 0 {
			return
		}
		select {
		case <-change:
		case <-answered:
			return
		case <-late:
			return
		}
	}
}

// taken is what came since begin, sentinels left out.
func (b *backend) taken() []received {
	b.mu.Lock()
	defer b.mu.Unlock()
	var got []received
	for _, m := range b.got {
		if !isSentinel(m.message) {
			got = append(got, m)
		}
	}
	return got
}

// reused reports whether a sentinel has come by the connection of that number.
func (b *backend) reused(number int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.ContainsFunc(b.got, func(m received) bool { return m.line == number && isSentinel(m.message) })
}

func isSentinel(m *message) bool { return strings.HasSuffix(m.start[1], sentinel) }

// later sends a script's late bytes by the connection of that number.
func (b *backend) later(number int, late corpus.Bytes) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for x := range b.conns {
		if x.number == number {
			io.WriteString(x.net, string(late))
		}
	}
}

// serve reads and answers the requests of one connection.
func (b *backend) serve(x *line) {
	in := bufio.NewReader(x.net)
	r := reader{in: in, seen: func(m *message) {
		b.note(func() { b.heads++ })
		if expect, _ := values(m.fields, "Expect"); strings.EqualFold(expect, "100-continue") {
			io.WriteString(x.net, "HTTP/1.1 100 Continue\r\n\r\n")
		}
	}}
	for {
		if _, err := in.Peek(1); err != nil {
			return
		}
		b.note(func() { x.busy = true })
		m, err := r.request()
		var script *corpus.Response
		b.note(func() {
			x.busy = false
			b.got = append(b.got, received{m, x.number})
			script = b.script
		})
		if err != nil {
			return
		}
		if script != nil && !isSentinel(m) {
			if !answerBy(script, x.net) {
				return
			}
			continue
		}
		body := "ok"
		if isSentinel(m) {
			body = sentinelBody
		}
		head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(body))
		if m.start[0] == "HEAD" {
			body = ""
		}
		if _, err := io.WriteString(x.net, head+body); err != nil {
			return
		}
		if m.start[0] == "CONNECT" {
			io.Copy(io.Discard, in) // it is a tunnel now
			return
		}
	}
}

// answerBy sends a script's answer, and reports whether the connection goes on.
func answerBy(script *corpus.Response, c net.Conn) bool {
	io.WriteString(c, string(script.Send))
	if script.Reset {
		c.(*net.TCPConn).SetLinger(0)
	}
	return !script.End && !script.Reset
}
