package upstream_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"go-loadbalancer/lb/upstream"
	"go-loadbalancer/lb/wire"
)

// peer is a backend's end of one connection, driven by a script.
type peer struct {
	net.Conn
	r      *bufio.Reader
	number int // of the connection, from 1
}

// request reads one request to its end and returns its content.
func (p *peer) request() (*http.Request, string, error) {
	r, err := http.ReadRequest(p.r)
	if err != nil {
		return nil, "", err
	}
	content, err := io.ReadAll(r.Body)
	return r, string(content), err
}

// head reads a request's head alone.
func (p *peer) head() error {
	_, err := http.ReadRequest(p.r)
	return err
}

func (p *peer) say(s string) { io.WriteString(p.Conn, s) }

// backend listens on loopback and runs a script for each connection.
type backend struct {
	address string

	mu       sync.Mutex
	accepted int
	open     map[net.Conn]bool
}

// serve starts a backend. script is run for every connection, which is closed
// when it returns.
func serve(t testing.TB, script func(p *peer)) *backend {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &backend{address: l.Addr().String(), open: map[net.Conn]bool{}}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			b.mu.Lock()
			b.accepted++
			p := &peer{nc, bufio.NewReader(nc), b.accepted}
			b.open[nc] = true
			b.mu.Unlock()
			running.Go(func() {
				script(p)
				nc.Close()
				b.mu.Lock()
				delete(b.open, nc)
				b.mu.Unlock()
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		b.mu.Lock()
		for nc := range b.open {
			nc.Close()
		}
		b.mu.Unlock()
		running.Wait()
	})
	return b
}

// connections is how many were accepted so far.
func (b *backend) connections() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.accepted
}

// transport returns a transport to the backend, closed with the test.
func (b *backend) transport(t testing.TB) *upstream.Transport {
	tr := upstream.NewTransport(upstream.Options{Address: b.address})
	t.Cleanup(tr.Abort)
	return tr
}

// watched is a dialer that remembers its last socket.
type watched struct{ last *net.TCPConn }

func (w *watched) dial(ctx context.Context, network, address string) (net.Conn, error) {
	nc, err := new(net.Dialer).DialContext(ctx, network, address)
	if err == nil {
		w.last = nc.(*net.TCPConn)
	}
	return nc, err
}

// awaitReadable returns once that socket has something to read, or its end. It
// reads nothing of it.
func (w *watched) awaitReadable(t *testing.T) {
	t.Helper()
	raw, err := w.last.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	w.last.SetReadDeadline(time.Now().Add(patience))
	var b [1]byte
	if err := raw.Read(func(fd uintptr) bool {
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
		return err != syscall.EAGAIN && err != syscall.EINTR
	}); err != nil {
		t.Fatal(err)
	}
}

// answering is a script that answers every request alike.
func answering(response string) func(p *peer) {
	return func(p *peer) {
		for {
			if _, _, err := p.request(); err != nil {
				return
			}
			p.say(response)
		}
	}
}

// get is a request head without content.
func get() *wire.Request { return request("GET", wire.NoBody, 0) }

func request(method string, framing wire.Framing, length int64) *wire.Request {
	return &wire.Request{Method: []byte(method), Target: []byte("/x"), Authority: []byte("h"), Framing: framing, Length: length}
}

// patience is longer than anything here takes.
const patience = 10 * time.Second

// open lends a stream whose waits are bounded.
func open(t testing.TB, tr *upstream.Transport) upstream.Stream {
	t.Helper()
	s, err := tr.Open()
	if err != nil {
		t.Fatal(err)
	}
	s.SetTimeout(patience, patience)
	return s
}

// read reads a body to its end.
func read(b upstream.Body) (string, error) {
	var all []byte
	for {
		piece, err := b.Next()
		if err == io.EOF {
			return string(all), nil
		}
		if err != nil {
			return string(all), err
		}
		all = append(all, piece...)
	}
}

// exchange sends a request without content and reads the whole response.
func exchange(t testing.TB, s upstream.Stream, head *wire.Request) (status int, content string, err error) {
	t.Helper()
	s.Send(head)
	resp, err := s.Await()
	if err != nil {
		return 0, "", err
	}
	status = resp.Status
	content, err = read(s.Body())
	return status, content, err
}

// kind is the kind of an upstream error, or 0.
func kind(err error) upstream.Kind {
	var e *upstream.Error
	if !errors.As(err, &e) {
		return 0
	}
	return e.Kind
}

const okHello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
