package pool

import (
	"time"

	"go-loadbalancer/lb/event"
)

// census is how many of a pool's endpoints are healthy, by priority. Endpoints
// that may never be picked are not counted.
type census struct {
	tiers     []tally
	threshold int // percent
}

type tally struct{ healthy, total int }

// newCensus counts the endpoints of p, none of them as healthy yet.
func newCensus(p *Pool) census {
	c := census{tiers: make([]tally, len(p.tiers)), threshold: p.panicThreshold}
	for i := range c.tiers {
		c.tiers[i].total = len(p.tiers[i].members)
	}
	return c
}

// panics says whether no priority has the threshold's share of healthy endpoints.
// One that has serves by itself: to send requests to the unhealthy ones of
// another beside it would help nobody.
func (c *census) panics() bool {
	for _, t := range c.tiers {
		if t.healthy*100 >= c.threshold*t.total {
			return false
		}
	}
	return len(c.tiers) > 0
}

// countHealthy adds n to the healthy ones where e is counted. The caller holds
// the group's mu.
func (e *Endpoint) countHealthy(n int) {
	if e.serving != nil {
		e.serving.healthy += n
	}
	if e.coming != nil {
		e.coming.healthy += n
	}
}

// recount draws the conclusion. During a commit either pool may be in use: if one
// of them panics, both do. The caller holds mu.
func (g *group) recount() {
	g.panicking.Store(g.serving.panics() || g.coming.panics())
}

// tell calls PanicChanged if the pool that serves began or ceased to be in panic
// since the last call. No lock is held meanwhile, and calls do not overlap: who
// finds one under way leaves what there is to tell to its caller. A change that
// is undone before it could be told is not told.
func (g *group) tell() {
	f := g.events.PanicChanged
	if f == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.telling {
		return
	}
	g.telling = true
	for g.serving.panics() != g.told {
		g.told = !g.told
		c := event.PanicChange{Pool: g.id, PoolName: g.name, Panic: g.told, At: time.Now()}
		for _, t := range g.serving.tiers {
			c.Healthy += t.healthy
			c.Total += t.total
		}
		g.mu.Unlock()
		f(c)
		g.mu.Lock()
	}
	g.telling = false
}

// Panic says whether so few endpoints of each priority are healthy that health is
// ignored.
func (p *Pool) Panic() bool { return p.group.panicking.Load() }
