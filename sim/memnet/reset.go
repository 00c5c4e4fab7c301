package memnet

import "syscall"

// Reset breaks every connection of a host, both ends, as a firewall that forgets them
// does, and returns how many there were.
func (n *Network) Reset(h *Host) int {
	all := n.pairs(func(p *pair) bool { return p.near.host == h || p.far.host == h })
	for _, p := range all {
		for _, s := range []*stream{&p.up, &p.down} {
			s.end(syscall.ECONNRESET, 0)
			s.fail(syscall.ECONNRESET)
		}
	}
	return len(all)
}

// reset closes this end at once, and tells the other one so.
func (c *conn) reset() {
	c.once.Do(func() {
		c.out.end(syscall.ECONNRESET, 0)
		c.in.fail(syscall.ECONNRESET)
		c.quit()
	})
}
