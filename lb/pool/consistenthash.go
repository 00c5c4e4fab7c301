package pool

import (
	"math"
	"math/bits"
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
	points []uint64 // sorted: a hash in the high bits, a member's index in the low ones
	index  uint64   // mask of the low ones
	weight uint64   // of all members
}

func newRing(members []Member) *ring {
	r := &ring{index: 1<<bits.Len(uint(len(members)-1)) - 1}
	for i := range members {
		r.weight += uint64(members[i].Weight)
	}
	each, shrink := uint64(pointsPerWeight), uint64(1)
	bound := max(ringPoints, 8*uint64(len(members)))
	for each > 1 && r.weight*each > bound {
		each /= 2
	}
	for r.weight*each/shrink > bound {
		shrink *= 2
	}
	r.points = make([]uint64, 0, r.weight*each/shrink+uint64(len(members)))
	for i := range members {
		address := xxhash.Sum64String(members[i].Address)
		for k := range max(1, uint64(members[i].Weight)*each/shrink) {
			r.points = append(r.points, mix(address+mix(k))&^r.index|uint64(i))
		}
	}
	slices.Sort(r.points)
	return r
}

// find returns the first point at or after a hash.
func (r *ring) find(hash uint64) int {
	i, _ := slices.BinarySearch(r.points, hash&^r.index)
	return i
}

// pickConsistentHash walks the ring from the key's hash to the first member
// that is eligible. A request without a key takes a random one.
//
// With a bounded load factor c it passes over members that have more than their
// share c·(total in flight)·weight/(weight of all) of the pool's requests
// (Mirrokni, Thorup, Zadimoghaddam: Consistent hashing with bounded loads,
// 2018). If not all members are eligible, the share is of the eligible weight,
// judged by the members the walk has met. If all of those are above it, the
// least loaded of them is taken.
func (t *tier) pickConsistentHash(f filter, rnd uint64, key Key) *Endpoint {
	hash := key.Hash
	if !key.Hashed {
		hash = rnd
	}
	var (
		r         = t.ring
		at        = r.find(hash)
		want      = t.loadFactor * float64(f.pool.group.inFlight.Load()+1)
		met       [walkMembers]uint32 // met before, in order
		full      [walkMembers]uint32 // of those: eligible, but above their share
		nMet      int
		nFull     int
		metWeight int
		okWeight  int
	)
	for step := 0; step < walkPoints && nMet < min(walkMembers, len(t.members)); step++ {
		if at == len(r.points) {
			at = 0
		}
		i := uint32(r.points[at] & r.index)
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
		if t.loadFactor == 0 || m.fits(want/float64(r.weight)) {
			return m.Endpoint
		}
		okWeight += m.Weight
		full[nFull] = i
		nFull++
	}
	if nFull == 0 {
		return nil
	}
	share := want / (float64(r.weight) * float64(okWeight) / float64(metWeight))
	least := &t.members[full[0]]
	for _, i := range full[:nFull] {
		m := &t.members[i]
		if m.fits(share) {
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
