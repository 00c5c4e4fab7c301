package expect

import (
	"cmp"
	"slices"
	"strconv"
	"time"
)

// span is how long something is under way.
type span struct{ start, end time.Duration }

// probes is how many probes of an endpoint are under way.
func (x *index) probes(replica, endpoint string) *timeline {
	var spans []span
	for i := range x.Attempts {
		if a := &x.Attempts[i]; a.Replica == replica && !a.Mirror && a.Probe && a.Endpoint == endpoint {
			spans = append(spans, span{a.Start, x.judged(i)})
		}
	}
	return x.underWay(replica, spans)
}

// inFlight is how many attempts are under way at a pool or an endpoint, or, without a
// name, requests.
func (x *index) inFlight(replica, name string) *timeline {
	var spans []span
	if name == "" {
		for i := range x.Requests {
			if r := &x.Requests[i]; r.Replica == replica {
				spans = append(spans, span{r.Start, r.End})
			}
		}
		return x.underWay(replica, spans)
	}
	for i := range x.Attempts {
		if a := &x.Attempts[i]; a.Replica == replica && !a.Mirror && (a.Pool == name || a.Endpoint == name) {
			spans = append(spans, span{a.Start, a.End})
		}
	}
	return x.underWay(replica, spans)
}

// underWay is how many of a replica's spans are under way.
func (x *index) underWay(replica string, spans []span) *timeline {
	type edge struct {
		at   time.Duration
		step int
	}
	edges := make([]edge, 0, 2*len(spans))
	for _, s := range spans {
		if s.end > s.start {
			edges = append(edges, edge{s.start, 1}, edge{s.end, -1})
		}
	}
	// What ends at an instant has made room for what begins then.
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
