package pool

import (
	"sync"
	"sync/atomic"
	"time"

	"go-loadbalancer/lb/breaker"
)

const (
	// few is how many members can all be looked at for one request.
	few = 64

	// What was learnt from all members of a larger pool is used for leastAge, or if
	// that is more for agePerCost times as long as it took to learn, up to mostAge:
	// it takes at most a twentieth of one core then, however many requests ask.
	leastAge, mostAge = time.Millisecond, 100 * time.Millisecond
	agePerCost        = 20
)

// cached is something that takes long to make and is a little out of date. The zero
// value is ready for use.
type cached[T any] struct {
	made atomic.Pointer[made[T]]
	mu   sync.Mutex // held while it is made
}

type made[T any] struct {
	value T
	until time.Time
}

// get returns it, made anew if it is too old. While one goroutine makes it, the
// others use the old one; but if there is none, or one that nobody has asked for in
// a while, they wait.
func (c *cached[T]) get(make func() T) T {
	old, now := c.made.Load(), time.Now()
	if old != nil && now.Before(old.until) {
		return old.value
	}
	if old == nil || now.Sub(old.until) > mostAge {
		c.mu.Lock()
	} else if !c.mu.TryLock() {
		return old.value
	}
	defer c.mu.Unlock()
	start := time.Now()
	if m := c.made.Load(); m != old && start.Before(m.until) { // another was quicker
		return m.value
	}
	m := &made[T]{value: make()}
	end := time.Now()
	m.until = end.Add(min(max(leastAge, agePerCost*end.Sub(start)), mostAge))
	c.made.Store(m)
	return m.value
}

// view is the members of a tier that were eligible a moment ago. Those that start
// slowly are drawn by the share they have; but with consistent hash each key
// asks for itself.
type view struct {
	choice
	ring *ring // ConsistentHash; nil: no member
}

// pickFromView chooses from the tier's view, if the filter admits what is drawn: for
// when most members are not eligible and the quick ways gave up. It gives up as
// well if too many of the view are no longer eligible.
func (t *tier) pickFromView(f *filter, rnd uint64) *Endpoint {
	v := t.view.get(func() view { return t.look(f.pool) })
	if t.algorithm == consistentHash {
		if v.ring == nil {
			return nil
		}
		return t.pickConsistentHash(v.ring, f, rnd)
	}
	g := *f
	g.slowly = false
	rnd = mix(rnd)
	switch {
	case len(v.members) == 0:
		return nil
	case len(v.members) == 1:
		return v.only(&g)
	case t.algorithm == leastRequest:
		return v.pickLeastRequest(&g, rnd)
	case t.algorithm == peakEWMA:
		return v.pickPeakEWMA(&g, rnd)
	default:
		return v.pickRandom(&g, rnd)
	}
}

// look looks at every member.
func (t *tier) look(p *Pool) view {
	f := filter{pool: p, probing: breaker.Willing}
	if t.algorithm == consistentHash {
		eligible := make([]bool, len(t.members))
		for i := range t.members {
			eligible[i] = f.admits(t.members[i].Endpoint)
		}
		return view{ring: t.ring.of(t.members, eligible)}
	}
	var v view
	var shares []float64 // nil: all have their whole share
	for i := range t.members {
		m := &t.members[i]
		if !f.admits(m.Endpoint) {
			continue
		}
		if share, on := m.SlowStart(); on && shares == nil {
			shares = make([]float64, len(v.members), len(t.members))
			for j := range shares {
				shares[j] = 1
			}
			shares = append(shares, share)
		} else if shares != nil {
			shares = append(shares, share)
		}
		v.members = append(v.members, *m)
	}
	if len(v.members) > 0 {
		v.weights = newWeights(v.members, shares)
	}
	return v
}
