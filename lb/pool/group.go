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
	delta := int32(1)
	if healthy {
		e.flags.And(^unhealthy)
		delta = -1
	} else {
		e.flags.Or(unhealthy)
	}
	if e.counted {
		g.unhealthy.Add(delta)
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
