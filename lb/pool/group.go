package pool

import (
	"sync"
	"sync/atomic"

	"go-loadbalancer/lb/event"
)

// group is what is known of a pool's endpoints together, by the pool's name. It
// outlives the policies that name the pool.
type group struct {
	id       event.ID
	inFlight atomic.Int64 // requests, of draining endpoints too

	mu        sync.Mutex
	unhealthy atomic.Int32 // of the endpoints counted; written under mu
}

// setHealthy says whether that was a change.
func (g *group) setHealthy(e *Endpoint, healthy bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if healthy == e.Healthy() {
		return false
	}
	// Meanwhile too many may seem unhealthy, never too few: a pool that is in
	// panic a moment early serves, one that is late refuses.
	if healthy {
		e.flags.And(^unhealthy)
		if e.counted {
			g.unhealthy.Add(-1)
		}
	} else {
		if e.counted {
			g.unhealthy.Add(1)
		}
		e.flags.Or(unhealthy)
	}
	return true
}

// count makes the health of e count, or not.
func (g *group) count(e *Endpoint, counted bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if e.counted == counted {
		return
	}
	e.counted = counted
	switch {
	case e.Healthy():
	case counted:
		g.unhealthy.Add(1)
	default:
		g.unhealthy.Add(-1)
	}
}
