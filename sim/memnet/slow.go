package memnet

import "time"

// Slow has all bytes that leave a host come later by d.
func (n *Network) Slow(h *Host, d time.Duration) *Fault {
	f := &Fault{end: func() { h.delay.Add(-int64(d)) }}
	h.slow.Store(f)
	h.delay.Add(int64(d))
	return f
}
