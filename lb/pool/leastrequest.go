package pool

// extraDraws is how often it is drawn again when one of two candidates is not eligible.
const extraDraws = 6

// pickLeastRequest draws two different members by weight and takes the one with
// fewer requests in flight for its weight: the power of two choices (Mitzenmacher
// 2001). It costs the same with any number of members, and unlike the least
// of all it does not send a herd to the member that looks best just now.
//
// Of two that are equally loaded the first drawn is taken. So an idle pool
// shares out by weight, and a loaded one keeps the requests in flight in
// proportion to the weights.
func (t *tier) pickLeastRequest(f filter, rnd uint64) *Endpoint {
	a, b, _ := t.two(f, rnd)
	if b != nil {
		a = lighter(a, b)
	}
	return a.endpoint()
}

// two draws two different members by weight that the filter admits. One or both
// are nil if they were not found soon. next is another random number.
func (t *tier) two(f filter, rnd uint64) (a, b *Member, next uint64) {
	i := t.weights.pick(rnd)
	rnd = mix(rnd)
	a, b = &t.members[i], &t.members[t.weights.pickOther(rnd, i)]
	switch okA, okB := f.admits(a.Endpoint), f.admits(b.Endpoint); {
	case okA && okB:
		return a, b, rnd
	case okB:
		a = b
	case !okA:
		a = nil
	}
	for range extraDraws {
		rnd = mix(rnd)
		b = &t.members[t.weights.pick(rnd)]
		switch {
		case b == a || !f.admits(b.Endpoint):
		case a == nil:
			a = b
		default:
			return a, b, rnd
		}
	}
	return a, nil, rnd
}

// lighter returns the one with fewer requests for its weight; a if equal.
func lighter(a, b *Member) *Member {
	if b.inFlight.Load()*int64(a.Weight) < a.inFlight.Load()*int64(b.Weight) {
		return b
	}
	return a
}
