package local

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"
)

// host is somebody with an address of the scenario.
type host struct {
	net     *network
	name    string
	address netip.Addr
	relayed bool // connections to it lead through relays

	listeners map[uint16]*listener // the network's lock is held
	crashed   atomic.Pointer[fault]
	refusing  atomic.Pointer[fault]
	slow      atomic.Pointer[fault]
	delay     atomic.Int64
}

func (h *host) Address() netip.Addr { return h.address }

// listener is a port that is listened on, and where that really is.
type listener struct {
	*net.TCPListener // nil: by somebody else, of another process
	real             string
	host             *host
	port             uint16
}

// errOver is what happens once the run is given up.
var errOver = errors.New("the run is given up")

// anyPort is where listeners are.
const anyPort = "127.0.0.1:0"

// Listen listens on a free port of 127.0.0.1, which is known by the host's address and
// the port that was asked for.
func (h *host) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	number, err := net.LookupPort(network, port)
	if err != nil {
		return nil, err
	}
	var how net.ListenConfig
	how.SetMultipathTCP(false)
	l, err := how.Listen(ctx, "tcp4", anyPort)
	if err != nil {
		return nil, err
	}
	own := &listener{TCPListener: l.(*net.TCPListener), real: l.Addr().String(), host: h, port: uint16(number)}
	if err := h.add(own); err != nil {
		l.Close()
		return nil, &net.OpError{Op: "listen", Net: network, Addr: l.Addr(), Err: err}
	}
	return own, nil
}

// add has a listener be found.
func (h *host) add(l *listener) error {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	switch {
	case h.net.given:
		return errOver
	case h.listeners[l.port] != nil:
		return syscall.EADDRINUSE
	}
	h.listeners[l.port] = l
	return nil
}

// silence closes all listeners. The network's lock is held.
func (h *host) silence() {
	for _, l := range h.listeners {
		if l.TCPListener != nil {
			l.TCPListener.Close()
		}
	}
	clear(h.listeners)
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.AcceptTCP()
	if err != nil {
		return nil, err
	}
	own := &conn{TCPConn: c, host: l.host}
	if err := own.open(); err != nil {
		return nil, err
	}
	return own, nil
}

func (l *listener) Close() error {
	n := l.host.net
	n.mu.Lock()
	if l.host.listeners[l.port] == l {
		delete(l.host.listeners, l.port)
	}
	n.mu.Unlock()
	return l.TCPListener.Close()
}

// firstRetry is when an attempt to connect that nobody answered is made again, as a
// kernel does; the pause doubles each time.
const firstRetry = time.Second

// Dial connects to who has an address.
func (h *host) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	fail := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fail(err)
	}
	n := h.net
	for pause := firstRetry; ; pause *= 2 {
		n.mu.Lock()
		there, real := n.whose(to), n.nobody.address
		hole := n.between(h, there)
		if there != nil && hole == nil {
			if l := there.listeners[to.Port()]; l != nil {
				real = l.real
			}
		}
		n.mu.Unlock()
		if hole == nil {
			c, err := h.connect(ctx, there, real)
			if err != nil {
				return fail(err)
			}
			return c, nil
		}
		hole.touched.Add(1)
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			err = ctx.Err()
		case <-n.over:
			err = errOver
		}
		timer.Stop()
		if err != nil {
			return fail(err)
		}
	}
}

// connect connects to who is at a real address.
func (h *host) connect(ctx context.Context, there *host, real string) (net.Conn, error) {
	n := h.net
	if h.crashed.Load() != nil {
		return nil, errCrashed
	}
	if there != nil {
		for _, f := range []*fault{there.crashed.Load(), there.refusing.Load()} {
			if f != nil {
				f.touched.Add(1)
				real = n.nobody.address
				break
			}
		}
	}
	var dialer net.Dialer
	if n.sources && fromClient(h.address) {
		dialer.LocalAddr = &net.TCPAddr{IP: source(h.address).AsSlice()}
	}
	raw, err := dialer.DialContext(ctx, "tcp4", real)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err // the caller says it in the scenario's addresses
		}
		return nil, err
	}
	c := raw.(*net.TCPConn)
	if there.relayed {
		if c, err = n.relay(ctx, h, there, c); err != nil {
			return nil, err
		}
	}
	own := &conn{TCPConn: c, host: h}
	if err := own.open(); err != nil {
		return nil, err
	}
	return own, nil
}

// firstClient is before the addresses of clients, and source one of the loopback
// network's for each.
var firstClient = netip.MustParseAddr("198.19.0.0")

func fromClient(a netip.Addr) bool {
	return a.Is4() && netip.PrefixFrom(firstClient, 16).Contains(a)
}

func source(a netip.Addr) netip.Addr {
	b := a.As4()
	return netip.AddrFrom4([4]byte{127, 19, b[2], max(1, b[3])})
}
