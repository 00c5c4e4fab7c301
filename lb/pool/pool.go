package pool

import (
	"cmp"
	"slices"

	"github.com/cespare/xxhash/v2"

	"go-loadbalancer/lb/breaker"
	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/policy"
)

// Pool is a set of endpoints that serve the same thing, as one policy has it.
// It is immutable.
type Pool struct {
	ID   event.ID
	Name string
	// HashOn is what of a request a ConsistentHash pool's [Key] is made from:
	// SourceIP, Header, Cookie or QueryParam; empty for any other algorithm.
	HashOn string
	// HashName is the header's, cookie's or parameter's name.
	HashName string
	// Failures are the response statuses that count as failures of an endpoint.
	Failures Statuses
	// Check is how the endpoints are checked; nil: they are not. It must not be
	// changed.
	Check *policy.ActiveCheck
	// Sessions is how sessions are kept; nil: they are not. It must not be changed.
	Sessions *policy.SessionPersistence

	errors         errors
	members        []Member
	homes          map[uint64]*Member // nil: no sessions
	tiers          []tier             // lowest priority number first
	panicThreshold int                // percent
	limits         policy.Limits
	group          *group
	outlook        *cached[outlook] // nil: so few members that each can be looked at
}

// Member is an endpoint as one policy has it.
type Member struct {
	*Endpoint
	Weight   int
	Priority int
	Drain    bool
	// Name is the host name, without port, that the address was looked up by;
	// empty if the policy has the address itself.
	Name string
}

// Key is what a ConsistentHash pool picks by.
type Key struct {
	Hash   uint64
	Hashed bool // false: the request has no such header, cookie or parameter
}

// endpoint is nil of no member.
func (m *Member) endpoint() *Endpoint {
	if m == nil {
		return nil
	}
	return m.Endpoint
}

// KeyOf returns the key of a value. It is the same in every process.
func KeyOf(value []byte) Key { return Key{Hash: xxhash.Sum64(value), Hashed: true} }

// newPool compiles a pool whose members are known. seed decides where its
// rotation begins.
func newPool(p *policy.Pool, g *group, members []Member, seed uint64) *Pool {
	out := &Pool{
		ID: g.id, Name: p.Name, Failures: NewStatuses(p.CircuitBreaker.Codes), errors: newErrors(p.CircuitBreaker.Errors),
		Check: p.HealthCheck.Active, members: members, panicThreshold: p.HealthCheck.PanicThreshold, group: g,
		limits: p.Limits,
	}
	if out.Sessions = p.SessionPersistence; out.Sessions != nil {
		out.homes = make(map[uint64]*Member, len(members))
		for i := range members {
			out.homes[members[i].Home] = &members[i]
		}
	}
	if p.LoadBalancer.Type == "ConsistentHash" {
		out.HashOn, out.HashName = p.LoadBalancer.HashOn, p.LoadBalancer.HashName
	}
	chosen := make([]Member, 0, len(members))
	for _, m := range members {
		if m.countable() {
			chosen = append(chosen, m)
		}
	}
	if len(members) > few {
		out.outlook = new(cached[outlook])
	}
	slices.SortStableFunc(chosen, func(a, b Member) int { return cmp.Compare(a.Priority, b.Priority) })
	for len(chosen) > 0 {
		n := 1
		for n < len(chosen) && chosen[n].Priority == chosen[0].Priority {
			n++
		}
		out.tiers = append(out.tiers, newTier(&p.LoadBalancer, chosen[:n:n], mix(seed+uint64(len(out.tiers)))))
		chosen = chosen[n:]
	}
	return out
}

// countable says whether it may ever be picked.
func (m *Member) countable() bool { return !m.Drain && m.Weight > 0 }

// Members returns the endpoints in file order. It must not be changed.
func (p *Pool) Members() []Member { return p.members }

// Pick chooses an endpoint for a request. rnd is a fresh random number: the same
// numbers and the same state give the same picks. key is looked at by
// ConsistentHash only. tried are avoided as long as another endpoint is
// eligible; it may be nil. probing says whether the request may be a half-open
// endpoint's probe. Unless the refusal is [None], the endpoint is nil.
func (p *Pool) Pick(rnd uint64, key Key, tried *Tried, probing breaker.Probing) (*Endpoint, Refusal) {
	if key.Hashed && p.HashOn != "" {
		rnd = key.Hash // equal keys have equal ways
	}
	f := filter{pool: p, tried: tried, probing: probing, seed: rnd}
	return p.pickBy(&f, rnd)
}

// pickBy chooses by a filter, and if that admits none, what was tried before.
func (p *Pool) pickBy(f *filter, rnd uint64) (*Endpoint, Refusal) {
	e := p.pick(f, rnd)
	if e == nil && f.tried != nil && f.tried.n > 0 {
		f.tried = nil
		e = p.pick(f, rnd)
	}
	if e == nil {
		return nil, p.refusal()
	}
	return e, None
}

// pick chooses from the first tier that has an endpoint the filter admits. If there
// is none but some that start slowly and were passed over, one of them is due after
// all.
func (p *Pool) pick(f *filter, rnd uint64) *Endpoint {
	f.slowly, f.passed = true, false
	for i := range p.tiers {
		if e := p.tiers[i].pick(f, rnd); e != nil {
			return e
		}
	}
	if !f.passed {
		return nil
	}
	f.slowly = false
	for i := range p.tiers {
		if e := p.tiers[i].pick(f, rnd); e != nil {
			return e
		}
	}
	return nil
}

// Serves says whether some endpoint may be picked, now or once it has room. It is a
// question, and moves no rotation on. Of a pool of many it looks at some only, and
// takes it that others may.
func (p *Pool) Serves(probing breaker.Probing) bool {
	looked := 0
	for i := range p.tiers {
		for j := range p.tiers[i].members {
			e := p.tiers[i].members[j].Endpoint
			if looked++; looked > few || p.available(e.flags.Load()) && e.breaker.Load().Admits(probing) {
				return true
			}
		}
	}
	return false
}
