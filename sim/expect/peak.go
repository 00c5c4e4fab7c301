package expect

import (
	"cmp"
	"math"
	"slices"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"go-loadbalancer/lb/policy"
)

// measured is a stream of events that have a value each.
type measured struct {
	stream
	values []float64
}

func (m *measured) measure(at time.Duration, request int32, value float64) {
	m.add(at, request, true)
	m.values = append(m.values, value)
}

// peak is the greatest value of a window's events.
type peak struct {
	slide
	values   []float64
	fraction bool
	falling  []int // events of the window of which none that follows has as great a value
	in       int   // how many events have been taken in
}

func (p *peak) seek(x time.Duration) {
	p.slide.seek(x)
	for ; p.in < p.hi; p.in++ {
		for n := len(p.falling); n > 0 && p.values[p.falling[n-1]] <= p.values[p.in]; n-- {
			p.falling = p.falling[:n-1]
		}
		p.falling = append(p.falling, p.in)
	}
	for len(p.falling) > 0 && p.falling[0] < p.lo {
		p.falling = p.falling[1:]
	}
}

func (p *peak) read(int) reading {
	if len(p.falling) == 0 {
		return reading{events: p.events(), few: true}
	}
	return reading{bits: math.Float64bits(p.values[p.falling[0]]), events: p.events()}
}

func (p *peak) show(bits uint64) ref.Val {
	if p.fraction {
		return types.Double(math.Float64frombits(bits))
	}
	return types.Int(math.Float64frombits(bits))
}

// examples are those of the greatest values.
func (p *peak) examples(_ time.Duration, n int) (requests []int32) {
	for _, i := range p.falling {
		if len(requests) < n && p.requests[i] >= 0 {
			requests = append(requests, p.requests[i])
		}
	}
	return requests
}

// loads are the attempts at an endpoint, each with how many others were under way there
// when it began, relative to the endpoint's fair part of all in its pool: of that one and
// the others of the same replica, by weight.
//
// A bound of c times the fair part, rounded up, as [Mirrokni, Thorup, Zadimoghaddam:
// Consistent hashing with bounded loads, 2018] have it, is kept if and only if no value
// is c or more: n <= ceil(y) says that n-1 < y.
func (x *index) loads(endpoint string) *measured {
	type edge struct {
		at      time.Duration
		step    int // 1: it begins, -1: it ends
		attempt int
	}
	pool := poolOf(endpoint)
	part := x.part(endpoint)
	by := map[string][]edge{}
	for i := range x.Attempts {
		if a := &x.Attempts[i]; a.Pool == pool && !a.Mirror {
			by[a.Replica] = append(by[a.Replica], edge{a.Start, 1, i})
			if a.End > a.Start { // else nobody meets it
				by[a.Replica] = append(by[a.Replica], edge{a.End, -1, i})
			}
		}
	}
	type value struct {
		at      time.Duration
		request int32
		load    float64
	}
	var all []value
	for _, replica := range x.replicas {
		edges := by[replica]
		// What ends at an instant has made room for what begins then.
		slices.SortStableFunc(edges, func(a, b edge) int {
			return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.step, b.step), cmp.Compare(a.attempt, b.attempt))
		})
		there, total := 0, 0
		for _, e := range edges {
			a := &x.Attempts[e.attempt]
			its := a.Endpoint == endpoint
			if its && e.step > 0 {
				all = append(all, value{e.at, x.request[e.attempt], float64(there) / (float64(total+1) * part)})
			}
			if e.step > 0 && a.End <= a.Start {
				continue
			}
			total += e.step
			if its {
				there += e.step
			}
		}
	}
	slices.SortStableFunc(all, func(a, b value) int { return cmp.Compare(a.at, b.at) })
	out := &measured{stream: stream{sum: []int32{0}}}
	for _, v := range all {
		out.measure(v.at, v.request, v.load)
	}
	return out
}

// part is an endpoint's part of its pool by weight, in the first policy that has it.
func (x *index) part(endpoint string) float64 {
	address, part := x.address(endpoint), 0.0
	x.cast.each(poolOf(endpoint), func(p *policy.Pool) {
		its, all := 0, 0
		for i := range p.Endpoints {
			all += p.Endpoints[i].Weight
			if p.Endpoints[i].Address == address {
				its += p.Endpoints[i].Weight
			}
		}
		if part == 0 && all > 0 {
			part = float64(its) / float64(all)
		}
	})
	return part
}

// held is a route's requests that were answered by an endpoint, by their end, each with
// how many bytes of the answer were held between the two.
func (x *index) held(route string) *measured {
	order := make([]int, 0, len(x.Requests))
	for i := range x.Requests {
		if x.Requests[i].By != "" && (route == "" || x.routes[i] == route) {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(x.Requests[a].End, x.Requests[b].End) })
	out := &measured{stream: stream{sum: []int32{0}}}
	for _, i := range order {
		r := &x.Requests[i]
		sent := int64(0)
		for t := x.tries[i]; t >= 0; t = x.then[t] {
			if a := &x.Attempts[t]; a.Endpoint == r.By && !a.Mirror {
				sent = a.Sent // the last is the one that answered
			}
		}
		out.measure(r.End, int32(i), float64(max(0, sent-r.Got)))
	}
	return out
}
