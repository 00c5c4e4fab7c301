package server_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/proxy"
	"go-loadbalancer/lb/server"
	"go-loadbalancer/lb/wire"
)

const (
	patience = 20 * time.Second
	get      = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
)

// handler answers by a function.
type handler func(proxy.Exchange)

func (h handler) Serve(x proxy.Exchange) { h(x) }

func (handler) Refuse(x proxy.Exchange, cause *wire.Error) {
	x.Reply(&wire.Response{Status: cause.Status, Framing: wire.Sized})
	x.End(nil)
}

// hello answers every request alike.
func hello(x proxy.Exchange) {
	x.Reply(&wire.Response{Status: 200, Framing: wire.Sized, Length: 5})
	x.Write([]byte("hello"))
	x.End(nil)
}

// log is a log that tests may read while it is written.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

type rig struct {
	t *testing.T
	*server.Server
	log    log
	closed chan event.CloseReason
}

func settings() server.Settings {
	return server.Settings{
		Name: "test", Idle: patience, RequestHeader: patience, RequestBody: patience, Write: patience,
		HeaderBytes: 32 << 10, HeaderFields: 100, MaxConnections: 100,
	}
}

// start runs a server until the test ends.
func start(t *testing.T, h handler, wrap func(net.Listener) net.Listener) *rig {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if wrap != nil {
		l = wrap(l)
	}
	r := &rig{t: t, closed: make(chan event.CloseReason, 100)}
	r.Server = server.New(server.Options{
		Listener: l, Settings: settings(), Handler: h, Logger: slog.New(slog.NewTextHandler(&r.log, nil)),
		Events: &event.Listener{ConnectionClosed: func(_ string, why event.CloseReason) { r.closed <- why }},
	})
	r.Start()
	return r
}

// stop shuts down, within the test's patience.
func (r *rig) stop() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := r.Shutdown(ctx); err != nil {
		r.t.Error(err)
	}
}

func (r *rig) dial() net.Conn {
	r.t.Helper()
	c, err := net.Dial("tcp", r.Addr().String())
	if err != nil {
		r.t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	r.t.Cleanup(func() { c.Close() })
	return c
}

func ask(t *testing.T, c net.Conn) {
	t.Helper()
	io.WriteString(c, get)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(resp.Body); string(b) != "hello" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
}

// A request that makes the handler panic ends its connection and nothing else.
func TestPanicEndsOneConnection(t *testing.T) {
	var n atomic.Int32
	r := start(t, func(x proxy.Exchange) {
		if n.Add(1) == 2 {
			panic("the answer is 43")
		}
		hello(x)
	}, nil)
	defer r.stop()
	good, bad := r.dial(), r.dial()
	ask(t, good)
	io.WriteString(bad, get)
	if b, _ := io.ReadAll(bad); len(b) > 0 {
		t.Errorf("got %q", b)
	}
	if why := <-r.closed; why != event.ClosedBroken {
		t.Errorf("closed for %q", why)
	}
	ask(t, good)
	ask(t, r.dial())
	if s := r.log.String(); !strings.Contains(s, "the answer is 43") || !strings.Contains(s, "server_test.go") {
		t.Errorf("the log does not say where: %s", s)
	}
}

// failing is a listener whose first accepts fail.
type failing struct {
	net.Listener
	left atomic.Int32
}

func (f *failing) Accept() (net.Conn, error) {
	if f.left.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: syscall.EMFILE}
	}
	return f.Listener.Accept()
}

// Out of descriptors is a bad moment, not the end.
func TestAcceptingGoesOnAfterErrors(t *testing.T) {
	r := start(t, hello, func(l net.Listener) net.Listener {
		f := &failing{Listener: l}
		f.left.Store(3)
		return f
	})
	defer r.stop()
	ask(t, r.dial())
	if s := r.log.String(); strings.Count(s, "accepting connections failed") != 1 || strings.Count(s, "accepting connections again") != 1 || !strings.Contains(s, "listener=test") {
		t.Errorf("log: %s", s)
	}
}

// A server that cannot accept can be shut down without waiting for the pause.
func TestShutdownEndsThePauseOfAccepting(t *testing.T) {
	r := start(t, hello, func(l net.Listener) net.Listener {
		f := &failing{Listener: l}
		f.left.Store(1 << 30)
		return f
	})
	r.stop()
}

func TestUpdate(t *testing.T) {
	r := start(t, hello, nil)
	defer r.stop()
	c := r.dial()
	ask(t, c)
	s := settings()
	s.HeaderFields = 1
	r.Update(s)
	ask(t, c) // the wait for it had begun before
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || resp.StatusCode != 431 {
		t.Errorf("%v, %v", resp, err)
	}
}

// Shutdown ends idle connections at once, and connections that never said
// anything; a request that has come is answered.
func TestShutdown(t *testing.T) {
	begun, finish := make(chan struct{}), make(chan struct{})
	r := start(t, func(x proxy.Exchange) {
		if string(x.Request().Path) == "/slow" {
			close(begun)
			<-finish
		}
		hello(x)
	}, nil)
	idle, mute, slow := r.dial(), r.dial(), r.dial()
	ask(t, idle)
	io.WriteString(slow, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
	<-begun
	ended := make(chan struct{})
	go func() { defer close(ended); r.stop() }()
	for _, c := range []net.Conn{idle, mute} {
		if b, err := io.ReadAll(c); len(b) > 0 || err != nil {
			t.Errorf("%q, %v", b, err)
		}
		if why := <-r.closed; why != event.ClosedDrain {
			t.Errorf("closed for %q", why)
		}
	}
	<-r.Freed()
	close(finish)
	b, err := io.ReadAll(slow)
	if s := string(b); err != nil || !strings.HasSuffix(s, "\r\n\r\nhello") || !strings.Contains(s, "\r\nConnection: close\r\n") {
		t.Errorf("%q, %v", s, err)
	}
	slow.Close()
	<-ended
	if n, _ := r.Connections(); n != 0 {
		t.Errorf("%d connections", n)
	}
}

func TestShutdownCuts(t *testing.T) {
	begun, cut := make(chan struct{}), make(chan struct{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := server.New(server.Options{
		Listener: l, Settings: settings(), Abort: func() { close(cut) },
		Handler: handler(func(x proxy.Exchange) { close(begun); <-cut; x.Abort() }),
	})
	s.Start()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, get)
	<-begun
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var e *server.CutError
	if err := s.Shutdown(ctx); !errors.As(err, &e) || e.Connections != 1 || e.Listener != "test" {
		t.Errorf("got %v", err)
	}
}
