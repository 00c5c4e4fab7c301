package expect

import (
	"cmp"
	"slices"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/policy"
	"go-loadbalancer/sim/history"
)

// client is one of a load: loads have clients of their own.
type client struct{ load, session int }

// ticket is what a client's sessions share a cookie or header in; each replica has its
// own where they do not share what they know.
type ticket struct {
	client
	name    string
	replica string
}

// stay is where a session is at home, as far as its client can know.
type stay struct {
	home    string        // endpoint; empty: not known
	since   time.Duration // of the home
	seen    time.Duration // of the last answer
	excused int           // how many faults of Redis it has moved for
}

// settling is for how long after Redis is back replicas may still go by what they knew.
const settling = 5 * time.Second

// affinity follows each client's session: it is served at home, or elsewhere while home
// is not eligible, or it has another home from then on, for the same reason or since its
// binding was lost with Redis: once for each fault of Redis.
//
// It is judged by answers, in the order in which they ended, since only then has the
// client its ticket. A request that began before the home was known says nothing.
func affinity(x *index, v *violations) {
	var order []int32
	for i := range x.Requests {
		if r := &x.Requests[i]; r.Session > 0 && r.By != "" && r.Sticky != "" {
			order = append(order, int32(i))
		}
	}
	slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(x.Requests[a].End, x.Requests[b].End) })
	stays, bySession := map[ticket]*stay{}, map[client][]int32{}
	for _, i := range order {
		of := client{x.Requests[i].Load, x.Requests[i].Session}
		bySession[of] = append(bySession[of], i)
	}
	for _, i := range order {
		r := &x.Requests[i]
		p := x.persistence(r.By)
		if p == nil {
			continue
		}
		t := ticket{client: client{r.Load, r.Session}, name: p.CookieName}
		if p.Type == "Header" {
			t.name = p.HeaderName
		}
		if p.Store == "Memory" {
			t.replica = r.Replica
		}
		s := stays[t]
		if s == nil {
			s = &stay{}
			stays[t] = s
		}
		x.visit(r, p, s, bySession[t.client], v)
		s.seen = r.End
	}
}

// visit is an answer to a session.
func (x *index) visit(r *history.Request, p *policy.SessionPersistence, s *stay, all []int32, v *violations) {
	settle := func() { s.home, s.since = r.By, r.End }
	bound := r.Sticky == event.SessionNew.String() || r.Sticky == event.SessionMoved.String()
	switch {
	case s.home == "" || r.Start < s.since:
		if bound || s.home == "" && r.Sticky == event.SessionHome.String() {
			settle()
		}
		return
	case r.By == s.home:
		return
	case r.Start-s.seen >= p.IdleTimeout, r.Start-s.since >= p.AbsoluteTimeout,
		p.Store == "Memory" && !x.upAll(r.Replica, s.since, r.End):
		settle() // that session is over
		return
	}
	// Another request of it, under way at the same time, may have moved it.
	other := slices.ContainsFunc(all, func(i int32) bool {
		o := &x.Requests[i]
		return o.ID != r.ID && o.By == r.By && o.Start <= r.End && o.End >= r.Start &&
			(o.Sticky == event.SessionNew.String() || o.Sticky == event.SessionMoved.String())
	})
	away, faults := x.redis(r.Start, r.End)
	switch {
	case x.ineligible(r, s):
		if bound || other || r.Sticky == event.SessionHome.String() {
			settle()
		}
	case other:
		settle()
	case p.Store == "Redis" && away:
		// Each replica goes by what it knows.
	case p.Store == "Redis" && s.excused < faults:
		s.excused++
		settle()
	default:
		v.add(r.Start, r.ID, "the session of client %d is at home at %s since %s, which was eligible, and was served by %s (%s)",
			r.Session, s.home, brief(s.since), r.By, r.Sticky)
		if bound {
			settle()
		}
	}
}

// persistence is how an endpoint's pool keeps sessions; nil: it does not.
func (x *index) persistence(endpoint string) (found *policy.SessionPersistence) {
	x.cast.each(poolOf(endpoint), func(p *policy.Pool) {
		if p.SessionPersistence != nil {
			found = p.SessionPersistence
		}
	})
	return found
}

// redis says whether Redis had a fault at any instant in [from, to], or had one just
// before, and how many it has had by then.
func (x *index) redis(from, to time.Duration) (away bool, faults int) {
	for i := range x.Faults {
		f := &x.Faults[i]
		if f.On != "redis" || f.Skipped != "" || f.Start > to {
			continue
		}
		faults++
		away = away || f.End > f.Start && from <= f.End+settling
	}
	return away, faults
}

// ineligible says whether a session's home may have been not eligible for a request, at
// any instant of it: by its breaker, its health or its drain, since it comes back
// slowly, has failed this very request, or a policy since then is about it.
func (x *index) ineligible(r *history.Request, s *stay) bool {
	from, to := r.Start-x.slack(), r.End+x.slack()
	x.cast.each(poolOf(s.home), func(p *policy.Pool) { from = min(from, r.Start-p.LoadBalancer.SlowStartWindow) })
	if x.breaker(r.Replica, s.home).ever(from, to, func(state string) bool { return state != closed }) ||
		x.health(r.Replica, s.home).ever(from, to, func(state string) bool { return state != healthy }) {
		return true
	}
	if leaves(x.serving(s.since, to), s.home, x.address(s.home)) {
		return true
	}
	failed := false
	if i, ok := x.byID[r.ID]; ok {
		x.eachTry(int(i), func(a *history.Attempt) { failed = failed || a.Endpoint == s.home })
	}
	return failed
}

// serving are the policies that served at any replica in [from, to], by time.
func (x *index) serving(from, to time.Duration) (all []*policy.Policy) {
	last := map[string]int{} // by replica, where in the list its policy of before is; from 1
	for i := range x.Policies {
		p := &x.Policies[i]
		if p.Refused != "" || p.At > to {
			continue
		}
		k := slices.IndexFunc(x.cast.policies, func(one *policy.Policy) bool { return one.Hash == p.Hash })
		if k < 0 {
			continue
		}
		if p.At <= from && last[p.Replica] > 0 {
			all[last[p.Replica]-1] = x.cast.policies[k]
			continue
		}
		all = append(all, x.cast.policies[k])
		last[p.Replica] = len(all)
	}
	return all
}

// leaves says whether one of some policies drains an endpoint, gives it nothing, or does
// not have it; or whether they give its pool different weights in a route.
func leaves(policies []*policy.Policy, endpoint, address string) bool {
	pool := poolOf(endpoint)
	weights := map[[2]string]int{}
	for _, p := range policies {
		stays := slices.ContainsFunc(p.Pools, func(p policy.Pool) bool {
			return p.Name == pool && slices.ContainsFunc(p.Endpoints, func(e policy.Endpoint) bool {
				return e.Address == address && !e.Drain && e.Weight > 0
			})
		})
		if !stays {
			return true
		}
		for i := range p.Routes {
			for _, b := range p.Routes[i].BackendRefs {
				key := [2]string{p.Routes[i].Name, b.Pool}
				if before, ok := weights[key]; ok && before != b.Weight {
					return true
				}
				weights[key] = b.Weight
			}
		}
	}
	return false
}
