package pool

import (
	"math"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"

	"go-loadbalancer/lb/breaker"
)

// HomeOf is a number for an endpoint, which is the same in every process and never
// 0: what a session remembers of where it is at home.
func HomeOf(pool, address string) uint64 {
	var d xxhash.Digest
	d.Reset()
	d.WriteString(pool)
	d.Write([]byte{0})
	d.WriteString(address)
	return max(1, d.Sum64())
}

// Lodging is how a session finds its home.
type Lodging uint8

const (
	Open    Lodging = iota // it may be sent a request
	Busy                   // it has as many as it may
	Away                   // it is not eligible now, and may be again
	Early                  // it is eligible, but starts slowly: this session's turn has not come yet
	Gone                   // it is about to leave, or gets no requests, and is not to be waited for
	Unknown                // neither this policy nor what it left behind has it
)

// Home finds the endpoint of a [HomeOf] number for a request of a session that is at
// home there, and says how it stands. It is nil if that is [Unknown], or [Gone] for good.
//
// An endpoint that drains still serves those who are at home there, until its drain
// has taken as long as it may, or it ceases to be eligible otherwise: it is not worth
// waiting for then. session is a number that is the session's own: by it the
// sessions of an endpoint that starts slowly come back one by one.
func (p *Pool) Home(number, session uint64, probing breaker.Probing) (*Endpoint, Lodging) {
	m := p.homes[number]
	e := m.endpoint()
	if m == nil {
		var left bool
		if e, left = p.group.lodging.find(number); left {
			return nil, Gone
		} else if e == nil {
			return nil, Unknown
		}
	} else if m.Weight == 0 && !m.Drain {
		return e, Gone
	}
	flags := e.flags.Load()
	leaving := m == nil || flags&draining != 0
	switch {
	case flags&drained != 0:
		return e, Gone
	case flags&unhealthy != 0 && !p.Panic(), !e.breaker.Load().Admits(probing):
		if leaving {
			return e, Gone
		}
		return e, Away
	case flags&recovering != 0 && p.HashOn == "" && !e.due(session):
		return e, Early
	case !e.room():
		return e, Busy
	}
	return e, Open
}

// PickFor is Pick for a session that has no home, or cannot be there: equal numbers
// have equal endpoints on every replica that sees the same ones eligible, and where
// one comes or goes, nobody moves but to or from it.
func (p *Pool) PickFor(session uint64, tried *Tried, probing breaker.Probing) (*Endpoint, Refusal) {
	f := filter{pool: p, tried: tried, probing: probing, seed: session, lodging: true}
	return p.pickBy(&f, session)
}

// pickLodging chooses the member that the session's number ranks first among those
// the filter admits: by rendezvous hashing (Thaler, Ravishankar: Using name-based
// mappings to increase hit rates, 1998), weighted by the logarithm (Mosharaf,
// Schindelhauer, Schomaker). Of many members it asks a ring instead, which need not
// look at each.
func (t *tier) pickLodging(f *filter, session uint64) *Endpoint {
	if len(t.members) > few {
		return t.pickConsistentHash(t.lodgingRing(), f, mix(session), 0)
	}
	var best *Endpoint
	least := math.Inf(1)
	for i := range t.members {
		m := &t.members[i]
		// Neither 0 nor 1, whose logarithms are of no use.
		u := (float64(mix(session^mix(m.Home))>>11) + 0.5) / (1 << 53)
		if rank := -math.Log(u) / float64(m.Weight); rank < least && f.admits(m.Endpoint) {
			best, least = m.Endpoint, rank
		}
	}
	return best
}

func (t *tier) lodgingRing() *ring {
	if t.ring != nil {
		return t.ring
	}
	return t.homes()
}

// lodging is the endpoints of a pool's name that no policy names any more, while
// sessions are at home there, and the homes that have left for good.
type lodging struct {
	mu        sync.RWMutex
	endpoints map[uint64]*Endpoint
	left      map[uint64]time.Time // when
}

// For how long, and of how many, it is remembered that an endpoint was removed and has
// drained. Replicas may be given a policy a minute apart: the sessions of such an
// endpoint are moved, which the other replica follows. Were its home unknown instead, they
// would be waited for here, and be home there at every other request.
const (
	leftFor  = 2 * time.Minute
	mostLeft = 4096
)

// find returns the endpoint, if it is still there for sessions; left says that it is not
// any more.
func (l *lodging) find(home uint64) (e *Endpoint, left bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if e := l.endpoints[home]; e != nil {
		return e, false
	}
	since, left := l.left[home]
	return nil, left && time.Since(since) < leftFor
}

func (l *lodging) add(e *Endpoint) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.endpoints == nil {
		l.endpoints = map[uint64]*Endpoint{}
	}
	l.endpoints[e.Home] = e
	delete(l.left, e.Home)
}

func (l *lodging) remove(e *Endpoint) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.endpoints[e.Home] == e {
		delete(l.endpoints, e.Home)
	}
}

// leave is remove of an endpoint that has drained.
func (l *lodging) leave(e *Endpoint) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.endpoints[e.Home] != e {
		return
	}
	delete(l.endpoints, e.Home)
	if l.left == nil {
		l.left = map[uint64]time.Time{}
	}
	for home, since := range l.left {
		if time.Since(since) >= leftFor {
			delete(l.left, home)
		}
	}
	if len(l.left) < mostLeft {
		l.left[e.Home] = time.Now()
	}
}
