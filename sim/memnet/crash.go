package memnet

import (
	"cmp"
	"slices"
)

// Crash ends a host as a process that is killed: its connections are reset, its
// listeners gone, and it reaches nobody any more, until the fault ends. Its connections
// have met it.
func (n *Network) Crash(h *Host) *Fault {
	f := &Fault{}
	f.end = func() { h.crashed.CompareAndSwap(f, nil) }
	h.crashed.Store(f)
	n.mu.Lock()
	var open []*listener
	for _, l := range h.listeners {
		open = append(open, l)
	}
	n.mu.Unlock()
	slices.SortFunc(open, func(a, b *listener) int { return cmp.Compare(a.address.Port, b.address.Port) })
	for _, l := range open {
		l.Close()
	}
	for _, p := range n.pairs(func(p *pair) bool { return p.near.host == h || p.far.host == h }) {
		for _, c := range []*conn{&p.near, &p.far} {
			if c.host == h && !c.closed.Load() {
				c.reset()
				f.touched.Add(1)
			}
		}
	}
	return f
}
