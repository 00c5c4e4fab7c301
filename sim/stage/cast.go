package stage

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/model"
	"go-loadbalancer/sim/scenario"
)

// cast is the endpoints of all policies of a scenario, with their backends.
type cast struct {
	ground Ground
	pools  []string
	places map[string][]*place          // by pool, in file order
	at     map[string]map[string]*place // by pool and address, both as written and as resolved
	hosts  map[string]netip.Addr        // by host name
	well   map[netip.AddrPort]*backend  // each once
	all    []*backend
	drains map[string]map[string]bool // by the policy's hash, the endpoints that may get new requests
}

// place is an endpoint of a pool.
type place struct {
	name    string // POOL/N
	address string // as the balancer calls it: resolved
	backend *backend
}

// backend is a process of its own.
type backend struct {
	Backend
	host Host
	name string // of the first place that is there
}

// errNotThere is of a host name that no policy of the scenario has.
var errNotThere = errors.New("no policy of the scenario names it")

// named are the addresses of host names.
var named = netip.MustParseAddr("198.18.128.0")

func newCast(g Ground) *cast {
	return &cast{
		ground: g, places: map[string][]*place{}, at: map[string]map[string]*place{}, hosts: map[string]netip.Addr{},
		well: map[netip.AddrPort]*backend{}, drains: map[string]map[string]bool{},
	}
}

// add adds what a policy has of endpoints that are not there yet.
func (c *cast) add(p *policy.Policy, s *scenario.Scenario) error {
	open := map[string]bool{}
	c.drains[p.Hash] = open
	for i := range p.Pools {
		pool := &p.Pools[i]
		if c.at[pool.Name] == nil {
			c.at[pool.Name] = map[string]*place{}
			c.pools = append(c.pools, pool.Name)
		}
		for k := range pool.Endpoints {
			e := &pool.Endpoints[k]
			at := c.at[pool.Name][e.Address]
			if at == nil {
				to, err := c.resolved(e.Address)
				if err != nil {
					return err
				}
				at = &place{name: pool.Name + "/" + strconv.Itoa(len(c.places[pool.Name])+1), address: to.String()}
				at.backend = c.backend(at.name, to, pool, s)
				c.places[pool.Name] = append(c.places[pool.Name], at)
				c.at[pool.Name][e.Address], c.at[pool.Name][to.String()] = at, at
			}
			open[at.name] = !e.Drain
		}
	}
	return nil
}

// resolved is an endpoint's address, with an IP address.
func (c *cast) resolved(address string) (netip.AddrPort, error) {
	if ap, err := netip.ParseAddrPort(address); err == nil {
		return ap, nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("endpoint %s: %w", address, err)
	}
	host = hostName(host)
	if _, ok := c.hosts[host]; !ok {
		next := named
		for range len(c.hosts) + 1 {
			next = next.Next()
		}
		c.hosts[host] = next
	}
	return netip.AddrPortFrom(c.hosts[host], uint16(number)), nil
}

func hostName(host string) string { return strings.TrimSuffix(strings.ToLower(host), ".") }

// resolve is what replicas look host names up by.
func (c *cast) resolve(_ context.Context, host string) ([]netip.Addr, time.Duration, error) {
	if a, ok := c.hosts[hostName(host)]; ok {
		return []netip.Addr{a}, 0, nil
	}
	return nil, 0, errNotThere
}

// backend is who is at an address.
func (c *cast) backend(name string, at netip.AddrPort, pool *policy.Pool, s *scenario.Scenario) *backend {
	if b := c.well[at]; b != nil {
		return b
	}
	o := model.Options{
		Name: name, Seed: s.Seed + uint64(len(c.all))*0x9e3779b97f4a7c15,
		Latency: scenario.Latency{P50: 5 * time.Millisecond}, BodySize: 64,
	}
	for i := range s.Topology.Pools {
		if m := &s.Topology.Pools[i]; m.Name == pool.Name {
			o.Latency, o.Capacity, o.Queue, o.BodySize = m.Latency, m.Capacity, m.Queue, m.BodySize
		}
	}
	if a := pool.HealthCheck.Active; a != nil && a.Type == "HTTP" {
		o.Health = a.Path
	}
	host := c.ground.Host(name, at)
	b := &backend{newBackend(c.ground, o, host, at), host, name}
	c.well[at] = b
	c.all = append(c.all, b)
	return b
}

// targets are the places that a target means.
func (c *cast) targets(t scenario.Target) []*place {
	all := c.places[t.Pool]
	switch {
	case t.Index == 0:
		return all
	case t.Index <= len(all):
		return all[t.Index-1 : t.Index]
	}
	return nil
}

// history is the pools as a run tells of them.
func (c *cast) history() (pools []history.Pool) {
	for _, name := range c.pools {
		p := history.Pool{Name: name}
		for _, at := range c.places[name] {
			p.Endpoints = append(p.Endpoints, at.address)
		}
		pools = append(pools, p)
	}
	return pools
}
