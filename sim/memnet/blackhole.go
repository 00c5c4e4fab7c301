package memnet

// Blackhole swallows all that goes to a host and comes from it, as when its cable is
// pulled: nobody is told. What was sent meanwhile comes when it ends, as TCP sends it
// again and again.
func (n *Network) Blackhole(h *Host) *Fault {
	return n.cut(func(a, b *Host) bool { return a == h || b == h })
}
