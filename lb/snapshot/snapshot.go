package snapshot

import (
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
)

// Snapshot is one policy, compiled. It is immutable.
type Snapshot struct {
	Info           event.PolicyInfo
	Policy         *policy.Policy // what it was compiled from
	TrustedProxies []netip.Prefix
	AccessLog      policy.AccessLog
	Listeners      []policy.Listener
	Routes         []*Route     // in file order
	Pools          []*pool.Pool // in file order
	LoadedAt       time.Time    // when it began to serve

	hosts hosts
}

// Catalog names the ids of the policy's routes, pools and endpoints, and says
// what a consumer of events needs to know of its settings.
func (s *Snapshot) Catalog() *event.Catalog {
	c := &event.Catalog{
		Policy: s.Info,
		Routes: make([]event.Named, 0, len(s.Routes)),
		Pools:  make([]event.Named, 0, len(s.Pools)),
		AccessLog: event.AccessLog{
			Sample: s.AccessLog.Sample, AlwaysErrors: s.AccessLog.AlwaysErrors,
			AlwaysSlow: s.AccessLog.AlwaysSlow, SlowerThan: s.AccessLog.SlowerThan,
			RedactQueryParams: s.AccessLog.RedactQueryParams,
		},
	}
	for _, l := range s.Listeners {
		c.Listeners = append(c.Listeners, l.Name)
	}
	for _, r := range s.Routes {
		c.Routes = append(c.Routes, event.Named{ID: r.ID, Name: r.Name})
		if m := r.Mirror; m != nil {
			to := event.Named{ID: m.Pool.ID, Name: m.Pool.Name}
			if !slices.Contains(c.Mirrors, to) {
				c.Mirrors = append(c.Mirrors, to)
			}
		}
	}
	for _, p := range s.Pools {
		c.Pools = append(c.Pools, event.Named{ID: p.ID, Name: p.Name})
		for _, m := range p.Members() {
			c.Endpoints = append(c.Endpoints, event.NamedEndpoint{ID: m.ID, Pool: p.ID, PoolName: p.Name, Address: m.Address})
		}
	}
	return c
}

// Current is the snapshot that serves. The zero Current has none.
type Current struct{ snapshot atomic.Pointer[Snapshot] }

// Load returns the snapshot that serves; nil before the first.
func (c *Current) Load() *Snapshot { return c.snapshot.Load() }

// Store makes s the snapshot that serves.
func (c *Current) Store(s *Snapshot) { c.snapshot.Store(s) }
