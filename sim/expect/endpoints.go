package expect

import (
	"cmp"
	"slices"
	"time"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/sim/history"
)

func openEndpoint(x *index, v *violations) {
	if len(x.breakers) == 0 {
		return
	}
	slack := x.slack()
	for i := range x.Attempts {
		a := &x.Attempts[i]
		if a.Probe {
			continue
		}
		line := x.breakers[place{a.Replica, a.Endpoint}]
		if line == nil {
			continue
		}
		// What begins at the moment of a transition may have been first. So the breaker
		// must not have been closed at any instant around.
		state := line.when(a.Start)
		shut := func(s string) bool { return s == open || s == halfOpen }
		if shut(state) && !line.ever(a.Start-1-slack, a.Start+slack, func(s string) bool { return !shut(s) }) {
			v.add(a.Start, a.Request, "the breaker of %s at %s was %s, and this was no probe", a.Endpoint, a.Replica, state)
		}
	}
}

func drainingEndpoint(x *index, v *violations) {
	for i := range x.Attempts {
		if a := &x.Attempts[i]; a.Draining && !a.Home && !a.Mirror {
			v.add(a.Start, a.Request, "%s drains at %s, and is not at home to this", a.Endpoint, a.Replica)
		}
	}
}

// legal is every transition a breaker may make, and why.
var legal = map[[2]string][]string{
	{closed, open}:     {"consecutive_failures", "failure_percent"},
	{open, halfOpen}:   {"open_elapsed"},
	{halfOpen, open}:   {"probe_failed", "probe_timeout"},
	{halfOpen, closed}: {"probes_succeeded", "turned_off"},
	{open, closed}:     {"turned_off"},
}

func breakerTransitions(x *index, v *violations) {
	type last struct {
		state string
		at    time.Duration
	}
	states := map[place]last{}
	for i := range x.Breakers {
		b := &x.Breakers[i]
		at := place{b.Replica, b.Endpoint}
		before, known := states[at]
		if !known {
			before.state = closed
		}
		// A replica that began anew, and an endpoint that came back with a policy, begin
		// with a breaker of their own.
		anew := b.From == closed && (!x.upAll(b.Replica, before.at, b.At) || x.changed(b.Replica, before.at, b.At))
		if b.From != before.state && !anew {
			v.add(b.At, "", "the breaker of %s at %s was %s, and turned from %s to %s", b.Endpoint, b.Replica, before.state, b.From, b.To)
		} else if !slices.Contains(legal[[2]string{b.From, b.To}], b.Reason) {
			v.add(b.At, "", "the breaker of %s at %s turned from %s to %s for %s", b.Endpoint, b.Replica, b.From, b.To, quote(b.Reason))
		}
		states[at] = last{b.To, b.At}
	}
	x.checkProbes(v)
}

// changed says whether a replica's policy changed in a time.
func (x *index) changed(replica string, from, to time.Duration) bool {
	return slices.ContainsFunc(x.Policies, func(p history.Policy) bool {
		return p.Replica == replica && p.Refused == "" && p.At > from && p.At <= to
	})
}

// mostProbe is how long a probe takes at the most before it is judged.
const mostProbe = 30 * time.Second

// judged is when a probe, the i-th attempt, is judged at the latest: by the time that a
// try may take, however long its answer goes on.
func (x *index) judged(i int) time.Duration {
	a, limit := &x.Attempts[i], mostProbe
	if r := x.request[i]; r >= 0 {
		if route := x.cast.route(x.Requests[r].Policy, x.routes[r]); route != nil {
			if try := cmp.Or(route.Timeouts.BackendRequest, route.Timeouts.Request); try > 0 {
				limit = min(limit, try)
			}
		}
	}
	return min(a.End, a.Start+limit)
}

// checkProbes sees that there are not too many at once.
func (x *index) checkProbes(v *violations) {
	type edge struct {
		at      time.Duration
		step    int
		attempt int
	}
	edges := map[place][]edge{}
	for i := range x.Attempts {
		a := &x.Attempts[i]
		if !a.Probe {
			continue
		}
		at := place{a.Replica, a.Endpoint}
		edges[at] = append(edges[at], edge{a.Start, 1, i}, edge{x.judged(i) - x.slack(), -1, i})
	}
	places := make([]place, 0, len(edges))
	for at := range edges {
		places = append(places, at)
	}
	slices.SortFunc(places, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.replica, b.replica), cmp.Compare(a.endpoint, b.endpoint))
	})
	for _, at := range places {
		most := 0
		x.cast.each(poolOf(at.endpoint), func(p *policy.Pool) { most = max(most, p.CircuitBreaker.HalfOpenRequests) })
		all := edges[at]
		slices.SortStableFunc(all, func(a, b edge) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.step, b.step)) })
		now := 0
		for _, e := range all {
			now += e.step
			if e.step > 0 && now > most && most > 0 {
				a := &x.Attempts[e.attempt]
				v.add(a.Start, a.Request, "%d probes of %s at %s under way at once, of at most %d", now, at.endpoint, at.replica, most)
			}
		}
	}
}
