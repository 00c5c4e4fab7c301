package pool

import (
	"cmp"
	"slices"
	"sync/atomic"
)

const (
	// rotationLength bounds a rotation: longer ones are made from scaled
	// weights. The shares stay exact to about half a place of it.
	rotationLength = 1 << 16
	// rotationSteps is how many places RoundRobin looks at before it looks at
	// every member.
	rotationSteps = 64
)

// rotation is the order in which RoundRobin visits the members of a tier: each
// as often as its weight says, as evenly as can be.
type rotation struct {
	order []uint32 // member indexes
	_     [64]byte
	next  atomic.Uint64
	_     [56]byte
}

// pickRoundRobin visits the next place of the rotation. A member that is not
// eligible is passed over by moving the whole rotation on, so that its share
// goes to all others alike and not to the one behind it.
func (t *tier) pickRoundRobin(f filter) *Endpoint {
	r := t.rotation
	for range min(rotationSteps, len(r.order)) {
		at := (r.next.Add(1) - 1) % uint64(len(r.order))
		if e := t.members[r.order[at]].Endpoint; f.admits(e) {
			return e
		}
	}
	return nil
}

// newRotation lays out the members.
//
// Members of one weight w form a class: m of them want m·w places, evenly
// spaced, which they take in turn. The classes' places are then merged by
// position. With one class that is plain rotation; with several, each member's
// places are nearly equally far apart, whatever the weights.
func newRotation(members []Member, seed uint64) *rotation {
	counts := scaledWeights(members)
	classes := make(map[uint64][]uint32)
	for i, c := range counts {
		classes[c] = append(classes[c], uint32(i))
	}
	merge := make([]class, 0, len(classes))
	length := uint64(0)
	for w, in := range classes {
		places := w * uint64(len(in))
		length += places
		merge = append(merge, class{members: in, places: places})
	}
	slices.SortFunc(merge, func(a, b class) int {
		return cmp.Or(cmp.Compare(b.places, a.places), cmp.Compare(a.members[0], b.members[0]))
	})
	r := &rotation{order: make([]uint32, length)}
	for i := range r.order {
		best := &merge[0]
		for j := 1; j < len(merge); j++ {
			if merge[j].before(best) {
				best = &merge[j]
			}
		}
		r.order[i] = best.members[best.taken%uint64(len(best.members))]
		best.taken++
	}
	r.next.Store(below(mix(seed), length))
	return r
}

// class is the members of one weight while a rotation is laid out.
type class struct {
	members       []uint32
	places, taken uint64
}

// before compares the positions of the next places: (taken + ½) / places.
func (c *class) before(d *class) bool {
	return (2*c.taken+1)*d.places < (2*d.taken+1)*c.places
}

// scaledWeights are the weights divided by what they have in common, and scaled
// to the bound on the rotation's length if their sum is above it.
func scaledWeights(members []Member) []uint64 {
	out := make([]uint64, len(members))
	var divisor, sum uint64
	for i := range members {
		out[i] = uint64(members[i].Weight)
		divisor = gcd(out[i], divisor)
	}
	for i := range out {
		out[i] /= divisor
		sum += out[i]
	}
	if bound := max(rotationLength, 8*uint64(len(out))); sum > bound {
		for i := range out {
			out[i] = max(1, (out[i]*bound+sum/2)/sum)
		}
	}
	return out
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
