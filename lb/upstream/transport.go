package upstream

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"time"
)

// Options are a transport's seams.
type Options struct {
	Address string // host:port
	// Dial opens a connection; nil is [net.Dialer]'s.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Relieve is called when there was no descriptor for a connection: it closes
	// unused connections, of any transport, and reports whether there were any. The
	// dial is then tried once more. nil: nothing can be done.
	Relieve func() bool
	// Gate caps the connections of this transport and of others together. nil: they
	// are not capped.
	Gate *Gate
}

// Limits are a transport's settings, which may change while it is used. Zero
// fields take [DefaultLimits]'s.
type Limits struct {
	ConnectTimeout time.Duration // for a connection to come about
	IdleTimeout    time.Duration // how long an unused connection is kept
	MaxIdle        int           // how many unused connections are kept
}

// DefaultLimits are the limits of a zero [Limits].
var DefaultLimits = Limits{ConnectTimeout: 2 * time.Second, IdleTimeout: 30 * time.Second, MaxIdle: 1024}

// Transport holds the connections to one address.
type Transport struct {
	address string
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
	relieve func() bool
	gate    *Gate
	life    context.Context // ends with Abort: dials under way are given up
	end     context.CancelFunc

	mu     sync.Mutex
	limits Limits
	idle   []*http1            // the last one was used last
	all    map[*http1]struct{} // idle and lent
	sweep  *time.Timer         // runs while anything is idle
	closed bool
}

// NewTransport returns a transport that opens nothing yet.
func NewTransport(o Options) *Transport {
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	life, end := context.WithCancel(context.Background())
	return &Transport{address: o.Address, dial: o.Dial, relieve: o.Relieve, gate: o.Gate, life: life, end: end, limits: DefaultLimits, all: map[*http1]struct{}{}}
}

// SetLimits changes the settings for whatever is done from now on.
func (t *Transport) SetLimits(l Limits) {
	if l.ConnectTimeout == 0 {
		l.ConnectTimeout = DefaultLimits.ConnectTimeout
	}
	if l.IdleTimeout == 0 {
		l.IdleTimeout = DefaultLimits.IdleTimeout
	}
	if l.MaxIdle == 0 {
		l.MaxIdle = DefaultLimits.MaxIdle
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sweep != nil && l.IdleTimeout < t.limits.IdleTimeout {
		t.sweep.Reset(0) // it knows how long to wait from now on
	}
	t.limits = l
}

// Open lends a connection: the idle one used last, or else a new one. The caller
// must Release the stream. Errors are those of OpenNew.
func (t *Transport) Open() (Stream, error) {
	if s := t.Reuse(); s != nil {
		return s, nil
	}
	return t.OpenNew(0)
}

// Reuse lends the idle connection that was used last, or returns nil if none is
// idle. The caller must Release the stream.
func (t *Transport) Reuse() Stream {
	t.mu.Lock()
	n := len(t.idle)
	if n == 0 {
		t.mu.Unlock()
		return nil
	}
	s := t.idle[n-1]
	t.idle[n-1] = nil
	t.idle = t.idle[:n-1]
	t.mu.Unlock()
	s.begin(true)
	return s
}

var (
	// errClosed is the cause when a closed transport is asked for a connection.
	errClosed = errors.New("the endpoint was removed")
	// errOverflow is the cause when the gate has no place.
	errOverflow = errors.New("as many connections are in use as there may be")
)

// OpenNew lends a new connection. It may take the ConnectTimeout, or less if within
// is less and not 0; it waits for a place among the connections for as long, too.
// The caller must Release the stream. Errors are of kind [Connect], [Exhausted],
// [Overflow] or [Aborted].
func (t *Transport) OpenNew(within time.Duration) (Stream, error) {
	t.mu.Lock()
	timeout, closed := t.limits.ConnectTimeout, t.closed
	t.mu.Unlock()
	if within != 0 && within < timeout {
		timeout = within
	}
	if closed {
		return nil, &Error{Aborted, t.address, errClosed}
	}
	by := time.Now().Add(timeout)
	if !t.gate.enter(t, timeout, t.life) {
		if t.life.Err() != nil {
			return nil, &Error{Aborted, t.address, errClosed}
		}
		return nil, &Error{Overflow, t.address, errOverflow}
	}
	s, err := t.connect(by)
	if err != nil {
		t.gate.leave(t)
		return nil, err
	}
	s.begin(false)
	return s, nil
}

// connect dials. The connection has its place already.
func (t *Transport) connect(by time.Time) (*http1, error) {
	ctx, cancel := context.WithDeadline(t.life, by)
	defer cancel()
	nc, err := t.dial(ctx, "tcp", t.address)
	if err != nil && dialKind(err) == Exhausted && t.relieve != nil && t.relieve() {
		nc, err = t.dial(ctx, "tcp", t.address)
	}
	if err != nil && t.life.Err() != nil {
		return nil, &Error{Aborted, t.address, errClosed}
	}
	if err != nil {
		return nil, &Error{dialKind(err), t.address, err}
	}
	s := newHTTP1(t, nc)
	t.mu.Lock()
	if t.life.Err() != nil {
		t.mu.Unlock()
		nc.Close()
		return nil, &Error{Aborted, t.address, errClosed}
	}
	t.all[s] = struct{}{}
	t.mu.Unlock()
	return s, nil
}

// putIdle takes back a connection that may be used again.
func (t *Transport) putIdle(s *http1) {
	s.idleSince = time.Now()
	t.mu.Lock()
	if t.closed || len(t.idle) >= t.limits.MaxIdle || t.gate != nil && t.gate.scarce.Load() {
		t.mu.Unlock()
		t.drop(s)
		return
	}
	t.idle = append(t.idle, s)
	if t.sweep == nil {
		t.sweep = time.AfterFunc(t.limits.IdleTimeout, t.sweepIdle)
	}
	t.mu.Unlock()
}

// drop closes a connection for good, and gives its place back.
func (t *Transport) drop(s *http1) {
	t.discard(s)
	t.gate.leave(t)
}

// discard closes a connection whose place another one has, or will be given back.
func (t *Transport) discard(s *http1) {
	t.mu.Lock()
	delete(t.all, s)
	t.mu.Unlock()
	s.conn.Close()
}

// oldestIdle is since when the connection is idle that has been for longest.
func (t *Transport) oldestIdle() (since time.Time, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.idle) == 0 {
		return time.Time{}, false
	}
	return t.idle[0].idleSince, true
}

// takeOldest takes the connection that has been idle for longest out of the idle
// ones; nil if there is none. Its owner drops or discards it.
func (t *Transport) takeOldest() *http1 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.idle) == 0 {
		return nil
	}
	s := t.idle[0]
	t.idle = slices.Delete(t.idle, 0, 1)
	return s
}

// sweepIdle closes what has been idle for too long. The oldest come first.
func (t *Transport) sweepIdle() {
	now := time.Now()
	t.mu.Lock()
	var old []*http1
	for len(t.idle) > len(old) && now.Sub(t.idle[len(old)].idleSince) >= t.limits.IdleTimeout {
		old = append(old, t.idle[len(old)])
	}
	t.idle = append(t.idle[:0], t.idle[len(old):]...)
	clear(t.idle[len(t.idle) : len(t.idle)+len(old)])
	switch {
	case t.closed:
	case len(t.idle) == 0:
		t.sweep = nil
	default:
		t.sweep.Reset(max(t.limits.IdleTimeout-now.Sub(t.idle[0].idleSince), time.Millisecond))
	}
	t.mu.Unlock()
	for _, s := range old {
		t.drop(s)
	}
}

// Shed closes the older half of the unused connections, at least one, and
// reports whether there was any.
func (t *Transport) Shed() bool {
	t.mu.Lock()
	n := (len(t.idle) + 1) / 2
	old := slices.Clone(t.idle[:n])
	t.idle = slices.Delete(t.idle, 0, n)
	t.mu.Unlock()
	for _, s := range old {
		t.drop(s)
	}
	return n > 0
}

// Idle is the number of connections kept for reuse.
func (t *Transport) Idle() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.idle)
}

// Close closes the idle connections now and lent ones when they are released.
// Opening fails from now on.
func (t *Transport) Close() {
	t.mu.Lock()
	idle := t.idle
	t.idle, t.closed = nil, true
	if t.sweep != nil {
		t.sweep.Stop()
		t.sweep = nil
	}
	t.mu.Unlock()
	for _, s := range idle {
		t.drop(s)
	}
}

// Abort is Close that breaks the lent connections too: their streams fail.
func (t *Transport) Abort() {
	t.Close()
	t.end()
	t.mu.Lock()
	defer t.mu.Unlock()
	for s := range t.all {
		s.conn.Net().Close()
	}
}

// Aborted says whether Abort was called.
func (t *Transport) Aborted() bool { return t.life.Err() != nil }
