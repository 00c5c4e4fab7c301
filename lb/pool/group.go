package pool

import (
	"sync"
	"sync/atomic"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/upstream"
)

// group is what is known of a pool's endpoints together, by the pool's name. It
// outlives the policies that name the pool.
type group struct {
	id     event.ID
	name   string
	events *event.Listener
	gate   *upstream.Gate // caps the connections

	// Read with each request, and seldom written.
	limit     atomic.Int64 // of inFlight
	queue     queue
	pending   pending
	lodging   lodging
	panicking atomic.Bool // what picking obeys

	_         [64]byte     // what changes with each request: a cache line of its own
	inFlight  atomic.Int64 // requests, of draining endpoints too
	requested atomic.Int64 // for the budget
	_         [48]byte

	budget budget

	mu      sync.Mutex
	serving census // of the policy that serves
	coming  census // of the one that is being committed
	told    bool   // what PanicChanged said last
	telling bool   // somebody is about to call it
}

func newGroup(id event.ID, name string, r *Registry) *group {
	g := &group{id: id, name: name, events: r.events, gate: new(upstream.Gate), queue: queue{timers: &r.timers}}
	g.limit.Store(noLimit)
	return g
}

// setHealthy says whether that was a change.
func (g *group) setHealthy(e *Endpoint, healthy bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if healthy == e.Healthy() {
		return false
	}
	// Meanwhile too few may seem healthy, never too many: a pool that is in panic a
	// moment early serves, one that is late refuses.
	if healthy {
		if !g.panicking.Load() { // else it was sent requests all the time
			e.startSlowly(recovering)
		}
		e.flags.And(^unhealthy)
		e.countHealthy(1)
		g.recount()
	} else {
		e.countHealthy(-1)
		g.recount()
		e.flags.Or(unhealthy)
		e.flags.And(^(slow | recovering)) // it begins anew once it is healthy
	}
	return true
}

// arrive counts the members of a pool that is about to serve, besides those of
// the one that does. One that the pool which serves cannot pick joins it, and
// starts slowly, unless none serves yet.
func (g *group) arrive(p *Pool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.coming = newCensus(p)
	for i := range p.tiers {
		tally := &g.coming.tiers[i]
		for j := range p.tiers[i].members {
			e := p.tiers[i].members[j].Endpoint
			e.coming = tally
			if e.Healthy() {
				tally.healthy++
			}
			if e.serving == nil && len(g.serving.tiers) > 0 {
				e.startSlowly(0)
			}
		}
	}
	g.recount()
}

// settle makes the pool that arrived the one that serves.
func (g *group) settle(p *Pool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.serving, g.coming = g.coming, census{}
	for i := range p.members {
		e := p.members[i].Endpoint
		e.serving, e.coming = e.coming, nil
	}
	g.recount()
}

// forget is settle for an endpoint that the policy no longer names.
func (g *group) forget(e *Endpoint) {
	g.mu.Lock()
	defer g.mu.Unlock()
	e.serving = nil
}

// empty is settle for a pool that the policy no longer names. It says whether
// that is news.
func (g *group) empty() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	was := len(g.serving.tiers) > 0
	g.serving = census{}
	g.recount()
	return was
}
