package outagetest

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// network is TCP in memory, as far as a proxy can tell the difference: latency,
// windows, FIN, RST, refusal and silence. All waits are on channels and timers,
// so that it runs in virtual time.
type network struct {
	seed        uint64
	least, most time.Duration // latency, one way

	mu        sync.Mutex
	listeners map[string]*listener
	silent    map[string]bool // addresses that swallow every attempt to connect
	dials     uint64
	ends      atomic.Int64 // ends of connections that are not closed
}

func newNetwork(seed uint64, least, most time.Duration) *network {
	return &network{seed: seed, least: least, most: most, listeners: map[string]*listener{}, silent: map[string]bool{}}
}

// backlog is how many connections may wait to be accepted.
const backlog = 1024

// listener is an address that is listened on.
type listener struct {
	net     *network
	address net.TCPAddr
	come    chan *conn
	closed  chan struct{}
	once    sync.Once
}

// listen opens an address; EADDRINUSE if it is open already.
func (n *network) listen(_ context.Context, _, address string) (net.Listener, error) {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	l := &listener{net: n, address: *net.TCPAddrFromAddrPort(ap), come: make(chan *conn, backlog), closed: make(chan struct{})}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[address] != nil {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: &l.address, Err: syscall.EADDRINUSE}
	}
	n.listeners[address] = l
	return l, nil
}

func (l *listener) Addr() net.Addr { return &l.address }

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.come:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close resets what was not accepted yet, as a kernel does.
func (l *listener) Close() error {
	l.once.Do(func() {
		l.net.mu.Lock()
		delete(l.net.listeners, l.address.String())
		l.net.mu.Unlock()
		close(l.closed)
		for {
			select {
			case c := <-l.come:
				c.reset()
			default:
				return
			}
		}
	})
	return nil
}

// dial connects from some address. It hangs until ctx ends if nobody answers.
func (n *network) dial(ctx context.Context, network, address string) (net.Conn, error) {
	n.mu.Lock()
	n.dials++
	number := n.dials
	n.mu.Unlock()
	fail := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	timer := time.NewTimer(n.latency(number, 0, 0) + n.latency(number, 1, 0))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return fail(ctx.Err())
	}
	n.mu.Lock()
	l, silent := n.listeners[address], n.silent[address]
	n.mu.Unlock()
	if l == nil && !silent {
		return fail(syscall.ECONNREFUSED)
	}
	if !silent {
		local := &net.TCPAddr{IP: net.IPv4(10, 255, byte(number>>16), byte(number>>8)), Port: 1024 + int(number%50_000)}
		near, far := n.pair(number, local, &l.address)
		select {
		case <-l.closed:
			near.Close()
			far.Close()
			return fail(syscall.ECONNREFUSED)
		default:
		}
		select {
		case l.come <- far:
			return near, nil
		default: // the backlog is full: not even an answer
			near.Close()
			far.Close()
		}
	}
	<-ctx.Done()
	return fail(ctx.Err())
}

// silence makes an address swallow attempts to connect, or no longer.
func (n *network) silence(address string, silent bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.silent[address] = silent
}

// latency is drawn from what it is for, and so is the same whatever else
// happens on the network.
func (n *network) latency(conn, direction, packet uint64) time.Duration {
	if n.most <= n.least {
		return n.least
	}
	x := mix(mix(mix(n.seed^conn)+direction) + packet)
	return n.least + time.Duration(x%uint64(n.most-n.least))
}

// mix is splitmix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// pair returns the two ends of a connection.
func (n *network) pair(number uint64, near, far *net.TCPAddr) (a, b *conn) {
	up := &stream{latency: func(packet uint64) time.Duration { return n.latency(number, 0, packet) }}
	down := &stream{latency: func(packet uint64) time.Duration { return n.latency(number, 1, packet) }}
	a = &conn{net: n, local: near, remote: far, in: down, out: up}
	b = &conn{net: n, local: far, remote: near, in: up, out: down}
	n.ends.Add(2)
	return a, b
}

// conn is one end of a connection.
type conn struct {
	net           *network
	local, remote *net.TCPAddr
	in, out       *stream
	abrupt        atomic.Bool
	once          sync.Once
}

func (c *conn) LocalAddr() net.Addr                { return c.local }
func (c *conn) RemoteAddr() net.Addr               { return c.remote }
func (c *conn) Read(p []byte) (int, error)         { return c.in.read(p) }
func (c *conn) SetReadDeadline(t time.Time) error  { return c.in.setDeadline(&c.in.readBy, t) }
func (c *conn) SetWriteDeadline(t time.Time) error { return c.out.setDeadline(&c.out.writeBy, t) }

func (c *conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

func (c *conn) Write(p []byte) (int, error) {
	n, answer, err := c.out.write(p)
	if !answer.IsZero() {
		// The other end was closed: its kernel answers with a reset.
		c.in.end(syscall.ECONNRESET, answer)
	}
	return n, err
}

// CloseWrite sends a FIN.
func (c *conn) CloseWrite() error { return c.out.finish() }

// taken is how many of the bytes that were written the other end has read.
func (c *conn) taken() int64 {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	return c.out.taken
}

// Close sends a FIN or, if not all that came was read, a reset.
func (c *conn) Close() error {
	if c.abrupt.Load() || c.in.unread() {
		c.reset()
		return nil
	}
	c.once.Do(func() {
		c.out.finish()
		c.in.quit(true)
		c.out.quit(false)
		c.net.ends.Add(-1)
	})
	return nil
}

// SetLinger makes Close a reset, if it is 0.
func (c *conn) SetLinger(seconds int) error {
	c.abrupt.Store(seconds == 0)
	return nil
}

// reset closes the connection at once, and tells the other end so.
func (c *conn) reset() {
	c.once.Do(func() {
		c.out.end(syscall.ECONNRESET, time.Time{})
		c.in.fail(syscall.ECONNRESET)
		c.in.quit(true)
		c.out.quit(false)
		c.net.ends.Add(-1)
	})
}

// Readable says whether a read would not wait: bytes, or the end, have come. What
// asks before it writes finds a kept connection that was closed meanwhile, as it
// would on a socket by peeking.
func (c *conn) Readable() bool { return c.in.arrived() }
