package memnet

// Refuse has a host refuse every connection from now on. Those it has go on.
func (n *Network) Refuse(h *Host) *Fault {
	f := &Fault{}
	before := h.refusing.Swap(f)
	f.end = func() { h.refusing.CompareAndSwap(f, before) }
	return f
}
