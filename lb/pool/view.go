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
// slowly are drawn by what they have of their share.
type view struct {
	choice
	ring *ring // ConsistentHash, instead; nil: no member
}

// viewDraws is how often it is drawn from a view whose members proved to be no
// longer eligible before the tier is taken to have none. Of a consistent hash's
// view each draw is a walk.
const viewDraws = 8

// pickFromView chooses from the tier's view, if the filter admits what is drawn: for
// when most members are not eligible and the quick ways gave up.
func (t *tier) pickFromView(f *filter, rnd uint64) *Endpoint {
	v := t.view.get(func() view { return t.look(f.pool) })
	g := *f
	g.slowly = false
	var e *Endpoint
	switch {
	case t.algorithm == consistentHash && v.ring != nil:
		for n := 0; n < viewDraws && e == nil; n++ {
			e = t.pickConsistentHash(v.ring, &g, rnd, t.loadFactor)
			rnd = mix(rnd)
		}
		return e
	case len(v.members) == 0:
		return nil
	case len(v.members) == 1:
		return v.only(&g)
	}
	for n := 0; n < viewDraws && e == nil; n++ {
		rnd = mix(rnd)
		switch {
		case t.algorithm == leastRequest && !f.lodging:
			e = v.pickLeastRequest(&g, rnd)
		case t.algorithm == peakEWMA && !f.lodging:
			e = v.pickPeakEWMA(&g, rnd)
		default:
			e = v.pickRandom(&g, rnd)
		}
	}
	if e == nil && len(v.members) <= few {
		e = v.scan(&g, rnd)
	}
	return e
}

// look looks at every member.
func (t *tier) look(p *Pool) view {
	f := filter{pool: p, probing: breaker.Willing}
	shares := make([]float64, len(t.members))
	n, whole := 0, true
	for i := range t.members {
		if e := t.members[i].Endpoint; f.admits(e) {
			n++
			shares[i], _ = e.SlowStart()
			whole = whole && shares[i] == 1
		}
	}
	if t.algorithm == consistentHash {
		return view{ring: t.ring.part(t.members, shares)}
	}
	if n == 0 {
		return view{}
	}
	v := view{choice: choice{members: make([]Member, 0, n)}}
	for i, share := range shares {
		if share > 0 {
			shares[len(v.members)] = share
			v.members = append(v.members, t.members[i])
		}
	}
	if whole {
		v.weights = newWeights(v.members, nil)
	} else {
		v.weights = newWeights(v.members, shares)
	}
	return v
}
