package snapshot

import (
	"fmt"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
)

// Mirror is a pool that gets copies of some of a route's requests.
type Mirror struct {
	Pool *pool.Pool
	// Probes says that the pool gets no requests of any route: then its copies are
	// all that can show that an endpoint is well again.
	Probes bool

	all   bool
	below uint64 // of the range of a random number
}

func newMirror(m *policy.Mirror, pools map[string]*pool.Pool) (*Mirror, error) {
	if m == nil {
		return nil, nil
	}
	p := pools[m.Pool]
	if p == nil {
		return nil, fmt.Errorf("its mirror %q is not a pool of the policy: define it, or correct the name", m.Pool)
	}
	out := &Mirror{Pool: p, all: m.Percent >= 100}
	if !out.all {
		out.below = uint64(m.Percent / 100 * (1 << 64))
	}
	return out, nil
}

// Takes reports whether the request of a random number is copied. The number may
// be the one that is given to the pool's Pick as well.
func (m *Mirror) Takes(rnd uint64) bool { return m.all || scatter(rnd) < m.below }
