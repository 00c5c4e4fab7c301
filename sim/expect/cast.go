package expect

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/sim/scenario"
)

// cast is who takes part in a scenario, by name.
type cast struct {
	routes, pools, endpoints, replicas []string
	policies                           []*policy.Policy // the first one, and those applied
}

// castOf lists the cast. Endpoints of later policies are numbered after those of
// earlier ones, since a number is for the whole run.
func castOf(s *scenario.Scenario, policies []*policy.Policy) *cast {
	c := &cast{policies: policies}
	addresses := map[string][]string{}
	for _, p := range policies {
		for i := range p.Routes {
			if name := p.Routes[i].Name; !slices.Contains(c.routes, name) {
				c.routes = append(c.routes, name)
			}
		}
		for i := range p.Pools {
			pool := &p.Pools[i]
			if !slices.Contains(c.pools, pool.Name) {
				c.pools = append(c.pools, pool.Name)
			}
			for _, e := range pool.Endpoints {
				if !slices.Contains(addresses[pool.Name], e.Address) {
					addresses[pool.Name] = append(addresses[pool.Name], e.Address)
				}
			}
		}
	}
	for _, pool := range c.pools {
		for i := range addresses[pool] {
			c.endpoints = append(c.endpoints, pool+"/"+strconv.Itoa(i+1))
		}
	}
	n := max(1, s.Topology.Replicas)
	for i := range s.Timeline {
		n = max(n, s.Timeline[i].Scale)
	}
	for i := range n {
		c.replicas = append(c.replicas, replicaName(i))
	}
	return c
}

func replicaName(i int) string { return "lb/" + strconv.Itoa(i+1) }

// poolOf is the pool of an endpoint's name.
func poolOf(endpoint string) string {
	if i := strings.LastIndexByte(endpoint, '/'); i >= 0 {
		return endpoint[:i]
	}
	return ""
}

// complain says what is wrong with a name that must stand for a subject; empty: nothing.
func (c *cast) complain(name string, of subject) string {
	switch of {
	case ofRoute:
		return unknown("route", name, c.routes)
	case ofPool:
		return unknown("pool", name, c.pools)
	case ofEndpoint:
		if slices.Contains(c.pools, name) {
			return quote(name) + " is a pool: name one of its endpoints, such as " + quote(name+"/1")
		}
		return c.complainEndpoint(name)
	case ofPoolOrEndpoint:
		if slices.Contains(c.pools, name) {
			return ""
		}
		return unknown("pool or endpoint", name, slices.Concat(c.pools, c.endpoints))
	}
	return quote(name) + " is no window: write a duration such as \"10s\""
}

// complainEndpoint is the same of an endpoint.
func (c *cast) complainEndpoint(name string) string {
	pool := poolOf(name)
	n := 0
	for _, e := range c.endpoints {
		if poolOf(e) == pool {
			n++
		}
	}
	if n == 0 || slices.Contains(c.endpoints, name) {
		return unknown("endpoint", name, c.endpoints)
	}
	return fmt.Sprintf("there is no %s: pool %s has %d of them, from %s/1 to %s/%d", name, quote(pool), n, pool, pool, n)
}

// each calls f with every policy's pool of a name.
func (c *cast) each(pool string, f func(*policy.Pool)) {
	for _, p := range c.policies {
		for i := range p.Pools {
			if p.Pools[i].Name == pool {
				f(&p.Pools[i])
			}
		}
	}
}

// route is the route of a name in the policy of a hash, or in the first that has one.
func (c *cast) route(hash, name string) *policy.Route {
	var found *policy.Route
	for _, p := range c.policies {
		for i := range p.Routes {
			if p.Routes[i].Name == name && (found == nil || p.Hash == hash) {
				found = &p.Routes[i]
			}
		}
	}
	return found
}
