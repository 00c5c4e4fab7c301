package memnet

import (
	"sync"
	"time"
)

// instants are those that are taken. Of two that are as far apart as the table is long
// it forgets the first, which is one more coincidence in thousands of thousands.
type instants struct {
	mu    sync.Mutex
	taken [1 << 14]int64
}

// claim is the first instant, not before at, that nobody has. Both count from the
// network's beginning, in nanoseconds.
func (n *Network) claim(at int64) int64 {
	t := &n.instants
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.taken[at&(1<<14-1)] == at {
		at++
	}
	t.taken[at&(1<<14-1)] = at
	return at
}

// now is the time since the network's beginning.
func (n *Network) now() int64 { return int64(time.Since(n.epoch)) }

func (n *Network) sleep(d time.Duration) {
	now := n.now()
	time.Sleep(time.Duration(n.claim(now+max(int64(d), 1)) - now))
}

// Clock is for somebody who is no connection: what generates load, say.
type Clock struct{ net *Network }

// Clock returns a clock.
func (n *Network) Clock() Clock { return Clock{n} }

// Sleep sleeps for d, and a nanosecond or so more if something else happens then.
func (c Clock) Sleep(d time.Duration) { c.net.sleep(d) }

// Round is the first instant, not before t, at which nothing else happens, and takes it.
func (c Clock) Round(t time.Time) time.Time {
	return c.net.epoch.Add(time.Duration(c.net.claim(int64(t.Sub(c.net.epoch)))))
}
