package server

import "net/netip"

// crowd counts open connections by where they come from. It holds an entry for
// each origin that has one open, and no other.
type crowd map[netip.Addr]int

// origin is what counts as one address: an IPv4 address, or an IPv6 network of
// 64 bits, all of whose addresses a single client may use at will (RFC 4291
// section 2.5.4, RFC 8981).
func origin(a netip.Addr) netip.Addr {
	if !a.Is6() {
		return a
	}
	network, _ := a.Prefix(64)
	return network.Addr()
}

func (c crowd) leave(origin netip.Addr) {
	if n := c[origin]; n > 1 {
		c[origin] = n - 1
	} else {
		delete(c, origin)
	}
}

// exempt reports whether the peer may have any number of connections: it stands
// for many clients, or its address is not known.
func (s *Settings) exempt(peer netip.Addr) bool {
	if !peer.IsValid() || peer.IsUnspecified() {
		return true
	}
	for _, proxies := range s.TrustedProxies {
		if proxies.Contains(peer) {
			return true
		}
	}
	return false
}
