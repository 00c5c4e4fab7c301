package memnet

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"
)

// Host is somebody on the network, with one address.
type Host struct {
	net  *Network
	Name string
	Addr netip.Addr

	listeners map[uint16]*listener // the network's lock is held
	crashed   atomic.Pointer[Fault]
	delay     atomic.Int64 // of each packet that leaves it, beyond the latency
	slow      atomic.Pointer[Fault]
	refusing  atomic.Pointer[Fault]
}

// Listen opens a port of the host, which is all that counts of the address: a name, or
// none, is the host itself. It fails with EADDRINUSE if it is open already.
func (h *Host) Listen(_ context.Context, network, address string) (net.Listener, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	number, err := net.LookupPort(network, port)
	if err != nil {
		return nil, err
	}
	at := net.TCPAddrFromAddrPort(netip.AddrPortFrom(h.Addr, uint16(number)))
	l := &listener{host: h, address: at, come: make(chan *conn, h.net.o.Backlog), closed: make(chan struct{})}
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	if h.listeners[uint16(number)] != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: at, Err: syscall.EADDRINUSE}
	}
	h.listeners[uint16(number)] = l
	return l, nil
}

// errCrashed is what happens to a host that is no more.
var errCrashed = errors.New("the host that dials has crashed")

// firstRetry is when an attempt to connect that was not answered is made again; the
// pause doubles each time.
const firstRetry = time.Second

// Dial connects to an address, whose host must be an IP address. It fails at once where
// nobody listens, and otherwise when ctx ends.
func (h *Host) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	fail := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fail(err)
	}
	n := h.net
	n.mu.Lock()
	n.dials++
	number := n.dials
	n.mu.Unlock()
	id := identity(h.Name, address, n.now())
	trip := n.latency(id, 0, 0) + n.latency(id, 1, 0)
	for wait, pause := trip, firstRetry; ; wait, pause = int64(pause), 2*pause {
		if !n.rest(ctx, wait) {
			return fail(ctx.Err())
		}
		if h.crashed.Load() != nil {
			return fail(errCrashed)
		}
		there := n.whose(to)
		if n.isCut(h, there) {
			continue // not even an answer
		}
		if c, err := h.connect(there, to, number, id); c != nil || err != nil {
			if err != nil {
				return fail(err)
			}
			return c, nil
		}
	}
}

// rest waits, but no longer than ctx lasts.
func (n *Network) rest(ctx context.Context, d int64) bool {
	now := n.now()
	timer := time.NewTimer(time.Duration(n.claim(now+d) - now))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// connect is what a host does with an attempt to connect to it. Neither connection nor
// error: nothing, as its backlog is full.
func (h *Host) connect(there *Host, to netip.AddrPort, number, id uint64) (net.Conn, error) {
	n := h.net
	if there == nil {
		return nil, syscall.ECONNREFUSED
	}
	for _, f := range []*Fault{there.crashed.Load(), there.refusing.Load()} {
		if f != nil {
			f.touched.Add(1)
			return nil, syscall.ECONNREFUSED
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	l := there.listeners[to.Port()]
	if l == nil {
		return nil, syscall.ECONNREFUSED
	}
	p := n.newPair(number, h, there, to.Port(), id)
	select {
	case l.come <- &p.far:
	default:
		return nil, nil
	}
	n.conns[number] = p
	n.ends.Add(2)
	return &p.near, nil
}
