package memnet

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Options are what a network is like. The zero value is a data centre.
type Options struct {
	Seed uint64
	// Least and Most bound the latency, one way; both 0: 100 µs to 300 µs.
	Least, Most time.Duration
	// Bandwidth is bytes a second, of each connection each way; 0: no bound.
	Bandwidth int64
	// Window is how many bytes of a connection, each way, may be on their way or wait to
	// be read; 0: 64 KiB.
	Window int
	// Backlog is how many connections may wait to be accepted; 0: 1024.
	Backlog int
}

// Network is hosts and what is between them. Its methods may be called by any
// goroutine.
type Network struct {
	o     Options
	epoch time.Time

	instants instants

	mu    sync.Mutex
	hosts map[string]*Host
	at    map[netip.AddrPort]*Host // port 0: every one that is nobody else's
	conns map[uint64]*pair         // that have an end open
	dials uint64
	cuts  []*cut
	cutN  atomic.Int32 // len(cuts)
	ends  atomic.Int64 // ends of connections that are not closed
	sent  atomic.Int64 // packets
}

// New returns a network without hosts.
func New(o Options) *Network {
	if o.Least == 0 && o.Most == 0 {
		o.Least, o.Most = 100*time.Microsecond, 300*time.Microsecond
	}
	if o.Window == 0 {
		o.Window = 64 << 10
	}
	if o.Backlog == 0 {
		o.Backlog = 1024
	}
	return &Network{o: o, epoch: time.Now(), hosts: map[string]*Host{}, at: map[netip.AddrPort]*Host{}, conns: map[uint64]*pair{}}
}

// Host is the host of a name, which is made, with an address, the first time. A name
// and an address belong together for good.
func (n *Network) Host(name string, address netip.Addr) *Host {
	return n.Process(name, netip.AddrPortFrom(address, 0))
}

// Process is like Host, but has one port alone of its address; the others may be of
// others, that fail by themselves.
func (n *Network) Process(name string, at netip.AddrPort) *Host {
	n.mu.Lock()
	defer n.mu.Unlock()
	if h := n.hosts[name]; h != nil {
		return h
	}
	h := &Host{net: n, Name: name, Addr: at.Addr(), listeners: map[uint16]*listener{}}
	n.hosts[name], n.at[at] = h, h
	return h
}

// whose is who has an address; nil: nobody.
func (n *Network) whose(at netip.AddrPort) *Host {
	n.mu.Lock()
	defer n.mu.Unlock()
	if h := n.at[at]; h != nil {
		return h
	}
	return n.at[netip.AddrPortFrom(at.Addr(), 0)]
}

// latency of a packet; direction 0 is that of whoever dialed.
func (n *Network) latency(id, direction, packet uint64) int64 {
	spread := uint64(max(0, n.o.Most-n.o.Least))
	if spread == 0 {
		return int64(n.o.Least)
	}
	x := mix(mix(mix(n.o.Seed^id)+direction) + packet)
	return int64(n.o.Least) + int64(x%spread)
}

// mix is splitmix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Packets is how many have been sent, handshakes left out.
func (n *Network) Packets() int64 { return n.sent.Load() }

// Open is how many ends of connections are not closed.
func (n *Network) Open() int { return int(n.ends.Load()) }

// Left tells of each end of a connection that is open, and of each listener, in a fixed
// order.
func (n *Network) Left() []string {
	var left []string
	for _, p := range n.pairs(func(*pair) bool { return true }) {
		for _, c := range []*conn{&p.near, &p.far} {
			if !c.closed.Load() {
				left = append(left, fmt.Sprintf("a connection of %s from %s to %s", c.host.Name, c.local, c.remote))
			}
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	var listeners []string
	for _, h := range n.hosts {
		for port := range h.listeners {
			listeners = append(listeners, fmt.Sprintf("a listener of %s on port %d", h.Name, port))
		}
	}
	slices.Sort(listeners)
	return append(left, listeners...)
}

// pairs returns the connections that are so, in the order in which they were made.
func (n *Network) pairs(are func(*pair) bool) []*pair {
	n.mu.Lock()
	var all []*pair
	for _, p := range n.conns {
		if are(p) {
			all = append(all, p)
		}
	}
	n.mu.Unlock()
	slices.SortFunc(all, func(a, b *pair) int { return cmp.Compare(a.number, b.number) })
	return all
}

func (n *Network) forget(number uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.conns, number)
}
