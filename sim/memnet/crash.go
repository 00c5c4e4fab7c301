package memnet

// Crash ends a host as a process that is killed: its connections are reset, its
// listeners gone, and it reaches nobody any more. It returns how many connections it
// had.
func (n *Network) Crash(h *Host) int {
	h.crashed.Store(true)
	n.mu.Lock()
	var open []*listener
	for port := range h.listeners {
		open = append(open, h.listeners[port])
	}
	n.mu.Unlock()
	for _, l := range open {
		l.Close()
	}
	ends := 0
	for _, p := range n.pairs(func(p *pair) bool { return p.near.host == h || p.far.host == h }) {
		for _, c := range []*conn{&p.near, &p.far} {
			if c.host == h && !c.closed.Load() {
				c.reset()
				ends++
			}
		}
	}
	return ends
}

// Revive lets a host that has crashed listen and dial again.
func (n *Network) Revive(h *Host) { h.crashed.Store(false) }
