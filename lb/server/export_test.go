package server

import "net/netip"

// Origins is how many addresses are counted.
func (s *Server) Origins() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.crowd)
}

// NewCrowd returns what counts a connection that comes and another that goes.
func NewCrowd() func(comes, goes netip.Addr) {
	c := crowd{}
	return func(comes, goes netip.Addr) {
		c[origin(comes)]++
		c.leave(origin(goes))
	}
}
