package expect

import (
	"cmp"
	"slices"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/sim/history"
)

// slot makes a word move through the run.
func (x *index) slot(c *call) slot {
	s := slide{window: c.window}
	over := cmp.Or(c.window, x.Duration)
	switch c.word.name {
	case "success", "errors":
		s.stream = x.requests("good", c.name, intended, func(i int) (bool, bool) { return true, x.Requests[i].OK() })
		return &ratio{slide: s, not: c.word.name == "errors", bad: true}
	case "goodput":
		s.stream = x.requests("done", c.name, ended, func(i int) (bool, bool) { ok := x.Requests[i].OK(); return ok, ok })
		return &rate{slide: s, over: over}
	case "latency":
		s.stream = x.requests("all", c.name, intended, func(int) (bool, bool) { return true, true })
		return newQuantile(s, c.q, x.latencies("all "+c.name, s.stream))
	case "shed_latency":
		s.stream = x.requests("shed", c.name, intended, func(i int) (bool, bool) { shed := shed(&x.Requests[i]); return shed, shed })
		return newQuantile(s, c.q, x.latencies("shed "+c.name, s.stream))
	case "lost":
		s.stream = x.requests("lost", c.name, intended, func(i int) (bool, bool) { lost := x.lost(i); return lost, lost })
		return &count{s}
	case "shed":
		s.stream = x.requests("shed", c.name, intended, func(i int) (bool, bool) { shed := shed(&x.Requests[i]); return shed, shed })
		return &count{s}
	case "rate":
		if c.name == "" {
			s.stream = x.requests("all", "", intended, func(int) (bool, bool) { return true, true })
		} else {
			s.stream = x.attempts("rate", c.name, func(a *history.Attempt) (bool, bool) {
				its := !a.Probe && (a.Pool == c.name || a.Endpoint == c.name)
				return its, its
			})
		}
		return &rate{slide: s, over: over}
	case "share":
		pool := poolOf(c.name)
		s.stream = x.attempts("share", c.name, func(a *history.Attempt) (bool, bool) {
			return a.Pool == pool && !a.Probe, a.Endpoint == c.name
		})
		return &ratio{slide: s}
	case "amplification":
		s.stream = x.attempts("tries", c.name, func(a *history.Attempt) (bool, bool) {
			return c.name == "" || a.Pool == c.name, a.Number == 1
		})
		return &amplified{s}
	case "moved_sessions":
		s.stream = x.moves(c.name)
		return &count{s}
	case "health_changes":
		s.stream = x.healthChanges(c.name)
		return &count{s}
	}
	switch c.word.name {
	case "most_moves":
		moves := x.stays().moves(c.name)
		s.stream = &moves.stream
		return &busiest{slide: s, who: moves.who, times: map[int]int{}}
	case "lost_sessions":
		s.stream = &x.stays().losses(c.name).stream
		return &count{s}
	case "load":
		loads := x.loads(c.name)
		s.stream = &loads.stream
		return &peak{slide: s, values: loads.values, fraction: true}
	case "held":
		held := x.held(c.name)
		s.stream = &held.stream
		return &peak{slide: s, values: held.values}
	}
	return x.states(c)
}

func intended(r *history.Request) time.Duration { return r.Intended }
func ended(r *history.Request) time.Duration    { return r.End }

// requests is a stream of a route's requests: those that f takes, and of them those it
// counts. It is made once for all that ask for the same by its name.
func (x *index) requests(name, route string, at func(*history.Request) time.Duration, f func(int) (take, counts bool)) *stream {
	key := name + " " + route
	if s := x.streams[key]; s != nil {
		return s
	}
	s := &stream{sum: []int32{0}}
	order := make([]int32, len(x.Requests))
	for i := range order {
		order[i] = int32(i)
	}
	by := func(a, b int32) int { return cmp.Compare(at(&x.Requests[a]), at(&x.Requests[b])) }
	if !slices.IsSortedFunc(order, by) {
		slices.SortStableFunc(order, by)
	}
	for _, i := range order {
		if route == "" || x.routes[i] == route {
			if take, counts := f(int(i)); take {
				s.add(at(&x.Requests[i]), i, counts)
			}
		}
	}
	x.streams[key] = s
	return s
}

// attempts is a stream of attempts, copies left out.
func (x *index) attempts(name, of string, f func(*history.Attempt) (take, counts bool)) *stream {
	key := name + " " + of
	if s := x.streams[key]; s != nil {
		return s
	}
	s := &stream{sum: []int32{0}}
	order := make([]int32, len(x.Attempts))
	for i := range order {
		order[i] = int32(i)
	}
	by := func(a, b int32) int { return cmp.Compare(x.Attempts[a].Start, x.Attempts[b].Start) }
	if !slices.IsSortedFunc(order, by) {
		slices.SortStableFunc(order, by)
	}
	for _, i := range order {
		a := &x.Attempts[i]
		if take, counts := f(a); take && !a.Mirror {
			s.add(a.Start, x.request[i], counts)
		}
	}
	x.streams[key] = s
	return s
}

// moves is a stream of moves. Which requests they were of is not known, but for those
// that ended then and say so.
func (x *index) moves(pool string) *stream {
	key := "moves " + pool
	if s := x.streams[key]; s != nil {
		return s
	}
	s := &stream{sum: []int32{0}}
	moved := map[time.Duration]int32{}
	for i := range x.Requests {
		if r := &x.Requests[i]; r.Sticky == event.SessionMoved.String() {
			moved[r.End] = int32(i)
		}
	}
	for i := range x.Moves {
		m := &x.Moves[i]
		if pool != "" && m.Pool != pool {
			continue
		}
		request, known := moved[m.At]
		if !known {
			request = -1
		}
		s.add(m.At, request, true)
	}
	x.streams[key] = s
	return s
}

// healthChanges is a stream of an endpoint's changes of health.
func (x *index) healthChanges(endpoint string) *stream {
	s := &stream{sum: []int32{0}}
	for i := range x.Healths {
		if h := &x.Healths[i]; h.Endpoint == endpoint {
			s.add(h.At, -1, true)
		}
	}
	return s
}

// latencies ranks a stream's requests by how long they took. It does so once for all
// that ask by its name.
func (x *index) latencies(name string, s *stream) *ranks {
	if r := x.ranked[name]; r != nil {
		return r
	}
	values := make([]time.Duration, len(s.requests))
	for i, r := range s.requests {
		values[i] = x.Requests[r].Latency()
	}
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	sorted = slices.Compact(sorted)
	r := &ranks{rank: make([]int32, len(values)), sorted: sorted}
	for i, v := range values {
		rank, _ := slices.BinarySearch(sorted, v)
		r.rank[i] = int32(rank)
	}
	x.ranked[name] = r
	return r
}

// states makes a word that is of an instant.
func (x *index) states(c *call) slot {
	s := &states{bound: -1, gives: c.word.gives, codes: map[string]uint64{}}
	if c.replica != "" { // one that never came to be has no state
		s.bound = slices.Index(x.replicas, c.replica)
		if s.bound < 0 {
			s.bound = len(x.replicas)
		}
	}
	for _, replica := range x.replicas {
		switch c.word.name {
		case "breaker":
			s.lines = append(s.lines, x.breaker(replica, c.name))
		case "healthy":
			s.lines = append(s.lines, x.health(replica, c.name))
		case "probes":
			s.lines = append(s.lines, x.probes(replica, c.name))
		case "in_flight":
			s.lines = append(s.lines, x.inFlight(replica, c.name))
		default:
			s.lines = append(s.lines, x.version(replica))
		}
	}
	s.at = make([]int, len(s.lines))
	s.requests = func(from, at time.Duration, n int) []int32 { return x.bearing(c, from, at, n) }
	return s
}

// bearing are up to n requests from an instant on until another that a state has to do
// with: that went to its endpoint, or to its replica, those first that failed there. If
// from is always they are the last until then.
func (x *index) bearing(c *call, from, at time.Duration, n int) (out []int32) {
	var well []int32
	take := func(request int32, failed bool) bool {
		switch {
		case slices.Contains(out, request) || slices.Contains(well, request):
		case failed || from == always:
			out = append(out, request)
		case len(well) < n:
			well = append(well, request)
		}
		return len(out) < n
	}
	each := func(count int, one func(i int) bool) {
		for i := range count {
			if from == always {
				i = count - 1 - i
			}
			if !one(i) {
				return
			}
		}
	}
	if c.name == "" {
		each(len(x.Requests), func(i int) bool {
			r := &x.Requests[i]
			its := r.Start >= from && r.Start <= at && (c.replica == "" || r.Replica == c.replica)
			return !its || take(int32(i), !r.OK())
		})
	} else {
		each(len(x.Attempts), func(i int) bool {
			a := &x.Attempts[i]
			its := a.Start >= from && a.Start <= at && (a.Endpoint == c.name || a.Pool == c.name) && !a.Mirror &&
				(c.replica == "" || a.Replica == c.replica) && x.request[i] >= 0
			return !its || take(x.request[i], event.Result(a.Result) != event.OK)
		})
	}
	return append(out, well...)[:min(n, len(out)+len(well))]
}
