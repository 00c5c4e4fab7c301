package pool

import (
	"cmp"
	"context"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/upstream"
)

// Options are a registry's seams. The zero Options are usable.
type Options struct {
	// Dial opens a connection to an endpoint; nil is [net.Dialer]'s.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Events is told of breakers, health, panic and retired endpoints; nil: nobody.
	Events *event.Listener
	// Rand decides where rotations begin.
	Rand uint64
}

// Registry holds the live state of all endpoints, and hands out ids. An id of a
// route or a pool belongs to its name for good; that of an endpoint is given to
// another once the endpoint is retired.
type Registry struct {
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
	events *event.Listener
	rand   uint64
	epoch  time.Time // latencies count from here

	// Of the reload goroutine.
	routes  map[string]event.ID
	groups  map[string]*group // by pool name
	stages  uint64
	staged  *Staged     // neither committed nor discarded
	current []*Endpoint // named by the policy that serves

	mu        sync.Mutex
	endpoints map[place]*Endpoint    // current ones, and draining ones that may come back
	leaving   map[*Endpoint]struct{} // draining, named by no policy
	ids       idPool
	closed    bool

	timers sync.WaitGroup // of drains and queues
}

// place is what an endpoint is known by.
type place struct{ pool, address string }

// NewRegistry returns an empty registry.
func NewRegistry(o Options) *Registry {
	if o.Events == nil {
		o.Events = new(event.Listener)
	}
	return &Registry{
		dial: o.Dial, events: o.Events, rand: o.Rand, epoch: time.Now(),
		routes: map[string]event.ID{}, groups: map[string]*group{},
		endpoints: map[place]*Endpoint{}, leaving: map[*Endpoint]struct{}{},
	}
}

// RouteID returns the id of a route's name.
func (r *Registry) RouteID(name string) event.ID {
	id, ok := r.routes[name]
	if !ok {
		id = event.ID(len(r.routes))
		r.routes[name] = id
	}
	return id
}

func (r *Registry) now() time.Duration { return time.Since(r.epoch) }

func (r *Registry) groupOf(pool string) *group {
	g, ok := r.groups[pool]
	if !ok {
		g = newGroup(event.ID(len(r.groups)), pool, r)
		r.groups[pool] = g
	}
	return g
}

// newEndpoint makes an endpoint nobody knows of yet.
func (r *Registry) newEndpoint(g *group, at place) *Endpoint {
	r.mu.Lock()
	id := r.ids.take()
	r.mu.Unlock()
	e := &Endpoint{
		ID: id, PoolID: g.id, PoolName: at.pool, Address: at.address,
		Transport: upstream.NewTransport(upstream.Options{Address: at.address, Dial: r.dial, Relieve: r.relieve, Gate: g.gate}),
		registry:  r, group: g, Home: HomeOf(at.pool, at.address),
	}
	e.queue.timers = &r.timers
	e.slowStart.salt = xxhash.Sum64String(e.Address)
	e.limit.Store(noLimit)
	return e
}

// relieve closes unused connections of all endpoints, half of each one's, so
// that a request in need has a descriptor. It reports whether there were any.
func (r *Registry) relieve() bool {
	r.mu.Lock()
	all := make([]*Endpoint, 0, len(r.endpoints)+len(r.leaving))
	for _, e := range r.endpoints {
		all = append(all, e)
	}
	for e := range r.leaving {
		all = append(all, e)
	}
	r.mu.Unlock()
	relieved := false
	for _, e := range all {
		relieved = e.Transport.Shed() || relieved
	}
	return relieved
}

// Leaving returns the endpoints that no policy names but that still have
// requests, by pool and address. It may be called by any goroutine.
func (r *Registry) Leaving() []*Endpoint {
	r.mu.Lock()
	out := make([]*Endpoint, 0, len(r.leaving))
	for e := range r.leaving {
		out = append(out, e)
	}
	r.mu.Unlock()
	slices.SortFunc(out, func(a, b *Endpoint) int {
		return cmp.Or(cmp.Compare(a.PoolName, b.PoolName), cmp.Compare(a.Address, b.Address), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// Close breaks off what is left, ends the wait of everybody who waits and joins the
// timers. Requests should have ended before; it tells no more events.
func (r *Registry) Close() {
	if r.staged != nil {
		r.staged.Discard()
	}
	r.mu.Lock()
	r.closed = true
	var all []*Endpoint
	for e := range r.leaving {
		all = append(all, e)
	}
	all = append(all, r.current...)
	for _, e := range all {
		r.stopDrain(e)
	}
	r.mu.Unlock()
	for _, g := range r.groups {
		g.queue.close()
	}
	for _, e := range all {
		e.queue.close()
		e.Transport.Abort()
	}
	r.timers.Wait()
}

// idPool hands out the small numbers that are free.
type idPool struct {
	next event.ID
	free []event.ID
}

func (p *idPool) take() event.ID {
	if n := len(p.free); n > 0 {
		id := p.free[n-1]
		p.free = p.free[:n-1]
		return id
	}
	p.next++
	return p.next - 1
}

func (p *idPool) giveBack(id event.ID) { p.free = append(p.free, id) }
