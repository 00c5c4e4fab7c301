package pool

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"go-loadbalancer/lb/policy"
)

// Staged is the pools of a policy that does not serve yet. It belongs to the
// reload goroutine.
type Staged struct {
	registry *Registry
	policies []policy.Pool
	pools    []*Pool
	number   uint64
	places   map[place]bool
	added    []*Endpoint
	kept     []*Endpoint // pinned until this is over
	over     bool        // committed or discarded
}

// Stage compiles the pools of a policy. Endpoints known already are lent to
// them with their state, draining ones included; nothing that serves is
// touched. The result must be committed or discarded; another Stage discards
// it. An error says which pool is at fault.
func (r *Registry) Stage(pools []policy.Pool) (*Staged, error) {
	if r.staged != nil {
		r.staged.Discard()
	}
	r.stages++
	s := &Staged{
		registry: r, policies: pools, pools: make([]*Pool, 0, len(pools)),
		number: r.stages, places: map[place]bool{},
	}
	r.staged = s
	names := make(map[string]bool, len(pools))
	for i := range pools {
		p := &pools[i]
		if names[p.Name] {
			s.Discard()
			return nil, fmt.Errorf("pool %q is defined twice: give one of them another name", p.Name)
		}
		names[p.Name] = true
		if err := s.stagePool(p); err != nil {
			s.Discard()
			return nil, fmt.Errorf("pool %q: %w", p.Name, err)
		}
	}
	return s, nil
}

func (s *Staged) stagePool(p *policy.Pool) error {
	g := s.registry.groupOf(p.Name)
	members := make([]Member, len(p.Endpoints))
	for i := range p.Endpoints {
		pe := &p.Endpoints[i]
		at := place{p.Name, pe.Address}
		if s.places[at] {
			return fmt.Errorf("endpoint %q is listed twice: remove one of them, or add up their weights", pe.Address)
		}
		s.places[at] = true
		e := s.endpoint(g, at, pe.Drain, initially(p))
		e.stage = s.number
		members[i] = Member{Endpoint: e, Weight: pe.Weight, Priority: pe.Priority, Drain: pe.Drain, Name: pe.Name}
	}
	s.pools = append(s.pools, newPool(p, g, members, mix(s.registry.rand+mix(s.number))+uint64(g.id)))
	return nil
}

// initially is the flags of a new endpoint: it counts as its pool's checks have
// it until the first of them, and is told of no change for that.
func initially(p *policy.Pool) uint32 {
	if a := p.HealthCheck.Active; a != nil && a.InitialState == "Unhealthy" {
		return unhealthy
	}
	return 0
}

// endpoint returns the endpoint known by that place, or a new one with the given
// flags. One whose drain was broken off cannot serve again.
func (s *Staged) endpoint(g *group, at place, drain bool, flags uint32) *Endpoint {
	r := s.registry
	r.mu.Lock()
	e := r.endpoints[at]
	if e != nil && (drain || !e.drain.expired) {
		r.pin(e)
		r.mu.Unlock()
		s.kept = append(s.kept, e)
		return e
	}
	r.mu.Unlock()
	e = r.newEndpoint(g, at)
	e.flags.Store(flags)
	s.added = append(s.added, e)
	return e
}

// Pools returns the compiled pools in file order.
func (s *Staged) Pools() []*Pool { return s.pools }

// Commit makes the staged pools the ones that serve. First everything they need
// is brought to life (new endpoints, new settings, endpoints that came back),
// then swap is called, which must make requests use them, and then the endpoints
// that they drain or no longer name begin to drain. Committing twice, or after
// a Discard, is a mistake of the caller and panics.
func (s *Staged) Commit(swap func()) Changes {
	if s.over {
		panic("pool: a staged policy was committed twice, or after it was discarded")
	}
	s.finish()
	r := s.registry
	changes := Changes{Kept: len(s.kept), Added: len(s.added)}
	current := make([]*Endpoint, 0, len(s.kept)+len(s.added))
	for i, p := range s.pools {
		p.group.setLimits(&s.policies[i].Limits)
		p.group.budget.set(&s.policies[i].RetryBudget, &p.group.requested)
		for j := range p.members {
			m := &p.members[j]
			changes.reset(m.Endpoint, &s.policies[i])
			m.Endpoint.apply(&s.policies[i])
			current = append(current, m.Endpoint)
		}
		p.group.arrive(p)
	}
	var removed []*Endpoint
	for _, e := range r.current {
		if e.stage != s.number {
			removed = append(removed, e)
		}
	}
	r.mu.Lock()
	for _, p := range s.pools {
		for j := range p.members {
			m := &p.members[j]
			r.endpoints[place{p.Name, m.Address}] = m.Endpoint
			delete(r.leaving, m.Endpoint)
			p.group.lodging.remove(m.Endpoint)
			if !m.Drain {
				r.stopDrain(m.Endpoint)
				m.flags.And(^draining)
			}
			r.unpin(m.Endpoint)
		}
	}
	s.lodge(removed)
	r.mu.Unlock()

	swap()

	r.mu.Lock()
	for _, p := range s.pools {
		for j := range p.members {
			if m := &p.members[j]; m.Drain {
				m.flags.Or(draining)
				r.startDrain(m.Endpoint, m.drainTimeout)
			}
		}
	}
	for _, e := range removed {
		e.flags.Or(draining)
		r.leaving[e] = struct{}{}
		r.startDrain(e, e.drainTimeout)
	}
	leaving := slices.SortedFunc(maps.Keys(r.leaving), func(a, b *Endpoint) int { return cmp.Compare(a.ID, b.ID) })
	r.mu.Unlock()
	r.current = current
	for _, p := range s.pools {
		p.group.settle(p)
	}
	for _, e := range removed {
		e.group.forget(e)
	}
	for _, e := range leaving {
		r.retire(e) // unless it has requests, or sessions
	}
	s.tell(removed)
	changes.Removed = len(removed)
	return changes
}

// lodge notes at which endpoints that no policy names sessions may be at home: those
// of pools that still have sessions. The caller holds the registry's mu.
func (s *Staged) lodge(removed []*Endpoint) {
	r := s.registry
	lodges := make(map[string]bool, len(s.pools))
	for _, p := range s.pools {
		lodges[p.Name] = p.homes != nil
		for j := range p.members {
			p.members[j].lodges = p.homes != nil
		}
	}
	for e := range r.leaving {
		e.lodges = e.lodges && lodges[e.PoolName]
		if !e.lodges {
			e.group.lodging.remove(e)
		}
	}
	for _, e := range removed {
		if e.lodges = e.lodges && lodges[e.PoolName]; e.lodges {
			e.group.lodging.add(e)
		}
	}
}

// tell tells which pools the commit made panic or cease to, and those who wait in
// their queues that everything may be different, also for the endpoints that it removed.
func (s *Staged) tell(removed []*Endpoint) {
	named := make(map[*group]bool, len(s.pools))
	for _, p := range s.pools {
		named[p.group] = true
		p.group.tell()
		for j := range p.members {
			p.members[j].queue.rouse()
		}
		p.group.queue.rouse()
	}
	for _, e := range removed {
		e.queue.rouse()
	}
	var gone []*group
	for _, g := range s.registry.groups {
		if !named[g] && g.empty() {
			gone = append(gone, g)
		}
	}
	slices.SortFunc(gone, func(a, b *group) int { return cmp.Compare(a.id, b.id) })
	for _, g := range gone {
		g.tell()
		g.queue.rouse()
	}
}

// Discard gives up a staged policy. What serves is as if it had never been. It
// does nothing after a Commit.
func (s *Staged) Discard() {
	if s.over {
		return
	}
	s.finish()
	r := s.registry
	r.mu.Lock()
	for _, e := range s.added {
		r.ids.giveBack(e.ID)
	}
	for _, e := range s.kept {
		r.unpin(e)
	}
	r.mu.Unlock()
	for _, e := range s.kept {
		r.retire(e) // its last request may have ended meanwhile
	}
}

func (s *Staged) finish() {
	s.over = true
	s.registry.staged = nil
}
