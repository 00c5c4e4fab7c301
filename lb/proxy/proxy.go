package proxy

import (
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/session"
	"go-loadbalancer/lb/snapshot"
	"go-loadbalancer/lb/wire"
)

// Options are a proxy's seams.
type Options struct {
	// Current holds the snapshot that serves. Required, and not empty once Serve
	// is called.
	Current *snapshot.Current
	// Sessions are those of pools that keep a client at one endpoint; required if there
	// are any.
	Sessions *session.Sessions
	// Trace decides which requests are traced; nil: the balancer takes no part in traces,
	// and passes on what clients send of theirs.
	Trace event.Sampler
	// Events is told of every request and attempt; nil: nobody.
	Events *event.Listener
	// Rand is the source of every random choice; nil is the runtime's own. It must
	// be safe for concurrent use.
	Rand func() uint64
	// Wall is the wall clock, for Date fields; nil is [time.Now].
	Wall func() time.Time
	// Logger is told of panics that have no connection to end; nil discards them.
	Logger *slog.Logger
}

// Proxy serves exchanges by the current snapshot. It is safe for concurrent use.
type Proxy struct {
	current  *snapshot.Current
	sessions *session.Sessions
	sampler  event.Sampler
	events   event.Listener
	rand     func() uint64
	date     dateClock
	calls    sync.Pool // of *call
	pipes    wire.Pipes
	mirrors  mirrors
	kept     atomic.Int64  // bytes of bodies kept for another try
	cut      chan struct{} // closed: nobody waits any more
}

// New returns a proxy.
func New(o Options) *Proxy {
	p := &Proxy{current: o.Current, sessions: o.Sessions, sampler: o.Trace, rand: o.Rand, cut: make(chan struct{})}
	if o.Events != nil {
		p.events = *o.Events
	}
	if p.rand == nil {
		p.rand = rand.Uint64
	}
	p.date.wall = o.Wall
	if p.date.wall == nil {
		p.date.wall = time.Now
	}
	p.mirrors.begin(p, o.Logger)
	p.calls.New = func() any { return newCall(p) }
	return p
}

// Cut ends every wait for a turn or for another try: those requests fail now. It is
// called once, when what is under way is to be broken off.
func (p *Proxy) Cut() { close(p.cut) }

// isCut says whether Cut was called.
func (p *Proxy) isCut() bool {
	select {
	case <-p.cut:
		return true
	default:
		return false
	}
}

// Close waits for the goroutines that may outlive the requests that began them,
// which StopMirrors ends, and gives back what the proxy keeps for other requests.
// It must have none under way, and begin none.
func (p *Proxy) Close() {
	p.mirrors.running.Wait()
	p.pipes.Close()
}

// Serve answers one exchange, to its end. Should it panic, everything the request
// held is let go of first; the exchange's owner must then give up its connection.
func (p *Proxy) Serve(x Exchange) { p.run(x, (*call).serve) }

// Refuse answers an exchange whose head was not HTTP, or too much of it. What of
// the request could be parsed is in its head.
func (p *Proxy) Refuse(x Exchange, cause *wire.Error) {
	p.run(x, func(c *call) { c.serveBad(cause) })
}

func (p *Proxy) run(x Exchange, answer func(*call)) {
	c := p.calls.Get().(*call)
	whole := false
	defer func() {
		if !whole {
			c.abandon()
		}
	}()
	c.begin(x)
	answer(c)
	c.finish()
	whole = true
	p.calls.Put(c)
}
