package server

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/proxy"
	"go-loadbalancer/lb/wire"
)

// conn is a client's connection: a loop of requests.
type conn struct {
	server *Server
	io     *wire.Conn
	client proxy.Client
	origin netip.Addr   // as the limit of each address counts it
	state  atomic.Int32 // idle, active or woken
	life   life

	// spoiled: something went so wrong that this memory is not to be used again.
	spoiled bool
}

const (
	active int32 = iota
	idle         // waits for a request; may be woken
	woken        // was told to end
)

// exchanges are used again, so that neither a request nor an idle connection
// costs their memory.
var exchanges = sync.Pool{New: func() any { return new(exchange) }}

// conns are used again, like exchanges: of many connections there is one request
// each.
var conns = sync.Pool{New: func() any { return &conn{io: new(wire.Conn)} }}

func newConn(s *Server, nc net.Conn) *conn {
	c := conns.Get().(*conn)
	c.io.Open(nc)
	peer := peerOf(nc)
	c.server, c.origin = s, origin(peer.Addr())
	c.life = life{youth: youth(s.rand())}
	c.client = proxy.Client{
		Listener: s.settings.Load().Name, Scheme: "http", Proto: "1.1",
		Peer: peer, PeerText: peer.Addr().AppendTo(c.client.PeerText[:0]),
	}
	c.state.Store(active)
	return c
}

// free gives the memory of a connection that has ended back.
func (c *conn) free() {
	if c.spoiled {
		return
	}
	c.server = nil
	conns.Put(c)
}

// peerOf is the address a connection comes from.
func peerOf(nc net.Conn) netip.AddrPort {
	if c, ok := nc.(interface{ Peer() netip.AddrPort }); ok {
		ap := c.Peer()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	if tcp, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		ap := tcp.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	if addr := nc.RemoteAddr(); addr != nil {
		if ap, err := netip.ParseAddrPort(addr.String()); err == nil {
			return ap
		}
	}
	return netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
}

// run serves requests until the connection ends.
func (c *conn) run() {
	reason := c.guarded()
	if reason == event.ClosedSlowReader {
		c.resetAtEnd() // else the kernel would offer it the rest for minutes
	}
	c.io.Close()
	s := c.server
	s.forget(c)
	c.gone(reason)
	c.free()
	s.done.Done()
}

// resetAtEnd makes the end of the connection a reset: the client sees that what
// it has received is not all, and the kernel drops what it has not sent.
func (c *conn) resetAtEnd() {
	if tcp, ok := c.io.Net().(interface{ SetLinger(int) error }); ok {
		tcp.SetLinger(0)
	}
}

// guarded serves, and makes of a panic the end of this connection alone: one
// request that meets a mistake must not take all others with it.
func (c *conn) guarded() (reason event.CloseReason) {
	defer func() {
		if p := recover(); p != nil {
			c.server.logger.Error("a request made the balancer panic; its connection is closed. Please report this",
				"panic", p, "peer", c.client.Peer.String(), "stack", string(debug.Stack()))
			c.spoiled = true
			reason = event.ClosedBroken
		}
	}()
	return c.serve()
}

func (c *conn) serve() event.CloseReason {
	for first := true; ; first = false {
		set := c.server.settings.Load()
		c.io.SetWriteTimeout(set.Write)
		c.io.SetLeastRate(set.ResponseRate)
		c.client.AllowTrace = set.AllowTrace
		c.life.follow(set)
		if reason := c.await(set, first); reason != "" {
			return reason
		}
		x := exchanges.Get().(*exchange)
		reason := x.serve(c, set)
		x.forget()
		exchanges.Put(x)
		if reason != "" {
			return reason
		}
		c.io.Unhold()
		c.io.Release()
		// While others are ready, what this client sends next has time to come: then
		// the read finds it, instead of nothing, and nobody has to wait for it.
		if c.server.yields {
			runtime.Gosched()
		}
	}
}

// await waits for the first bytes of a request, if they are not there already.
func (c *conn) await(set *Settings, first bool) event.CloseReason {
	if len(c.io.Buffered()) > 0 {
		return ""
	}
	timeout := set.Idle
	if first {
		timeout = set.RequestHeader
	} else {
		c.io.SetReadEnd(c.life.end, lastWait)
	}
	c.io.SetReadTimeout(timeout)
	c.state.Store(idle)
	if c.server.draining.Load() && c.server.isClosed() {
		return event.ClosedDrain
	}
	err := c.io.Fill()
	c.io.SetReadEnd(0, 0)
	if !c.state.CompareAndSwap(idle, active) {
		c.server.isClosed() // wake runs under the same lock: Interrupt is over
		c.io.Rearm()
		c.state.Store(active)
		if err != nil {
			// Woken; but what had come by then is served still.
			c.io.SetReadWindow(time.Millisecond, 2*time.Millisecond)
			if err = c.io.Fill(); err != nil {
				return event.ClosedDrain
			}
		}
	}
	switch {
	case err == nil:
		return ""
	case err == io.EOF:
		return event.ClosedByClient
	case errors.Is(err, os.ErrDeadlineExceeded) && first:
		return event.ClosedSilent
	case errors.Is(err, os.ErrDeadlineExceeded) && c.life.over(c.io.Age()):
		return event.ClosedAged
	case errors.Is(err, os.ErrDeadlineExceeded):
		return event.ClosedIdle
	}
	return event.ClosedBroken
}

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// wake ends the connection if it is idle. The server's lock is held.
func (c *conn) wake() {
	if c.state.CompareAndSwap(idle, woken) {
		c.io.Interrupt()
	}
}

const (
	lingerTime = time.Second
	// lingerBytes is about what a client's kernel may have taken from it before
	// the client could see the response.
	lingerBytes = 4 << 20
)

// linger ends the connection so that a client that is still sending can read the
// response first: closing at once would reset the connection, and with it what
// the client has not read yet (RFC 9112 section 9.6).
func (c *conn) linger() {
	if c.io.CloseWrite() != nil {
		return
	}
	end := time.Now().Add(lingerTime)
	for n := 0; n < lingerBytes; {
		left := time.Until(end)
		if left <= 0 {
			return
		}
		c.io.SetReadWindow(left, left)
		if c.io.Fill() != nil {
			return
		}
		n += len(c.io.Buffered())
		c.io.Discard(len(c.io.Buffered()))
	}
}
