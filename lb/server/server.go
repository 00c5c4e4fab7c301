package server

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/proxy"
	"go-loadbalancer/lb/wire"
)

// Handler answers exchanges; *proxy.Proxy is one.
type Handler interface {
	// Serve answers an exchange, to its end.
	Serve(proxy.Exchange)
	// Refuse answers an exchange whose head could not be parsed.
	Refuse(proxy.Exchange, *wire.Error)
}

// Settings is what a policy says of a listener. It may change while the server
// runs.
type Settings struct {
	Name           string        // the listener's, for events and logs
	Idle           time.Duration // between two requests of a connection
	RequestHeader  time.Duration // from a head's first byte to its last, and from connecting to the first
	RequestBody    time.Duration // longest silence inside a request body, and the grace of its least rate
	Write          time.Duration // longest a response may wait for the client to take its due
	ConnectionAge  time.Duration // after which a connection ends between requests, or up to a tenth earlier; 0: never
	HeaderBytes    int
	HeaderFields   int
	MaxConnections int
	Splice         bool // long content passes through the kernel alone
	// MaxPerAddress is how many of them one IPv4 address or IPv6 /64 may have; 0:
	// all. The addresses of trusted proxies, who stand for many clients, may have
	// all anyway.
	MaxPerAddress  int
	TrustedProxies []netip.Prefix
	// Bytes a second a client must send of a body while it is waited for, and take
	// of a response that waits for it; 0: any progress will do.
	RequestBodyRate, ResponseRate int
	// AllowTrace passes TRACE requests on.
	AllowTrace bool
}

// Options are a server's seams.
type Options struct {
	Listener net.Listener // owned by the server from Start on
	Settings Settings
	Handler  Handler
	Events   *event.Listener // nil: nobody is told
	Logger   *slog.Logger    // nil: nothing is logged
	// Grace is how long Shutdown goes on accepting. Connections whose handshake is
	// over when it begins are still served (with TCP_DEFER_ACCEPT the kernel keeps
	// them back until their first byte, for up to a second), and so are requests
	// that idle connections were just about to send. 0 is none.
	Grace time.Duration
	// Quota bounds the connections of all servers that share it; nil: nothing does.
	Quota *Quota
	// Rand says how much earlier than its age each connection ends; nil is the
	// runtime's own source. It must be safe for concurrent use.
	Rand func() uint64
	// Abort is called when the time of Shutdown is over and before it cuts connections: it
	// must make the handler give up whatever it waits for. What that answers, the clients
	// may still get. nil: the handler sees that its clients are gone.
	Abort func()
}

// Server serves one listener.
type Server struct {
	listener net.Listener
	handler  Handler
	events   event.Listener
	logger   *slog.Logger
	grace    time.Duration
	quota    *Quota
	rand     func() uint64
	abort    func()
	yields   bool // connections let others run between requests

	settings atomic.Pointer[Settings]
	draining atomic.Bool // replies say that the connection ends with them

	mu     sync.Mutex
	conns  map[*conn]struct{}
	crowd  crowd
	closed bool // nothing is waited for on idle connections
	done   sync.WaitGroup
	room   room
	drain  chan struct{} // closed when Shutdown begins, to end a pause of accepting
	freed  chan struct{} // closed when the listener is
}

// mostYielding is the number of processors up to which connections let others run
// between requests. What yields waits in a queue that all processors share, under
// one lock: with many of them that would cost more than it saves.
const mostYielding = 4

// New returns a server that does nothing yet.
func New(o Options) *Server {
	s := &Server{
		listener: o.Listener, handler: o.Handler, logger: o.Logger, grace: o.Grace, quota: o.Quota, rand: o.Rand, abort: o.Abort,
		conns: map[*conn]struct{}{}, crowd: crowd{}, room: room{made: make(chan struct{}, 1)}, drain: make(chan struct{}), freed: make(chan struct{}),
	}
	if o.Events != nil {
		s.events = *o.Events
	}
	if s.rand == nil {
		s.rand = rand.Uint64
	}
	s.yields = runtime.GOMAXPROCS(0) <= mostYielding
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	s.Update(o.Settings)
	return s
}

// Update changes the settings, for what begins from now on.
func (s *Server) Update(settings Settings) { s.settings.Store(&settings) }

// Addr is the listener's address.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Connections is how many connections are open, and how many may be: as many as the
// settings say, or those that are and what is left of the quota, if that is less.
func (s *Server) Connections() (open, limit int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	open, limit = len(s.conns), s.settings.Load().MaxConnections
	if left := s.quota.left(); left < limit-open {
		limit = open + left
	}
	return open, limit
}

// Freed is closed once Shutdown has given the listener's address back.
func (s *Server) Freed() <-chan struct{} { return s.freed }

// Start begins to accept.
func (s *Server) Start() { s.done.Go(s.accept) }

// admit begins to serve a connection.
func (s *Server) admit(nc net.Conn) {
	c := newConn(s, nc)
	s.mu.Lock()
	refused := s.refuses(c)
	if refused == "" {
		s.conns[c] = struct{}{}
		s.crowd[c.origin]++
		s.done.Add(1)
	}
	s.mu.Unlock()
	if s.events.ConnectionOpened != nil {
		s.events.ConnectionOpened(c.client.Listener)
	}
	if refused != "" {
		c.io.Close()
		c.gone(refused)
		c.free()
		return
	}
	go c.run()
}

// refuses says why a new connection is not served; "" if it is, and then it has
// its part of the quota. s.mu is held.
func (s *Server) refuses(c *conn) event.CloseReason {
	set := s.settings.Load()
	switch {
	case s.closed:
		return event.ClosedDrain
	case len(s.conns) >= set.MaxConnections:
		return event.ClosedOverLimit
	case set.MaxPerAddress > 0 && s.crowd[c.origin] >= set.MaxPerAddress && !set.exempt(c.client.Peer.Addr()):
		return event.ClosedCrowded
	case !s.quota.take():
		return event.ClosedOverLimit
	}
	return ""
}

// gone tells that the connection ended, by the name the listener had when it
// began: a policy may have renamed it.
func (c *conn) gone(reason event.CloseReason) {
	if f := c.server.events.ConnectionClosed; f != nil {
		f(c.client.Listener, reason)
	}
}

// forget no longer counts a connection that has ended.
func (s *Server) forget(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.crowd.leave(c.origin)
	s.mu.Unlock()
	s.quota.give()
	s.room.make()
}

// Shutdown stops accepting after the grace, lets the requests in flight finish,
// and joins every goroutine. When ctx ends first the remaining connections are
// cut, a moment after their requests were, and the error says how many. It must be called once, after Start.
func (s *Server) Shutdown(ctx context.Context) error {
	s.draining.Store(true)
	close(s.drain)
	if s.grace > 0 {
		select {
		case <-time.After(s.grace):
		case <-ctx.Done():
		}
	}
	s.listener.Close()
	close(s.freed)
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		c.wake()
	}
	s.mu.Unlock()

	ended := make(chan struct{})
	go func() {
		s.done.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	cut := len(s.conns)
	s.mu.Unlock()
	if s.abort != nil {
		s.abort()
		select {
		case <-ended:
		case <-time.After(lastWords):
		}
	}
	s.mu.Lock()
	for c := range s.conns {
		c.io.Net().Close()
	}
	s.mu.Unlock()
	<-ended
	if cut == 0 {
		return nil
	}
	return &CutError{s.settings.Load().Name, cut}
}

// lastWords is how long clients whose requests Shutdown breaks off have to take the answer
// to them.
const lastWords = 100 * time.Millisecond

// CutError says that connections were cut because they did not end in time.
type CutError struct {
	Listener    string
	Connections int
}

func (e *CutError) Error() string {
	return fmt.Sprintf("listener %s: cut %d connections that did not end in time", e.Listener, e.Connections)
}

// Discard closes the listener of a server that was not started.
func (s *Server) Discard() { s.listener.Close() }
