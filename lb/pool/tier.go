package pool

import (
	"math/bits"
	"slices"
	"sort"
	"sync"

	"go-loadbalancer/lb/policy"
)

// tier is the members of a pool with the same priority, and how one of them is
// chosen.
type tier struct {
	choice

	algorithm  algorithm
	rotation   *rotation     // RoundRobin
	ring       *ring         // ConsistentHash
	loadFactor float64       // ConsistentHash; 0: unbounded
	view       *cached[view] // nil: so few members that each can be looked at
	homes      func() *ring  // of sessions without a home, where each member cannot be looked at
}

// choice is members of which one is drawn by weight.
type choice struct {
	members []Member
	weights weights
}

type algorithm uint8

const (
	leastRequest algorithm = iota
	roundRobin
	random
	peakEWMA
	consistentHash
)

// newTier compiles a tier of at least one member, all of positive weight.
func newTier(lb *policy.LoadBalancer, members []Member, seed uint64) tier {
	t := tier{choice: choice{members, newWeights(members, nil)}}
	if len(members) > few {
		t.view = new(cached[view])
		t.homes = sync.OnceValue(func() *ring { return newRing(members) })
	}
	switch lb.Type {
	case "RoundRobin":
		t.algorithm, t.rotation = roundRobin, newRotation(members, seed)
	case "Random":
		t.algorithm = random
	case "ConsistentHash":
		t.algorithm, t.ring, t.loadFactor = consistentHash, newRing(members), lb.BoundedLoadFactor
	case "PeakEWMA":
		t.algorithm = peakEWMA
	default: // LeastRequest
		t.algorithm = leastRequest
	}
	return t
}

// pick chooses among the members the filter admits; nil if there is none. rnd is
// the key's hash where that is what decides.
func (t *tier) pick(f *filter, rnd uint64) *Endpoint {
	if len(t.members) == 1 {
		return t.only(f)
	}
	var e *Endpoint
	if f.lodging {
		e = t.pickLodging(f, rnd)
	} else {
		e = t.draw(f, rnd)
	}
	switch {
	case e != nil:
		return e
	case t.view != nil:
		return t.pickFromView(f, rnd)
	default:
		return t.scan(f, rnd)
	}
}

// draw chooses by the tier's algorithm, looking at a few members.
func (t *tier) draw(f *filter, rnd uint64) *Endpoint {
	switch t.algorithm {
	case roundRobin:
		return t.pickRoundRobin(f)
	case random:
		return t.pickRandom(f, rnd)
	case peakEWMA:
		return t.pickPeakEWMA(f, rnd)
	case consistentHash:
		return t.pickConsistentHash(t.ring, f, rnd, t.loadFactor)
	default:
		return t.pickLeastRequest(f, rnd)
	}
}

// only chooses the first member, if the filter admits it.
func (c *choice) only(f *filter) *Endpoint {
	if e := c.members[0].Endpoint; f.admits(e) {
		return e
	}
	return nil
}

// scan chooses by weight among all members the filter admits. It looks at each
// of them: for when most are not eligible and the quick ways gave up.
func (c *choice) scan(f *filter, rnd uint64) *Endpoint {
	var chosen *Endpoint
	var total uint64
	for i := range c.members {
		m := &c.members[i]
		if !f.admits(m.Endpoint) {
			continue
		}
		total += uint64(m.Weight)
		rnd = mix(rnd)
		if below(rnd, total) < uint64(m.Weight) {
			chosen = m.Endpoint
		}
	}
	return chosen
}

// wholeShare is what a unit of weight counts as where some have part of theirs.
const wholeShare = 1 << 10

// weights chooses a member at random by weight: in constant time if all weights
// are equal, else by bisection.
type weights struct {
	n    uint64
	sum  uint64
	ends []uint64 // sums of the weights so far; nil if all are equal
}

// newWeights draws members by weight, or by what is left of it if shares are given:
// the part of each.
func newWeights(members []Member, shares []float64) weights {
	w := weights{n: uint64(len(members))}
	for i := range members {
		w.sum += uint64(members[i].Weight)
	}
	if shares == nil && !slices.ContainsFunc(members, func(m Member) bool { return m.Weight != members[0].Weight }) {
		return w
	}
	w.ends = make([]uint64, len(members))
	var sum uint64
	for i := range members {
		weight := uint64(members[i].Weight)
		if shares != nil {
			weight = max(1, uint64(float64(weight*wholeShare)*shares[i]))
		}
		sum += weight
		w.ends[i] = sum
	}
	return w
}

func (w *weights) mean() float64 { return float64(w.sum) / float64(w.n) }

// pick returns a member's index.
func (w *weights) pick(rnd uint64) int {
	if w.ends == nil {
		return int(below(rnd, w.n))
	}
	return w.find(below(rnd, w.ends[len(w.ends)-1]))
}

// pickOther returns another index than i. There must be two.
func (w *weights) pickOther(rnd uint64, i int) int {
	if w.ends == nil {
		j := int(below(rnd, w.n-1))
		if j >= i {
			j++
		}
		return j
	}
	start, end := uint64(0), w.ends[i]
	if i > 0 {
		start = w.ends[i-1]
	}
	at := below(rnd, w.ends[len(w.ends)-1]-(end-start))
	if at >= start {
		at += end - start
	}
	return w.find(at)
}

// find returns the first index whose sum is above at.
func (w *weights) find(at uint64) int {
	return sort.Search(len(w.ends), func(i int) bool { return w.ends[i] > at })
}

// below maps a random number to [0, n).
func below(rnd, n uint64) uint64 {
	high, _ := bits.Mul64(rnd, n)
	return high
}

// mix turns a number into another that looks unrelated: the SplitMix64 step
// (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
