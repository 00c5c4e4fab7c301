package pool

import (
	"slices"
	"time"

	"go-loadbalancer/lb/breaker"
)

// Draws is how often a pick is drawn whose odds no formula tells: what is found then is
// within two points of the hundred of what a long run shows.
const Draws = 4096

// Ask is the pick whose odds are asked for.
type Ask struct {
	Key     Key
	Probing breaker.Probing
	// Lodging: for a session that has no home, or cannot be there, as [Pool.PickFor].
	Lodging bool
	// Session is that session's number, if it is Known; else any may come.
	Session uint64
	Known   bool
}

// Odds is which endpoint a pick would find now, and how probably.
type Odds struct {
	Refusal    Refusal     // not None: it finds none
	Candidates []Candidate // all of the pool, in file order
	// Exact: the probabilities are those of the algorithm. Else they are shares of [Draws]
	// picks that were made, in the state of this moment.
	Exact bool
}

// Candidate is one endpoint, as a pick finds it.
type Candidate struct {
	*Member
	Why         string  // why it is not picked; empty if it may be
	Probability float64 // 0 to 1
	Share       float64 // of its weight, that it gets by slow start: 1 if none is under way
	Load        Load
}

// Load is what algorithms compare.
type Load struct {
	InFlight int64
	// Latency is what an answer is expected to take; 0: not known, or not measured.
	Latency time.Duration
	// Failing is how much of what was asked of it lately failed, in eighths, 0 to 7.
	Failing int
}

// Odds finds them out from the code that picks, without counting anything: a copy of the
// pool that shares its endpoints picks [Draws] times, at numbers spread evenly. What is
// decided by a key or a session's number is picked once. Where weights alone decide, they
// are the odds.
//
// It takes about a millisecond, and of a pool of many of which few are eligible up to a
// hundred: it is for people who ask.
func (p *Pool) Odds(ask Ask) Odds {
	o := Odds{Candidates: make([]Candidate, len(p.members))}
	at := make(map[*Endpoint]*Candidate, len(p.members))
	for i := range p.members {
		m := &p.members[i]
		c := &o.Candidates[i]
		c.Member = m
		_, c.Why = p.EligibleFor(m, ask.Probing)
		c.Share, _ = m.SlowStart()
		c.Load = Load{InFlight: m.InFlight(), Failing: int(m.failing() >> (failuresShift + 5))}
		if m.latency.measured.Load() {
			if took := m.latency.expect(m.registry.now()); took < unmeasured {
				c.Load.Latency = time.Duration(took)
			}
		}
		at[m.Endpoint] = c
	}
	once := ask.Lodging && ask.Known || !ask.Lodging && ask.Key.Hashed && p.HashOn != ""
	draws := Draws
	if once {
		draws = 1
	}
	trial := p.trial()
	for i := range draws {
		e, refusal := trial.draw(&ask, uint64(i))
		if e == nil {
			o.Refusal = refusal
			break
		}
		if c := at[e]; c != nil {
			c.Probability += 1 / float64(draws)
		}
	}
	o.Exact = once
	if o.Refusal != None {
		for i := range o.Candidates {
			o.Candidates[i].Probability = 0
		}
	} else if !once && !ask.Lodging {
		o.Exact = p.byWeight(o.Candidates)
	}
	p.explainPriorities(o.Candidates)
	return o
}

// trial is a copy of the pool whose picks move no rotation on but its own.
func (p *Pool) trial() *Pool {
	out := *p
	out.tiers = slices.Clone(p.tiers)
	for i := range out.tiers {
		if r := out.tiers[i].rotation; r != nil {
			own := &rotation{order: r.order}
			own.next.Store(r.next.Load())
			out.tiers[i].rotation = own
		}
	}
	return &out
}

// draw is one pick. The numbers that draws pick by lie at even distances, so that what
// the first draw of an algorithm decides is not left to chance.
func (p *Pool) draw(ask *Ask, i uint64) (*Endpoint, Refusal) {
	rnd := i<<52 | mix(i)>>12
	if !ask.Lodging {
		return p.Pick(rnd, ask.Key, nil, ask.Probing)
	}
	if ask.Known {
		rnd = ask.Session
	}
	return p.PickFor(rnd, nil, ask.Probing)
}

// byWeight makes the probabilities exact where nothing but weights decides: RoundRobin
// and Random of one priority whose endpoints do not start slowly, and where one endpoint
// alone can be picked.
func (p *Pool) byWeight(candidates []Candidate) bool {
	var of []*Candidate
	weights, priority := 0, 0
	for i := range candidates {
		c := &candidates[i]
		if c.Probability == 0 && (c.Why != "" || len(of) > 0 && c.Priority > priority) {
			continue
		}
		if len(of) > 0 && c.Priority < priority {
			of, weights = of[:0], 0
		}
		of, weights, priority = append(of, c), weights+c.Weight, c.Priority
	}
	alone := slices.ContainsFunc(of, func(c *Candidate) bool { return c.Probability == 1 })
	for _, c := range of {
		if c.Why != "" || c.Share < 1 {
			return alone
		}
	}
	a := p.tiers[0].algorithm
	if alone || a != random && a != roundRobin || slices.ContainsFunc(candidates, func(c Candidate) bool {
		return c.Probability > 0 && c.Priority != priority
	}) {
		return alone
	}
	for _, c := range of {
		c.Probability = float64(c.Weight) / float64(weights)
	}
	return true
}

// explainPriorities says of those that could be picked, and are not, that lower priority
// numbers go first.
func (p *Pool) explainPriorities(candidates []Candidate) {
	least := -1
	for i := range candidates {
		if c := &candidates[i]; c.Why == "" && (least < 0 || c.Priority < least) {
			least = c.Priority
		}
	}
	for i := range candidates {
		if c := &candidates[i]; c.Why == "" && c.Probability == 0 && c.Priority > least {
			c.Why = "lower priority"
		}
	}
}

// Algorithm is the loadBalancer.type of the pool's endpoints.
func (p *Pool) Algorithm() string {
	if len(p.tiers) == 0 {
		return ""
	}
	switch p.tiers[0].algorithm {
	case roundRobin:
		return "RoundRobin"
	case random:
		return "Random"
	case peakEWMA:
		return "PeakEWMA"
	case consistentHash:
		return "ConsistentHash"
	}
	return "LeastRequest"
}

// Occupancy is what a pool has under way, of how much; a limit of 0 is none.
type Occupancy struct {
	InFlight, Limit             int64
	Waiting, MayWait            int64
	PendingTimeout              time.Duration
	Connections, MaxConnections int     // to its endpoints, unused ones included
	EndpointLimit               int     // in flight at each endpoint
	RetriesLeft                 float64 // in its retry budget, whole ones can be used
}

// Occupancy is the pool's by now.
func (p *Pool) Occupancy() Occupancy {
	g := p.group
	o := Occupancy{
		InFlight: max(0, g.inFlight.Load()), Limit: g.limit.Load(),
		Waiting: g.pending.now.Load(), MayWait: g.pending.most.Load(), PendingTimeout: p.limits.PendingTimeout,
		Connections: g.gate.Open(), MaxConnections: p.limits.MaxConnections, EndpointLimit: p.limits.PerEndpointParallelRequests,
		RetriesLeft: g.budget.left(&g.requested),
	}
	if o.Limit == noLimit {
		o.Limit = 0
	}
	return o
}

// NumberOf is an endpoint's place in the policy, from 1; 0 of an endpoint that is none of the pool's.
func (p *Pool) NumberOf(e *Endpoint) int {
	return 1 + slices.IndexFunc(p.members, func(m Member) bool { return m.Endpoint == e })
}
