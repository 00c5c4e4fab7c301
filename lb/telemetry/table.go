package telemetry

import (
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"go-loadbalancer/lb/event"
)

// table is what to count, by id. It is immutable, but for endpoints, which are
// retired in place: a policy may let go of thousands at once, and a new table for
// each would take longer than the reload. What it points to changes too.
type table struct {
	routes    []*route                   // nil: no such route
	endpoints []atomic.Pointer[endpoint] // nil: no such endpoint; shared with the table before
	listeners map[string]*listener
	mirrors   []*mirror // by pool; nil: no copies go there
	pools     []*pool   // nil: no such pool
}

func (t *table) pool(id event.ID) *pool {
	if uint(id) >= uint(len(t.pools)) {
		return nil
	}
	return t.pools[id]
}

func (t *table) mirror(pool event.ID) *mirror {
	if uint(pool) >= uint(len(t.mirrors)) {
		return nil
	}
	return t.mirrors[pool]
}

func (t *table) route(id event.ID) *route {
	if uint(id) >= uint(len(t.routes)) {
		return nil
	}
	return t.routes[id]
}

func (t *table) endpoint(id event.ID) *endpoint {
	if uint(id) >= uint(len(t.endpoints)) {
		return nil
	}
	return t.endpoints[id].Load()
}

func (t *table) clone() *table {
	return &table{slices.Clone(t.routes), t.endpoints, maps.Clone(t.listeners), slices.Clone(t.mirrors), slices.Clone(t.pools)}
}

// makeRoom sees to it that there is a slot for every endpoint id up to last.
func (t *table) makeRoom(last event.ID) {
	if int(last) < len(t.endpoints) {
		return
	}
	larger := make([]atomic.Pointer[endpoint], max(int(last)+1, len(t.endpoints)+len(t.endpoints)/2))
	for i := range t.endpoints {
		larger[i].Store(t.endpoints[i].Load())
	}
	t.endpoints = larger
}

// gauge counts what is under way. Once its owner is gone, whoever ends the last
// one has the owner's series deleted: deleting them earlier would lose that
// request, and a route that comes back would then count below 0.
type gauge struct {
	n    atomic.Int64
	gone atomic.Bool
}

func (g *gauge) begin() { g.n.Add(1) }

// end reports whether the owner is gone and this was the last.
func (g *gauge) end() bool { return g.n.Add(-1) <= 0 && g.gone.Load() }

// leave says that the owner is gone, and whether nothing is under way.
func (g *gauge) leave() bool {
	g.gone.Store(true)
	return g.over()
}

func (g *gauge) over() bool { return g.gone.Load() && g.n.Load() <= 0 }

// mirror counts the copies of requests that a pool gets.
type mirror struct {
	pool    string
	results [maxResults]atomic.Uint64 // by index in event.MirrorResults
}

type listener struct {
	name   string
	open   gauge
	opened atomic.Uint64
	closed [maxCloseReasons]atomic.Uint64 // by index in event.CloseReasons; behind them: any other
	paused atomic.Uint64
}

const maxCloseReasons = 24

func closeReasonIndex(r event.CloseReason) int {
	if i := slices.Index(event.CloseReasons, r); i >= 0 {
		return i
	}
	return len(event.CloseReasons)
}

// prepare makes room for everything the policy names.
func (m *Metrics) prepare(c *event.Catalog) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.table.Load().clone()
	for _, n := range c.Routes {
		t.routes = grow(t.routes, n.ID)
		t.routes[n.ID] = m.routeNamed(n.Name)
	}
	m.prepared = make([]event.ID, 0)
	for _, n := range c.Endpoints {
		t.makeRoom(max(n.ID, event.ID(len(c.Endpoints))-1))
		at, old := place{n.PoolName, n.Address}, t.endpoint(n.ID)
		if old != nil && old.place == at {
			continue
		}
		if old != nil {
			m.releaseEndpoint(old)
		}
		t.endpoints[n.ID].Store(m.endpointAt(at))
		m.prepared = append(m.prepared, n.ID)
	}
	for _, n := range c.Mirrors {
		t.mirrors = grow(t.mirrors, n.ID)
		if t.mirrors[n.ID] == nil {
			t.mirrors[n.ID] = &mirror{pool: n.Name}
		}
	}
	for _, n := range c.Pools {
		t.pools = grow(t.pools, n.ID)
		if t.pools[n.ID] == nil {
			t.pools[n.ID] = &pool{name: n.Name}
		}
	}
	if t.listeners == nil {
		t.listeners = make(map[string]*listener)
	}
	for _, name := range c.Listeners {
		if l := t.listeners[name]; l != nil {
			l.open.gone.Store(false)
		} else {
			t.listeners[name] = &listener{name: name}
		}
	}
	m.table.Store(t)
}

func grow[T any](s []*T, id event.ID) []*T {
	if n := int(id) + 1 - len(s); n > 0 {
		s = append(s, make([]*T, n)...)
	}
	return s
}

func (m *Metrics) routeNamed(name string) *route {
	r := m.routes[name]
	if r == nil {
		r = newRoute(name)
		m.routes[name] = r
	}
	r.inFlight.gone.Store(false)
	return r
}

func (m *Metrics) endpointAt(at place) *endpoint {
	e := m.endpoints[at]
	if e == nil {
		e = &endpoint{place: at, duration: histogram{created: time.Now()}}
		m.endpoints[at] = e
	}
	e.ids++
	return e
}

func (m *Metrics) commit(c *event.Commit) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.prepared, m.committed = nil, c.Catalog
	if !c.Refresh {
		m.reloads.commit(c)
	}
	m.prune()
}

func (m *Metrics) reject(r *event.Rejection) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reloads.reject(r)
	if m.prepared == nil { // refused before anything was made for it
		return
	}
	t := m.table.Load()
	for _, id := range m.prepared {
		if e := t.endpoint(id); e != nil {
			m.releaseEndpoint(e)
			t.endpoints[id].Store(nil)
		}
	}
	m.prepared = nil
	m.prune()
}

// prune lets go of the routes, listeners, pools and mirrors that the committed policy
// does not name. Endpoints stay until they are retired.
func (m *Metrics) prune() {
	var routes, listeners map[string]bool
	var pools map[event.ID]bool
	if c := m.committed; c != nil {
		routes, listeners = make(map[string]bool, len(c.Routes)), make(map[string]bool, len(c.Listeners))
		pools = make(map[event.ID]bool, len(c.Pools))
		for _, p := range c.Pools {
			pools[p.ID] = true
		}
		for _, r := range c.Routes {
			routes[r.Name] = true
		}
		for _, name := range c.Listeners {
			listeners[name] = true
		}
	}
	for _, r := range m.routes {
		if !routes[r.name] && r.inFlight.leave() {
			m.forgetRoute(r)
		}
	}
	t := m.table.Load().clone()
	m.clearRoutes(t)
	for name, l := range t.listeners {
		if !listeners[name] && l.open.leave() {
			m.past.addListener(l)
			delete(t.listeners, name)
		}
	}
	for id := range t.mirrors {
		if c := m.committed; c == nil || !slices.ContainsFunc(c.Mirrors, func(n event.Named) bool { return n.ID == event.ID(id) }) {
			t.mirrors[id] = nil
		}
	}
	for id := range t.pools {
		if !pools[event.ID(id)] {
			t.pools[id] = nil
		}
	}
	m.table.Store(t)
}

// dropRoute takes out a route that is gone and whose last request has ended.
func (m *Metrics) dropRoute(r *route) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !r.inFlight.over() || m.routes[r.name] != r {
		return
	}
	m.forgetRoute(r)
	t := m.table.Load().clone()
	m.clearRoutes(t)
	m.table.Store(t)
}

func (m *Metrics) forgetRoute(r *route) {
	delete(m.routes, r.name)
	m.past.addRoute(r)
}

// clearRoutes takes forgotten routes out of t, under each of their ids.
func (m *Metrics) clearRoutes(t *table) {
	for i, r := range t.routes {
		if r != nil && m.routes[r.name] != r {
			t.routes[i] = nil
		}
	}
}

func (m *Metrics) dropListener(l *listener) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.table.Load()
	if !l.open.over() || t.listeners[l.name] != l {
		return
	}
	m.past.addListener(l)
	t = t.clone()
	delete(t.listeners, l.name)
	m.table.Store(t)
}

func (m *Metrics) retire(id event.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.table.Load()
	e := t.endpoint(id)
	if e == nil {
		return
	}
	m.releaseEndpoint(e)
	t.endpoints[id].Store(nil)
}

func (m *Metrics) releaseEndpoint(e *endpoint) {
	if e.ids--; e.ids > 0 {
		return
	}
	delete(m.endpoints, e.place)
	m.past.addEndpoint(e)
}
