package pool

// extraDraws is how often LeastRequest draws again when one of its two
// candidates is not eligible.
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
	i := t.weights.pick(rnd)
	rnd = mix(rnd)
	j := t.weights.pickOther(rnd, i)
	a, b := &t.members[i], &t.members[j]
	switch okA, okB := f.admits(a.Endpoint), f.admits(b.Endpoint); {
	case okA && okB:
		return lighter(a, b).Endpoint
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
			return lighter(a, b).Endpoint
		}
	}
	if a == nil {
		return nil
	}
	return a.Endpoint
}

// lighter returns the one with fewer requests for its weight; a if equal.
func lighter(a, b *Member) *Member {
	if b.inFlight.Load()*int64(a.Weight) < a.inFlight.Load()*int64(b.Weight) {
		return b
	}
	return a
}
