package snapshot

import (
	"math"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
	"go-loadbalancer/lb/session"
)

// newCarrier is what carries the sessions of a pool.
func newCarrier(s *policy.SessionPersistence) *session.Carrier {
	if s.Type == "Header" {
		return session.NewHeader(s.HeaderName)
	}
	c := session.Cookie{Name: s.CookieName, Path: s.CookiePath, SameSite: s.CookieSameSite, Secure: s.CookieSecure}
	if s.CookieLifetime == "Permanent" {
		c.MaxAge = s.AbsoluteTimeout
	}
	return session.NewCookie(c)
}

// persistences is how the pools keep sessions that do. A pool's is one and the same in
// all of a policy's routes: by that sessions know that it is the same policy.
func persistences(pools []*pool.Pool) map[*pool.Pool]*session.Persistence {
	out := make(map[*pool.Pool]*session.Persistence, len(pools))
	for _, p := range pools {
		if p.Sessions != nil {
			out[p] = newPersistence(p, p.Sessions)
		}
	}
	return out
}

// newPersistence is how a pool keeps sessions.
func newPersistence(p *pool.Pool, s *policy.SessionPersistence) *session.Persistence {
	out := &session.Persistence{
		Pool: p.Name, PoolID: p.ID, Tag: session.PoolTag(p.Name),
		Lifetime: session.Lifetime{Idle: s.IdleTimeout, Absolute: s.AbsoluteTimeout},
		Rebind:   s.OnUnavailable == "Rebind", Timeout: s.StoreTimeout,
	}
	switch s.Store {
	case "Cookie":
		out.Kind = session.InCookie
	case "Memory":
		out.Kind = session.InMemory
	}
	return out
}

// keepVersions has sessions that a route sends to a pool which keeps none stay in that
// pool, for as long as those of the route's other pools last.
func (r *Route) keepVersions() {
	var like *session.Persistence
	for i := range r.Backends {
		if like = r.Backends[i].Sessions; like != nil {
			break
		}
	}
	if like == nil {
		return
	}
	for i := range r.Backends {
		if b := &r.Backends[i]; b.Sessions == nil {
			b.Sessions = &session.Persistence{
				Pool: b.Pool.Name, PoolID: b.Pool.ID, Tag: session.PoolTag(b.Pool.Name),
				Kind: session.InCookie, Homeless: true, Lifetime: like.Lifetime,
			}
		}
	}
}

// KeepsSessionsIn says whether some pool keeps its sessions in a store: Redis, Cookie
// or Memory.
func (s *Snapshot) KeepsSessionsIn(store string) bool {
	for i := range s.Policy.Pools {
		if p := s.Policy.Pools[i].SessionPersistence; p != nil && p.Store == store {
			return true
		}
	}
	return false
}

// PickFor chooses the pool of a session; nil if all weights are 0. Each number has
// its pool as long as the weights stay, on every replica; where they change, sessions
// move only from a pool to one whose weight has grown beside its own: by rendezvous
// hashing, as for the endpoints of a pool.
func (r *Route) PickFor(number uint64) *Backend {
	if len(r.chosen) <= 1 {
		return r.Pick(0)
	}
	var best *Backend
	least := math.Inf(1)
	for i := range r.chosen {
		b := &r.chosen[i]
		u := (float64(scramble(number^pool.HomeOf("", b.Pool.Name))>>11) + 0.5) / (1 << 53)
		if rank := -math.Log(u) / float64(b.Weight); rank < least {
			best, least = b, rank
		}
	}
	return best
}

// scramble makes a number of one by which nothing else is decided: the finalizer of
// MurmurHash3 (Appleby, 2011).
func scramble(x uint64) uint64 {
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// Has says whether a pool of that tag is among the route's backends, whatever its
// weight.
func (r *Route) Has(tag uint32) bool {
	for i := range r.Backends {
		if p := r.Backends[i].Sessions; p != nil && p.Tag == tag {
			return true
		}
	}
	return false
}
