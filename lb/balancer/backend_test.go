package balancer_test

import (
	"bufio"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// backend is a scripted raw TCP server.
type backend struct {
	t    testing.TB
	addr string
	l    net.Listener

	mu    sync.Mutex
	conns []*peer
	heads []string // every head that take and serve read
	done  sync.WaitGroup
}

// listen starts a backend that runs script for each connection, and closes the
// connection afterwards.
func listen(t testing.TB, script func(*peer)) *backend {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &backend{t: t, addr: l.Addr().String(), l: l}
	b.done.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p := newPeer(t, c)
			b.mu.Lock()
			b.conns = append(b.conns, p)
			b.mu.Unlock()
			b.done.Go(func() {
				defer c.Close()
				script(p)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		b.mu.Lock()
		for _, c := range b.conns {
			c.Close()
		}
		b.mu.Unlock()
		b.done.Wait()
	})
	return b
}

// accepted is how many connections came.
func (b *backend) accepted() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.conns)
}

// received is every head that was read, in order.
func (b *backend) received() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.heads...)
}

// take reads a head and remembers it; "" at the end of the connection.
func (b *backend) take(p *peer) string {
	h, err := p.head()
	if err != nil {
		return ""
	}
	b.mu.Lock()
	b.heads = append(b.heads, h)
	b.mu.Unlock()
	return h
}

// answering is a backend that reads requests with any body and answers each
// with the same bytes.
func answering(t testing.TB, answer string) *backend {
	t.Helper()
	var b *backend
	ready := make(chan struct{})
	b = listen(t, func(p *peer) {
		<-ready
		for {
			h := b.take(p)
			if h == "" {
				return
			}
			r, err := http.ReadRequest(bufio.NewReader(io.MultiReader(strings.NewReader(h), p.in)))
			if err != nil {
				t.Errorf("backend: %v in %q", err, h)
				return
			}
			if len(r.TransferEncoding) > 0 {
				t.Error("answering cannot read chunks")
				return
			}
			if _, err := io.CopyN(io.Discard, r.Body, max(r.ContentLength, 0)); err != nil {
				return
			}
			if p.send(answer) != nil || strings.Contains(answer, "Connection: close") {
				return
			}
		}
	})
	close(ready)
	return b
}

// once is a backend whose n-th connection is played by the n-th script; the last
// one plays all further ones.
func once(t testing.TB, scripts ...func(*peer)) *backend {
	t.Helper()
	var mu sync.Mutex
	n := 0
	return listen(t, func(p *peer) {
		mu.Lock()
		script := scripts[min(n, len(scripts)-1)]
		n++
		mu.Unlock()
		script(p)
	})
}

// serve is a backend of net/http.
func serve(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)} // clients leave, handlers abort
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Serve(l)
	}()
	t.Cleanup(func() {
		s.Close()
		<-done
	})
	return l.Addr().String()
}
