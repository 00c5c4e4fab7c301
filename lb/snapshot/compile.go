package snapshot

import (
	"fmt"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
)

// Staged is a compiled policy that does not serve yet. It must be committed or
// discarded; compiling another with the same registry discards it.
type Staged struct {
	*Snapshot
	pools *pool.Staged
}

// Compile does everything that can fail on the way from a valid policy to one
// that serves, and touches nothing live. revision is what the policy's source
// calls it; it may be empty. An error names the route or pool at fault: a
// reference the policy package should have refused.
func Compile(p *policy.Policy, revision string, registry *pool.Registry) (*Staged, error) {
	pools, err := registry.Stage(p.Pools)
	if err != nil {
		return nil, err
	}
	s := &Snapshot{
		Info:   event.PolicyInfo{Name: p.Name, Version: p.Version, Hash: p.Hash, Revision: revision},
		Policy: p, TrustedProxies: p.TrustedProxies, AccessLog: p.AccessLog, Listeners: p.Listeners,
		Routes: make([]*Route, 0, len(p.Routes)), Pools: pools.Pools(),
	}
	if err := s.compileRoutes(registry); err != nil {
		pools.Discard()
		return nil, err
	}
	return &Staged{s, pools}, nil
}

func (s *Snapshot) compileRoutes(registry *pool.Registry) error {
	byName := make(map[string]*pool.Pool, len(s.Pools))
	for _, p := range s.Pools {
		byName[p.Name] = p
	}
	sessions := persistences(s.Pools)
	names := make(map[string]bool, len(s.Policy.Routes))
	for i := range s.Policy.Routes {
		r := &s.Policy.Routes[i]
		if names[r.Name] {
			return fmt.Errorf("route %q is defined twice: give one of them another name", r.Name)
		}
		names[r.Name] = true
		route, err := newRoute(r, registry.RouteID(r.Name), byName, sessions)
		if err != nil {
			return fmt.Errorf("route %q: %w", r.Name, err)
		}
		s.Routes = append(s.Routes, route)
		for j := range r.Matches {
			rule, err := newRule(route, &r.Matches[j])
			if err != nil {
				return fmt.Errorf("route %q, match %d: %w", r.Name, j+1, err)
			}
			route.rules = append(route.rules, rule)
			s.hosts.add(r.Hostnames, rule)
		}
	}
	s.hosts.sort()
	served := map[*pool.Pool]bool{}
	for _, r := range s.Routes {
		for _, b := range r.chosen {
			served[b.Pool] = true
		}
	}
	for _, r := range s.Routes {
		if r.Mirror != nil {
			r.Mirror.Probes = !served[r.Mirror.Pool]
		}
	}
	return nil
}

// Commit makes the snapshot the current one. now is the wall clock's.
func (s *Staged) Commit(current *Current, now time.Time) pool.Changes {
	s.LoadedAt = now
	s.keepBuckets(current.Load())
	return s.pools.Commit(func() { current.Store(s.Snapshot) })
}

// Discard gives it up. It does nothing after a Commit.
func (s *Staged) Discard() { s.pools.Discard() }
