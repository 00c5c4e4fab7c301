package local

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go-loadbalancer/sim/stage"
)

// fault is something that is wrong until it is ended.
type fault struct {
	touched atomic.Int64
	once    sync.Once
	end     func()
}

func (f *fault) Touched() int { return int(f.touched.Load()) }
func (f *fault) End()         { f.once.Do(f.end) }

func (h *host) Refuse() stage.Fault {
	f := &fault{}
	before := h.refusing.Swap(f)
	f.end = func() { h.refusing.CompareAndSwap(f, before) }
	return f
}

func (h *host) Slow(d time.Duration) stage.Fault {
	f := &fault{end: func() { h.delay.Add(-int64(d)) }}
	h.slow.Store(f)
	h.delay.Add(int64(d))
	return f
}

func (h *host) Crash() stage.Fault {
	f := &fault{}
	f.end = func() { h.crashed.CompareAndSwap(f, nil) }
	h.crashed.Store(f)
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	h.silence()
	f.touched.Add(int64(h.breakAll()))
	return f
}

func (h *host) Reset() int {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	return h.breakAll()
}

// breakAll resets all connections of a host, and says how many there were. The network's
// lock is held.
func (h *host) breakAll() int {
	ends, relays := h.open()
	for _, r := range relays {
		r.abort()
	}
	for _, c := range ends {
		c.reset()
	}
	return max(len(ends), len(relays)) // what is relayed to it may have an end here too
}

// open are a host's connections. The network's lock is held.
func (h *host) open() (ends []*conn, relays []*relay) {
	for r := range h.net.relays {
		if r.from == h || r.to == h {
			relays = append(relays, r)
		}
	}
	for c := range h.net.conns {
		if c.host == h {
			ends = append(ends, c)
		}
	}
	return ends, relays
}

// cut is where nothing gets through.
type cut struct {
	*fault
	of     *host
	from   []*host       // nil: everybody
	healed chan struct{} // closed when it ends
}

// is says whether nothing gets from one to another, either way.
func (c *cut) is(a, b *host) bool {
	reaches := func(h, other *host) bool { return h == c.of && (c.from == nil || slices.Contains(c.from, other)) }
	return reaches(a, b) || reaches(b, a)
}

// between is what keeps two from one another; nil: nothing. The network's lock is held.
func (n *network) between(a, b *host) *cut {
	for _, c := range n.cuts {
		if c.is(a, b) {
			return c
		}
	}
	return nil
}

func (h *host) Blackhole() stage.Fault { return h.cut(nil) }

func (h *host) Partition(others []stage.Host) stage.Fault {
	from := []*host{}
	for _, o := range others {
		from = append(from, o.(*host))
	}
	return h.cut(from)
}

func (h *host) cut(from []*host) *fault {
	n := h.net
	c := &cut{fault: &fault{}, of: h, from: from, healed: make(chan struct{})}
	c.end = func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.cuts = slices.DeleteFunc(n.cuts, func(o *cut) bool { return o == c })
		close(c.healed)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cuts = append(n.cuts, c)
	return c.fault
}
