package memnet

import "slices"

// Partition swallows all that goes between a host and each of the others, either way,
// as [Network.Blackhole] does.
func (n *Network) Partition(h *Host, others []*Host) *Fault {
	others = slices.Clone(others)
	return n.cut(func(a, b *Host) bool {
		return a == h && slices.Contains(others, b) || b == h && slices.Contains(others, a)
	})
}

// cut is where nothing gets through.
type cut struct {
	*Fault
	between func(a, b *Host) bool
}

// resend is the longest it takes after a cut until what was held back is sent again.
const resend = 200_000_000

func (n *Network) cut(between func(a, b *Host) bool) *Fault {
	c := &cut{&Fault{}, between}
	c.end = func() {
		n.mu.Lock()
		for i := range n.cuts {
			if n.cuts[i] == c {
				n.cuts = append(n.cuts[:i:i], n.cuts[i+1:]...)
				break
			}
		}
		n.cutN.Store(int32(len(n.cuts)))
		n.mu.Unlock()
		for _, p := range n.pairs(func(p *pair) bool { return between(p.near.host, p.far.host) }) {
			if !n.isCut(p.near.host, p.far.host) {
				p.up.heal()
				p.down.heal()
			}
		}
	}
	n.mu.Lock()
	n.cuts = append(n.cuts, c)
	n.cutN.Store(int32(len(n.cuts)))
	n.mu.Unlock()
	for _, p := range n.pairs(func(p *pair) bool { return between(p.near.host, p.far.host) }) {
		c.touched.Add(int64(p.up.hold() + p.down.hold()))
	}
	return c.Fault
}

// isCut says whether nothing gets from one host to another, and counts that.
func (n *Network) isCut(a, b *Host) bool {
	if n.cutN.Load() == 0 {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.cuts {
		if c.between(a, b) {
			c.touched.Add(1)
			return true
		}
	}
	return false
}

// hold keeps what is on its way from arriving.
func (s *stream) hold() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.net.now()
	for i := s.first; i < len(s.queue); i++ {
		if s.queue[i].at > now {
			s.queue[i].at = never
			n++
		}
	}
	return n
}

// heal sends again what was held back, in order.
func (s *stream) heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.net.now()
	pause := int64(mix(s.net.o.Seed^s.id*2+s.direction) % resend)
	for i := s.first; i < len(s.queue); i++ {
		if s.queue[i].at == never {
			s.queue[i].at = s.net.claim(max(now+pause+s.latency(s.packets), s.last+1))
			s.last = s.queue[i].at
			s.packets++
		}
	}
	s.reader.wake(s, now)
}
