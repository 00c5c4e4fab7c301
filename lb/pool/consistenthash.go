package pool

import (
	"math"
	"slices"

	"github.com/cespare/xxhash/v2"
)

const (
	// pointsPerWeight is how many points of the ring one unit of weight gets: a
	// member's share then deviates by about 9%. It is halved until the ring
	// has at most ringPoints.
	pointsPerWeight = 128
	ringPoints      = 1 << 18
	// walkMembers and walkPoints bound the walk along the ring before every
	// member is looked at.
	walkMembers = 16
	walkPoints  = 256
)

// ring is the hash values owned by the members of a tier (Karger et al.:
// Consistent hashing and random trees, 1997). A member's points depend on its
// address and weight alone, so that every replica has the same ring, and a
// member that comes or goes moves its own share only.
type ring struct {
	*circle
	weight float64 // of all members
}

func newRing(members []Member) *ring {
	var weight uint64
	for i := range members {
		weight += uint64(members[i].Weight)
	}
	each, shrink := uint64(pointsPerWeight), uint64(1)
	bound := max(ringPoints, 8*uint64(len(members)))
	for each > 1 && weight*each > bound {
		each /= 2
	}
	for weight*each/shrink > bound {
		shrink *= 2
	}
	index := indexMask(len(members))
	points := make([]uint64, 0, weight*each/shrink+uint64(len(members)))
	for i := range members {
		address := xxhash.Sum64String(members[i].Address)
		for k := range max(1, uint64(members[i].Weight)*each/shrink) {
			points = append(points, mix(address+mix(k))&^index|uint64(i))
		}
	}
	return &ring{newCircle(points, index), float64(weight)}
}

// part returns what of the ring belongs to members, of each the given share
// relative to the greatest; nil if that is nothing. A key's way along it leads to
// the same members, but for those that have no point left.
func (r *ring) part(members []Member, shares []float64) *ring {
	most := slices.Max(shares)
	out := new(ring)
	for i, share := range shares {
		out.weight += float64(members[i].Weight) * share / most
	}
	var points []uint64
	for _, p := range r.marks {
		if fraction(mix(p&^r.index))*most < shares[p&r.index] {
			points = append(points, p)
		}
	}
	if len(points) == 0 {
		return nil
	}
	out.circle = newCircle(points, r.index)
	return out
}

// pickConsistentHash walks a ring from the key's hash to the first member that
// is eligible.
//
// With a load factor c that is not 0 it passes over members that have more than their
// share c·(total in flight)·weight/(weight of all) of the pool's requests
// (Mirrokni, Thorup, Zadimoghaddam: Consistent hashing with bounded loads,
// 2018). The weight of all is that of the eligible ones, which is not known: so
// a first member that would be within its share even if all were eligible is
// taken at once, and otherwise as much of the ring is walked as shows, about,
// how many are. If all met are above their share, the least loaded is taken. One
// that fails is not preferred for having little to do.
func (t *tier) pickConsistentHash(r *ring, f *filter, hash uint64, loadFactor float64) *Endpoint {
	var (
		at         = r.find(hash)
		want       = loadFactor * float64(f.pool.group.inFlight.Load()+1)
		met        [walkMembers]int // in ring order
		candidates [walkMembers]*Member
		nMet, n    int
		metWeight  int
		weight     int // of the candidates
	)
	for step := 0; step < walkPoints && nMet < min(walkMembers, len(t.members)); step++ {
		if at == len(r.marks) {
			at = 0
		}
		i := r.member(at)
		at++
		if slices.Contains(met[:nMet], i) {
			continue
		}
		met[nMet] = i
		nMet++
		m := &t.members[i]
		metWeight += m.Weight
		if !f.admits(m.Endpoint) {
			continue
		}
		if n == 0 && (loadFactor == 0 || m.fits(want/r.weight)) {
			return m.Endpoint
		}
		candidates[n] = m
		n++
		weight += m.Weight
	}
	if n == 0 {
		return nil
	}
	share := want / (r.weight * float64(weight) / float64(metWeight))
	least := candidates[0]
	for i, m := range candidates[:n] {
		if m.fits(share) && (i == 0 || m.failing() <= candidates[0].failing()) {
			return m.Endpoint
		}
		least = lighter(least, m)
	}
	return least.Endpoint
}

// fits says whether one more request keeps m within a share for each unit of
// weight.
func (m *Member) fits(share float64) bool {
	return float64(m.inFlight.Load()+1) <= math.Ceil(share*float64(m.Weight))
}
