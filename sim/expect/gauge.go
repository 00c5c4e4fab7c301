package expect

import (
	"cmp"
	"slices"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// level is a number that changes in time. It is 0 before the first change.
type level struct {
	at       []time.Duration
	value    []int
	requests []int32 // behind each change
	now      int     // the change that the present value is of, from 1; 0: none yet
}

// gauge is a level at each replica.
type gauge struct {
	levels []*level
	bound  int // the only replica that counts; -1: each
}

func (g *gauge) seek(x time.Duration) {
	for _, l := range g.levels {
		for l.now < len(l.at) && l.at[l.now] <= x {
			l.now++
		}
	}
}

func (g *gauge) next() time.Duration {
	next := never
	for i, l := range g.levels {
		if (g.bound < 0 || g.bound == i) && l.now < len(l.at) {
			next = min(next, l.at[l.now])
		}
	}
	return next
}

func (g *gauge) read(replica int) reading {
	if g.bound >= 0 {
		replica = g.bound
	}
	l := g.levels[replica]
	if l.now == 0 {
		return reading{}
	}
	return reading{bits: uint64(l.value[l.now-1]), events: l.now}
}

func (g *gauge) show(bits uint64) ref.Val { return types.Int(bits) }

// examples are those that changed it last.
func (g *gauge) examples(n int) (requests []int32) {
	for i, l := range g.levels {
		for k := l.now - 1; k >= 0 && len(requests) < n && (g.bound < 0 || g.bound == i); k-- {
			if r := l.requests[k]; r >= 0 && !slices.Contains(requests, r) {
				requests = append(requests, r)
			}
		}
	}
	return requests
}

// inFlight is how many attempts are under way at a pool or an endpoint, or, without one,
// requests.
func (x *index) inFlight(c *call) *gauge {
	type edge struct {
		at      time.Duration
		step    int
		request int32
	}
	edges := map[string][]edge{}
	put := func(replica string, start, end time.Duration, request int32) {
		edges[replica] = append(edges[replica], edge{start, 1, request}, edge{end, -1, request})
	}
	if c.name == "" {
		for i := range x.Requests {
			r := &x.Requests[i]
			put(r.Replica, r.Start, r.End, int32(i))
		}
	} else {
		for i := range x.Attempts {
			if a := &x.Attempts[i]; !a.Mirror && (a.Pool == c.name || a.Endpoint == c.name) {
				put(a.Replica, a.Start, a.End, x.request[i])
			}
		}
	}
	g := &gauge{bound: -1}
	for i, replica := range x.replicas {
		if replica == c.replica {
			g.bound = i
		}
		all, l, n := edges[replica], &level{}, 0
		// What ends at an instant has made room for what begins then.
		slices.SortStableFunc(all, func(a, b edge) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.step, b.step)) })
		for _, e := range all {
			n += e.step
			if last := len(l.at) - 1; last >= 0 && l.at[last] == e.at {
				l.value[last], l.requests[last] = n, e.request
				continue
			}
			l.at, l.value, l.requests = append(l.at, e.at), append(l.value, n), append(l.requests, e.request)
		}
		g.levels = append(g.levels, l)
	}
	return g
}
