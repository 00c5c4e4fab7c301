package snapshot

import (
	"fmt"
	"math/bits"
	"slices"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
	"go-loadbalancer/lb/session"
)

// Route is a policy's route, compiled. A filter it does not have is nil.
type Route struct {
	ID              event.ID
	Name            string
	Redirect        *Redirect
	Rewrite         *Rewrite
	RequestHeaders  *HeaderModifier
	ResponseHeaders *HeaderModifier
	Mirror          *Mirror
	RateLimit       *RateLimit
	Timeouts        policy.RouteTimeouts // BackendRequest is filled in: at most Request
	Retry           *Retry               // nil: failed tries are not made again
	Backends        []Backend            // in file order, weight 0 included
	Carrier         *session.Carrier     // of the sessions of its pools; nil: they have none
	Policy          *policy.Route        // what it was compiled from

	chosen []Backend // those with a weight
	ends   []uint64  // sums of their weights so far
	rules  []*rule   // one for each match, in file order
}

// Backend is a pool with its share of the route's requests.
type Backend struct {
	Pool     *pool.Pool
	Weight   int
	Sessions *session.Persistence // nil: it keeps none
}

func newRoute(r *policy.Route, id event.ID, pools map[string]*pool.Pool, sessions map[*pool.Pool]*session.Persistence) (*Route, error) {
	out := &Route{
		ID: id, Name: r.Name, Policy: r,
		Redirect:        newRedirect(r.Filters.Redirect),
		Rewrite:         newRewrite(r.Filters.Rewrite),
		RequestHeaders:  newHeaderModifier(r.Filters.RequestHeaders),
		ResponseHeaders: newHeaderModifier(r.Filters.ResponseHeaders),
		RateLimit:       newRateLimit(r.Filters.RateLimit),
		Timeouts:        r.Timeouts,
		Retry:           newRetry(r.Retry),
	}
	if t := &out.Timeouts; t.BackendRequest == 0 || t.Request != 0 && t.BackendRequest > t.Request {
		t.BackendRequest = t.Request
	}
	var err error
	if out.Mirror, err = newMirror(r.Filters.Mirror, pools); err != nil {
		return nil, err
	}
	var sum uint64
	for _, ref := range r.BackendRefs {
		p := pools[ref.Pool]
		if p == nil {
			return nil, fmt.Errorf("its backend %q is not a pool of the policy: define it, or correct the name", ref.Pool)
		}
		b := Backend{p, ref.Weight, sessions[p]}
		if out.Carrier == nil && p.Sessions != nil {
			out.Carrier = newCarrier(p.Sessions)
		}
		out.Backends = append(out.Backends, b)
	}
	out.keepVersions()
	for _, b := range out.Backends {
		if b.Weight > 0 {
			sum += uint64(b.Weight)
			out.chosen = append(out.chosen, b)
			out.ends = append(out.ends, sum)
		}
	}
	return out, nil
}

// Pick chooses a pool by weight; nil if all weights are 0. The number may be the one
// that is given to the pool's Pick as well.
func (r *Route) Pick(rnd uint64) *Backend {
	switch len(r.chosen) {
	case 0:
		return nil
	case 1:
		return &r.chosen[0]
	}
	at, _ := bits.Mul64(scatter(rnd), r.ends[len(r.ends)-1])
	i, found := slices.BinarySearch(r.ends, at)
	if found {
		i++
	}
	return &r.chosen[i]
}

// scatter makes another random number of one that a pool's Pick uses as well.
// Pick goes by the high bits; multiplied, they depend on the low ones.
func scatter(rnd uint64) uint64 { return rnd * 0x9e3779b97f4a7c15 }
