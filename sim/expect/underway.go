package expect

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"go-loadbalancer/sim/history"
)

// probes is how many probes of an endpoint are under way.
func (x *index) probes(replica, endpoint string) *timeline {
	return x.underWay(replica, func(i int, a *history.Attempt) (time.Duration, bool) {
		return x.judged(i), a.Probe && a.Endpoint == endpoint
	})
}

// underWay counts a replica's attempts that f takes, each from its start until f says.
func (x *index) underWay(replica string, f func(int, *history.Attempt) (end time.Duration, take bool)) *timeline {
	type edge struct {
		at   time.Duration
		step int
	}
	var edges []edge
	for i := range x.Attempts {
		a := &x.Attempts[i]
		if a.Replica != replica || a.Mirror {
			continue
		}
		if end, take := f(i, a); take && end > a.Start {
			edges = append(edges, edge{a.Start, 1}, edge{end, -1})
		}
	}
	// What ends at an instant has ended when something else begins then.
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.step, b.step)) })
	out, n := x.line(replica, "0"), 0
	lives := x.lives[replica]
	for _, e := range edges {
		n += e.step
		if lives == nil || lives.when(e.at) != absent {
			x.insert(out, e.at, strconv.Itoa(n))
		}
	}
	return out
}
