package pool

import "sync/atomic"

const (
	// rotationLength bounds a rotation: longer ones are made from scaled
	// weights. The shares stay exact to about half a place of it.
	rotationLength = 1 << 16
	// rotationSteps is how many places RoundRobin looks at before it gives the
	// rotation up.
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
func (t *tier) pickRoundRobin(f *filter) *Endpoint {
	r := t.rotation
	for range min(rotationSteps, len(r.order)) {
		at := (r.next.Add(1) - 1) % uint64(len(r.order))
		if e := t.members[r.order[at]].Endpoint; f.admits(e) {
			return e
		}
	}
	return nil
}

// newRotation lays out the members on a circle.
//
// Members of one weight w form a class: m of them want m·w places, evenly
// spaced, which they take in turn. With one class that is plain rotation; with
// several, each member's places are nearly equally far apart, whatever the
// weights.
func newRotation(members []Member, seed uint64) *rotation {
	type class struct{ members, seen uint64 }
	weights, length := scaledWeights(members)
	classes := make(map[uint64]*class)
	for _, w := range weights {
		if classes[w] == nil {
			classes[w] = new(class)
		}
		classes[w].members++
	}
	index := indexMask(len(members))
	marks := make([]uint64, 0, length)
	for i, w := range weights {
		c := classes[w]
		apart := ^uint64(0) / (c.members * w)
		for place := c.seen; place < c.members*w; place += c.members {
			marks = append(marks, (apart/2+place*apart)&^index|uint64(i))
		}
		c.seen++
	}
	circle := newCircle(marks, index)
	r := &rotation{order: make([]uint32, length)}
	for i := range r.order {
		r.order[i] = uint32(circle.member(i))
	}
	r.next.Store(below(mix(seed), length))
	return r
}

// scaledWeights are the weights divided by what they have in common, and scaled
// to the bound on the rotation's length if their sum is above it.
func scaledWeights(members []Member) (weights []uint64, sum uint64) {
	weights = make([]uint64, len(members))
	var divisor uint64
	for i := range members {
		weights[i] = uint64(members[i].Weight)
		divisor = gcd(weights[i], divisor)
		sum += weights[i]
	}
	sum /= divisor
	bound := max(rotationLength, 8*uint64(len(members)))
	var scaled uint64
	for i := range weights {
		weights[i] /= divisor
		if sum > bound {
			weights[i] = max(1, (weights[i]*bound+sum/2)/sum)
		}
		scaled += weights[i]
	}
	return weights, scaled
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
