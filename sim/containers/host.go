//go:build !image

package containers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"go-loadbalancer/sim/stage"
)

// host is somebody with an address of the scenario: a client, a balancer, a backend or
// Redis.
type host struct {
	g       *ground
	name    string
	address netip.Addr
	backend *backend // nil: it is none
	redis   *redis   // the same
}

func (g *ground) host(name string, at netip.AddrPort) *host {
	g.mu.Lock()
	defer g.mu.Unlock()
	h := g.hosts[name]
	if h == nil {
		h = &host{g: g, name: name, address: at.Addr()}
		g.hosts[name] = h
	}
	return h
}

func (g *ground) Host(name string, at netip.AddrPort) stage.Host { return g.host(name, at) }

func (h *host) Address() netip.Addr { return h.address }

// Listen is for who is in this process, and here nobody is.
func (h *host) Listen(context.Context, string, string) (net.Listener, error) {
	return nil, errors.New("nobody listens in this process")
}

// errOver is what happens once the run is given up.
var errOver = errors.New("the run is given up")

// conn is a connection of a client.
type conn struct {
	*net.TCPConn
	g       *ground
	replica int
}

// Dial connects a client to a balancer.
func (h *host) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	g := h.g
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	a := to.Addr().As4()
	number := int(a[2])<<8 | int(a[3])
	b := g.balancerOf(number)
	if b == nil {
		return nil, fmt.Errorf("there is no lb/%d", number)
	}
	var dialer net.Dialer
	raw, err := dialer.DialContext(ctx, "tcp4", local(b.ports[to.Port()]))
	if err != nil {
		return nil, err
	}
	c := &conn{raw.(*net.TCPConn), g, number}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.given {
		c.reset()
		return nil, errOver
	}
	g.conns[c] = struct{}{}
	return c, nil
}

func (c *conn) Close() error {
	c.g.mu.Lock()
	delete(c.g.conns, c)
	c.g.mu.Unlock()
	return c.TCPConn.Close()
}

// reset closes it at once. The ground's lock is held.
func (c *conn) reset() {
	delete(c.g.conns, c)
	c.SetLinger(0)
	c.TCPConn.Close()
}

// Readable says whether a read would not wait.
func (c *conn) Readable() bool { return stage.Readable(c.TCPConn) }

// clients are the connections of clients to a balancer.
func (g *ground) clients(number int) (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.conns {
		if c.replica == number {
			n++
		}
	}
	return n
}

// number is a balancer's; 0: it is none.
func (h *host) number() int {
	rest, ok := strings.CutPrefix(h.name, "lb/")
	if !ok {
		return 0
	}
	n, _ := strconv.Atoi(rest)
	return n
}

// fault is something that is wrong with a host.
type fault struct {
	touched func() int
	end     func()
	once    sync.Once
	why     string // it could not be made
}

func (f *fault) Touched() int {
	if f.touched == nil {
		return 0
	}
	return f.touched()
}

func (f *fault) End() {
	if f.end != nil {
		f.once.Do(f.end)
	}
}

// Skipped is why it could not be made; empty: it was.
func (f *fault) Skipped() string { return f.why }

func cannot(format string, args ...any) *fault { return &fault{why: fmt.Sprintf(format, args...)} }

// during is a fault of a time, which touches the attempts of balancers at an address
// that do not go well then; before is how many it touched at once.
func (g *ground) during(at string, replicas []int, before int) *fault {
	begin := time.Now()
	var over time.Time
	f := &fault{}
	f.end = func() { over = time.Now() }
	f.touched = func() int {
		to := over
		if to.IsZero() {
			to = time.Now()
		}
		return before + g.failures(at, replicas, begin, to)
	}
	return f
}

func (h *host) Refuse() stage.Fault {
	if b := h.backend; b != nil {
		return b.refuse()
	}
	return cannot("connections to %s cannot be refused on this stage", h.name)
}

func (h *host) Blackhole() stage.Fault { return h.silence(nil) }

func (h *host) Partition(others []stage.Host) stage.Fault {
	from := []int{}
	for _, o := range others {
		if n := o.(*host).number(); n > 0 {
			from = append(from, n)
		}
	}
	return h.silence(from)
}

// silence drops what goes between it and some balancers, or all there may be if none are
// said.
func (h *host) silence(from []int) stage.Fault {
	g := h.g
	at, id, q, open := "", "", (*queue)(nil), 0
	switch {
	case h.backend != nil:
		at, id, q = h.backend.real.String(), h.backend.container.ID, h.backend.queue
	case h.redis != nil && h.redis.gate != nil:
		at, id, q, open = h.redis.gate.real.String(), h.redis.gate.ID, h.redis.queue, h.redis.open()
	default:
		return cannot("packets to %s cannot be dropped on this stage", h.name)
	}
	if len(from) == 0 {
		for n := range mostBalancers {
			from = append(from, n+1)
		}
	}
	var others []string
	for _, n := range from {
		others = append(others, netip.PrefixFrom(g.place(firstBalancer+n), 32).String())
	}
	f := g.during(at, from, open)
	q.wait(func() {
		if err := g.exec(id, append([]string{"sim", "silence"}, others...)); err != nil {
			f.why = "packets cannot be dropped: " + err.Error()
		}
	})
	over := f.end
	f.end = func() {
		over()
		q.do(func() {
			if err := g.exec(id, append([]string{"sim", "silence", "--end"}, others...)); err != nil {
				g.note("%s: packets are dropped for ever: %v", h.name, err)
			}
		})
	}
	return f
}

func (h *host) Slow(by time.Duration) stage.Fault {
	if h.redis != nil {
		return h.redis.slow(by)
	}
	return cannot("%s cannot be slowed down on this stage: the kernel's part for it is not everywhere", h.name)
}

func (h *host) Crash() stage.Fault {
	switch {
	case h.backend != nil:
		return h.backend.crash()
	case h.number() > 0:
		return h.g.crash(h.number())
	case h.redis != nil:
		return h.redis.crash()
	}
	return &fault{}
}

// Reset is nothing: no scenario can have it be, but of backends, which do it themselves.
func (h *host) Reset() int { return 0 }
