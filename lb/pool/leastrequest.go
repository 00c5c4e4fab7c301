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
func (c *choice) pickLeastRequest(f *filter, rnd uint64) *Endpoint {
	a, b, _ := c.two(f, rnd)
	if b == nil {
		return a.endpoint()
	}
	if p := probed(a, b); p != nil {
		return p
	}
	return lighter(a, b).Endpoint
}

// probed returns which of two that are admitted is to be probed; nil if neither is.
// It need not be the better one: what hangs there since before its breaker opened
// would keep it from being asked for as long as that lasts.
func probed(a, b *Member) *Endpoint {
	switch {
	case a.flags.Load()&tripped != 0:
		return a.Endpoint
	case b.flags.Load()&tripped != 0:
		return b.Endpoint
	}
	return nil
}

// two draws two different members by weight that the filter admits. One or both
// are nil if they were not found soon. next is another random number.
func (c *choice) two(f *filter, rnd uint64) (a, b *Member, next uint64) {
	i := c.weights.pick(rnd)
	rnd = mix(rnd)
	a, b = &c.members[i], &c.members[c.weights.pickOther(rnd, i)]
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
		b = &c.members[c.weights.pick(rnd)]
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
	if (a.flags.Load()|b.flags.Load())&(slow|failing) != 0 {
		return lighterOfTroubled(a, b)
	}
	if b.inFlight.Load()*int64(a.Weight) < a.inFlight.Load()*int64(b.Weight) {
		return b
	}
	return a
}

// lighterOfTroubled is lighter where not all is well. One that starts slowly counts
// as having as much of its weight as of its share. One that fails more than
// the other is not preferred for having little to do: failing is quick work, and
// would draw ever more requests (Beyer et al.: Site Reliability Engineering, 2016,
// ch. 20).
func lighterOfTroubled(a, b *Member) *Member {
	shareA, _ := a.SlowStart()
	shareB, _ := b.SlowStart()
	loadA := float64(a.inFlight.Load()) * float64(b.Weight) * shareB
	loadB := float64(b.inFlight.Load()) * float64(a.Weight) * shareA
	if loadB < loadA && b.failing() <= a.failing() {
		return b
	}
	return a
}

// failing is how much fails at m lately, in eighths; for comparison only.
func (m *Member) failing() uint32 { return m.flags.Load() & failing }
