package affinitytest

import (
	"bytes"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// gate is a way to Redis that can be cut. While it is, connections are accepted and
// nothing goes through, as in a network that swallows packets; what was sent meanwhile
// arrives when it is healed.
type gate struct {
	url string // leads through it

	mu     sync.Mutex
	open   chan struct{} // closed while things go through
	deaf   bool          // nobody may subscribe
	heard  map[net.Conn]bool
	ending chan struct{}
}

// newGate returns an open gate to the one server of a URL.
func newGate(t testing.TB, url string) *gate {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := strings.TrimPrefix(url, "redis://")
	g := &gate{
		url: "redis://" + ln.Addr().String(), open: make(chan struct{}),
		heard: map[net.Conn]bool{}, ending: make(chan struct{}),
	}
	close(g.open)
	serve(t, ln, func(conn net.Conn) {
		if !g.pass() {
			return
		}
		server, err := net.Dial("tcp", target)
		if err != nil {
			return
		}
		var back sync.WaitGroup
		back.Go(func() {
			g.carry(conn, server, func([]byte) bool { return true })
			conn.Close()
		})
		g.carry(server, conn, func(sent []byte) bool { return g.listens(conn, sent) })
		server.Close()
		back.Wait()
		g.mu.Lock()
		delete(g.heard, conn)
		g.mu.Unlock()
	})
	t.Cleanup(func() { close(g.ending) }) // before the connections are closed
	return g
}

// carry copies from one connection to another, as long as what is sent may be.
func (g *gate) carry(to, from net.Conn, may func([]byte) bool) {
	buffer := make([]byte, 16<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil || !g.pass() || !may(buffer[:n]) {
			return
		}
		if _, err := io.Copy(to, bytes.NewReader(buffer[:n])); err != nil {
			return
		}
	}
}

// pass waits until things go through; false: they never will.
func (g *gate) pass() bool {
	g.mu.Lock()
	open := g.open
	g.mu.Unlock()
	select {
	case <-open:
		return true
	case <-g.ending:
		return false
	}
}

// listens notes who subscribes, and says whether that may be.
func (g *gate) listens(conn net.Conn, sent []byte) bool {
	if !bytes.Contains(sent, []byte("subscribe")) {
		return true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.heard[conn] = true
	return !g.deaf
}

// cut lets nothing through any more.
func (g *gate) cut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = make(chan struct{})
}

// heal ends a cut.
func (g *gate) heal() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.open)
}

// deafen closes the connections of those who have subscribed, and lets nobody
// subscribe again.
func (g *gate) deafen() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.deaf = true
	for conn := range g.heard {
		conn.Close()
	}
}
