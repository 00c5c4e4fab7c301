package memnet

import (
	"maps"
	"sync"
	"time"
)

// instants are those that are taken, and have not gone by.
type instants struct {
	mu    sync.Mutex
	taken map[int64]bool
	most  int // so many are taken before those are looked for that have gone by
}

// fewInstants is how many may be taken without a look for those that have gone by.
const fewInstants = 1 << 12

// claim is the first instant, not before at, that nobody has. Both count from the
// network's beginning, in nanoseconds. None is ever given twice.
func (n *Network) claim(at int64) int64 {
	now := n.now()
	t := &n.instants
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.taken == nil {
		t.taken, t.most = map[int64]bool{}, fewInstants
	}
	if len(t.taken) >= t.most {
		maps.DeleteFunc(t.taken, func(at int64, _ bool) bool { return at < now })
		t.most = max(fewInstants, 2*len(t.taken))
	}
	for t.taken[at] {
		at++
	}
	t.taken[at] = true
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
