package memnet

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// pair is a connection.
type pair struct {
	number    uint64
	up, down  stream // from who dialed, and to him
	near, far conn
	open      atomic.Int32 // ends
}

// ports are for whoever dials.
const firstPort, ports = 20_000, 40_000

func (n *Network) newPair(number uint64, from, to *Host, port uint16, id uint64) *pair {
	p := &pair{number: number}
	here := net.TCPAddrFromAddrPort(netip.AddrPortFrom(from.Addr, uint16(firstPort+id%ports)))
	there := net.TCPAddrFromAddrPort(netip.AddrPortFrom(to.Addr, port))
	p.up.open(n, id, 0, from, to)
	p.down.open(n, id, 1, to, from)
	p.near = conn{pair: p, host: from, local: here, remote: there, in: &p.down, out: &p.up}
	p.far = conn{pair: p, host: to, local: there, remote: here, in: &p.up, out: &p.down}
	p.open.Store(2)
	return p
}

// conn is one end of a connection.
type conn struct {
	pair          *pair
	host          *Host
	local, remote *net.TCPAddr
	in, out       *stream
	abrupt        atomic.Bool
	closed        atomic.Bool
	once          sync.Once
}

func (c *conn) LocalAddr() net.Addr                { return c.local }
func (c *conn) RemoteAddr() net.Addr               { return c.remote }
func (c *conn) Read(p []byte) (int, error)         { return c.in.read(p) }
func (c *conn) SetReadDeadline(t time.Time) error  { c.in.setDeadline(&c.in.reader, t); return nil }
func (c *conn) SetWriteDeadline(t time.Time) error { c.out.setDeadline(&c.out.writer, t); return nil }

func (c *conn) SetDeadline(t time.Time) error {
	c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

// Sleep sleeps for d, and a nanosecond or so more if something else happens then.
func (c *conn) Sleep(d time.Duration) { c.host.net.sleep(d) }

func (c *conn) Write(p []byte) (int, error) {
	n, answer, err := c.out.write(p)
	if answer != 0 {
		// The other end was closed: its kernel answers with a reset.
		c.in.end(syscall.ECONNRESET, answer)
	}
	return n, err
}

// CloseWrite sends a FIN.
func (c *conn) CloseWrite() error { return c.out.finish() }

// Close sends a FIN or, if not all that came was read, a reset.
func (c *conn) Close() error {
	if c.abrupt.Load() || c.in.unread() {
		c.reset()
		return nil
	}
	c.once.Do(func() {
		c.out.finish()
		c.quit()
	})
	return nil
}

// SetLinger makes Close a reset, if it is 0.
func (c *conn) SetLinger(seconds int) error {
	c.abrupt.Store(seconds == 0)
	return nil
}

// Readable says whether a read would not wait: bytes, or the end, have come. What
// asks before it writes finds a kept connection that was closed meanwhile, as it
// would on a socket by peeking.
func (c *conn) Readable() bool { return c.in.arrived() }

// Unread says, once a read has found the end, whether the other end was closed before it
// read any of the last n bytes written, as it would show on a socket by what a reset
// leaves unacknowledged.
func (c *conn) Unread(n int64) bool { return c.out.missed(n) }

// quit ends this end; the other one learns of it by packets.
func (c *conn) quit() {
	c.in.quit(true)
	c.out.quit(false)
	c.closed.Store(true)
	c.host.net.ends.Add(-1)
	if c.pair.open.Add(-1) == 0 {
		c.host.net.forget(c.pair.number)
	}
}
