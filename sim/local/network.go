package local

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go-loadbalancer/sim/scenario"
	"go-loadbalancer/sim/stage"
)

// network is a ground of real sockets.
type network struct {
	number  string // of the run
	options Options
	s       *scenario.Scenario
	held    bool          // bytes may have to be held back on the way to endpoints
	sources bool          // clients have addresses of their own
	nobody  *unheard      // who refuses
	gate    *gate         // of relays
	over    chan struct{} // closed when the run is given up
	running sync.WaitGroup

	mu     sync.Mutex
	given  bool // up
	hosts  map[string]*host
	at     map[netip.AddrPort]*host // port 0: every one that is nobody else's
	conns  map[*conn]struct{}
	relays map[*relay]struct{}
	cuts   []*cut
}

func newNetwork(s *scenario.Scenario, o Options, number string) (n *network, err error) {
	n = &network{
		number: number, options: o, s: s, over: make(chan struct{}), hosts: map[string]*host{}, at: map[netip.AddrPort]*host{},
		conns: map[*conn]struct{}{}, relays: map[*relay]struct{}{},
	}
	for i := range s.Timeline {
		f := &s.Timeline[i]
		n.held = n.held || f.Blackhole || f.Partitioned || f.Slow > 0
	}
	if l, err := net.Listen("tcp4", source(firstClient).String()+":0"); err == nil {
		l.Close()
		n.sources = true
	}
	if n.nobody, err = newUnheard(); err != nil {
		return nil, err
	}
	if n.gate, err = newGate(); err != nil {
		n.nobody.close()
		return nil, err
	}
	return n, nil
}

func (n *network) Stage() string { return Stage }

func (n *network) Clock() stage.Clock { return clock{} }

// clock is the real one, which has instants enough for everybody.
type clock struct{}

func (clock) Round(t time.Time) time.Time { return t }
func (clock) Sleep(d time.Duration)       { time.Sleep(d) }

func (n *network) Host(name string, at netip.AddrPort) stage.Host {
	n.mu.Lock()
	defer n.mu.Unlock()
	if h := n.hosts[name]; h != nil {
		return h
	}
	h := &host{net: n, name: name, address: at.Addr(), relayed: n.held && at.Port() != 0, listeners: map[uint16]*listener{}}
	n.hosts[name], n.at[at] = h, h
	return h
}

// whose is who has an address; nil: nobody. The network's lock is held.
func (n *network) whose(at netip.AddrPort) *host {
	if h := n.at[at]; h != nil {
		return h
	}
	return n.at[netip.AddrPortFrom(at.Addr(), 0)]
}

func (n *network) Cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.given {
		return
	}
	n.given = true
	close(n.over)
	for _, h := range n.hosts {
		h.silence()
	}
	for r := range n.relays {
		r.abort()
	}
	for c := range n.conns {
		c.reset()
	}
}

const (
	// settled is how long what ends by itself is given in the end: what go-redis leaves
	// behind sleeps for a second.
	settled = 3 * time.Second
	// pace is the pause between two looks.
	pace = 10 * time.Millisecond
)

func (n *network) Left() (left []string) {
	for end := time.Now().Add(settled); ; time.Sleep(pace) {
		left = append(n.left(), goroutines(n.number)...)
		if len(left) == 0 || time.Now().After(end) {
			return left
		}
	}
}

// left are the connections and listeners that are open.
func (n *network) left() (left []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.conns {
		left = append(left, fmt.Sprintf("a connection of %s, %s to %s", c.host.name, c.LocalAddr(), c.RemoteAddr()))
	}
	for r := range n.relays {
		left = append(left, fmt.Sprintf("a relay from %s to %s", r.from.name, r.to.name))
	}
	for _, h := range n.hosts {
		for port := range h.listeners {
			left = append(left, fmt.Sprintf("a listener of %s on port %d", h.name, port))
		}
	}
	slices.Sort(left)
	return left
}

// close closes all that is left.
func (n *network) close() {
	n.Cut()
	n.running.Wait()
	n.gate.close()
	n.nobody.close()
}

// unheard is an address of this machine that is taken, and at which nobody listens.
type unheard struct {
	address string
	socket  int
	closed  atomic.Bool
}

func newUnheard() (*unheard, error) {
	fail := func(err error) (*unheard, error) {
		return nil, fmt.Errorf("no port can be had of 127.0.0.1: %w", err)
	}
	syscall.ForkLock.RLock()
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(socket)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return fail(err)
	}
	err = syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	if err == nil {
		var at syscall.Sockaddr
		if at, err = syscall.Getsockname(socket); err == nil {
			return &unheard{address: fmt.Sprintf("127.0.0.1:%d", at.(*syscall.SockaddrInet4).Port), socket: socket}, nil
		}
	}
	syscall.Close(socket)
	return fail(err)
}

func (u *unheard) close() {
	if !u.closed.Swap(true) {
		syscall.Close(u.socket)
	}
}
